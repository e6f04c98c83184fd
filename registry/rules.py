"""What names, aliases, version numbers and registrations must be like. Pure: each rule looks at values only.

Functions named `..._problems` list what is wrong, so that a registration can report everything at once; functions
named `check_...` raise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from registry.errors import InvalidAlias, InvalidModelReference

MAX_NAME_LENGTH = 200
MAX_KEY_LENGTH = 250
MAX_TEXT_LENGTH = 100_000
MAX_VERSION = 2**31 - 1

_ALIAS = re.compile(r"[A-Za-z_][\w-]*", re.ASCII)
_HALF_CHARACTER = re.compile("[\ud800-\udfff]")
_LOOKS_LIKE_A_VERSION = re.compile(r"latest|v\d+", re.ASCII | re.IGNORECASE)


def model_name_problems(name: object) -> tuple[str, ...]:
    """A name stands in references (`name@3`), addresses and paths, so it can not contain their separators."""
    if not isinstance(name, str) or not name:
        return (f"the model's name is {name!r}: give it a name",)
    problems = []
    if len(name) > MAX_NAME_LENGTH:
        problems.append(f"the model's name has {len(name)} characters: use at most {MAX_NAME_LENGTH}")
    if any(character in name for character in "/:@"):
        problems.append(f"the model's name {name[:MAX_NAME_LENGTH]!r} contains '/', ':' or '@': leave them out")
    if name != name.strip() or not name.isprintable() or name in (".", ".."):
        problems.append(f"the model's name {name[:MAX_NAME_LENGTH]!r} is blank at an end, not printable, or only dots")
    return tuple(problems)


def file_name_problems(name: object) -> tuple[str, ...]:
    if not isinstance(name, str) or not name or name in (".", "..") or not name.isprintable() or "/" in name:
        return (f"the artifact's file name is {name!r}: give the name of a file, without its folder",)
    return ()


def dataset_problems(dataset: str | None, no_dataset: bool, reason: str | None) -> tuple[str, ...]:
    """Nobody registers a model without its data by forgetting it."""
    match (dataset, no_dataset):
        case (None | "", False):
            return ("it names no dataset: give the id of its training set, or no_dataset=True and a reason",)
        case (str() as given, True) if given:
            return ("it names a dataset and says no_dataset=True: choose one",)
        case (_, True) if not (reason or "").strip():
            return ("no_dataset=True needs a reason: say in no_dataset_reason where the training data came from",)
        case (_, False) if reason:
            return ("it names a dataset and gives a no_dataset_reason: leave one out",)
    return ()


def pairs_problems(kind: str, pairs: tuple[tuple[str, object], ...], value_type: type) -> Iterator[str]:
    """Pairs are stored and given back exactly, so subclasses such as NumPy's floats are converted by the caller."""
    seen: set[str] = set()
    for key, value in pairs:
        if not isinstance(key, str) or not 0 < len(key) <= MAX_KEY_LENGTH:
            yield f"a {kind} is called {str(key)[:80]!r}: use 1 to {MAX_KEY_LENGTH} characters"
        if key in seen:
            yield f"the {kind} {key!r} is given twice"
        if type(value) is not value_type:
            yield f"the {kind} {key!r} is of type {type(value).__name__}: convert it to {value_type.__name__}"
        elif isinstance(value, str):
            yield from text_problems(f"{kind} {key!r}", value)
        seen.add(key)


def text_problems(what: str, text: str | None) -> Iterator[str]:
    """Databases store neither half characters nor NUL."""
    if text is None:
        return
    if len(text) > MAX_TEXT_LENGTH:
        yield f"the {what} has {len(text)} characters: use at most {MAX_TEXT_LENGTH}"
    if "\0" in text or _HALF_CHARACTER.search(text):
        yield f"the {what} contains NUL or half of a surrogate pair: leave them out"


def check_model_name(name: str) -> None:
    if problems := model_name_problems(name):
        raise InvalidModelReference("; ".join(problems))


def check_version_number(model: str, version: int) -> None:
    check_model_name(model)
    if not 1 <= version <= MAX_VERSION:
        raise InvalidModelReference(f"'{model}@{version}' is not a version: they are numbered from 1")


def check_alias(name: str) -> None:
    """An alias must not be mistaken for a version: not a number, not `v3`, not `latest`."""
    if not _ALIAS.fullmatch(name) or len(name) > MAX_KEY_LENGTH:
        raise InvalidAlias(
            f"{name[:80]!r} can not be an alias: use letters, digits, '_' and '-', starting with a letter or '_', "
            f"at most {MAX_KEY_LENGTH} characters"
        )
    if _LOOKS_LIKE_A_VERSION.fullmatch(name):
        raise InvalidAlias(f"'{name}' can not be an alias, because it reads like a version: try 'champion'")
