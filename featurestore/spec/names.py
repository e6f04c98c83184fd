"""Names, feature references, durations and declaration sites: what every declaration is checked with."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from featurestore.errors import InvalidDeclaration, InvalidReference

T = TypeVar("T")

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*_?")
_DURATION = re.compile(r"(\d+)([smhdw])")
_UNITS = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
_SPEC_FOLDER = str(Path(__file__).parent)

MAX_NAME_LENGTH = 120


@dataclass(frozen=True, slots=True, order=True)
class FeatureReference:
    """`view:feature`, or `role_view:feature` for a view in a role."""

    view: str
    feature: str

    @classmethod
    def parse(cls, text: str) -> FeatureReference:
        view, separator, feature = text.partition(":")
        if not (separator and view and feature) or ":" in feature:
            raise InvalidReference(f"'{text}' is not a feature reference: write view:feature")
        return cls(view, feature)

    def __str__(self) -> str:
        return f"{self.view}:{self.feature}"

    @property
    def column(self) -> str:
        """The name of this feature's column in training sets and online answers."""
        return f"{self.view}__{self.feature}"


def check_name(kind: str, name: object) -> str:
    """`name` if it can name a `kind`; otherwise an error that says which characters may be used."""
    if not isinstance(name, str) or not is_name(name):
        raise InvalidDeclaration(
            f"{declaration_site()}: {name!r} can not name a {kind}: names are letters, digits and single underscores, "
            f"start with a letter, and have at most {MAX_NAME_LENGTH} characters"
        )
    return name


def is_name(text: str) -> bool:
    """Whether the text can name a declaration or a feature."""
    return len(text) <= MAX_NAME_LENGTH and _NAME.fullmatch(text) is not None


def check_sql(what: str, value: object) -> str:
    """`value` if it is text that can hold SQL; otherwise an error that says what is expected."""
    if not isinstance(value, str) or not value.strip():
        raise InvalidDeclaration(f"{declaration_site()}: {what} is SQL as text, got {value!r}")
    return value


def check_list(what: str, value: Iterable[T]) -> tuple[T, ...]:
    """The members of a list; one text is not a list of its letters."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise InvalidDeclaration(f"{declaration_site()}: {what} is a list, got {repr(value)[:80]}")
    return tuple(value)


def parse_duration(what: str, value: str | timedelta) -> timedelta:
    """A duration such as `"10m"`, `"1h"`, `"7d"`, or a `timedelta` of whole seconds."""
    if isinstance(value, timedelta):
        if value < timedelta(0) or value.microseconds:
            raise InvalidDeclaration(f"{declaration_site()}: {what} is a duration of whole seconds, got {value!r}")
        return value
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise InvalidDeclaration(
            f"{declaration_site()}: {what} is a duration such as '30s', '10m', '1h', '7d' or '2w', got {value!r}"
        )
    try:
        return int(match[1]) * _UNITS[match[2]]
    except OverflowError as error:
        raise InvalidDeclaration(f"{declaration_site()}: {what} of {value} is too long") from error


def show_duration(duration: timedelta) -> str:
    """The shortest spelling that `parse_duration` reads back: `1h`, `7d`, `90s`. Weeks are written as days."""
    for unit in ("d", "h", "m"):
        if duration % _UNITS[unit] == timedelta(0) and duration:
            return f"{duration // _UNITS[unit]}{unit}"
    return f"{duration // _UNITS['s']}s"


def declaration_site() -> str:
    """`file:line` of the code outside this package that is being run: where a declaration stands."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_SPEC_FOLDER):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"
