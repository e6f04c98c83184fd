"""JSON of what commands answer and are given: any reader can parse it, and nothing is lost on the way.

JSON has no NaN and no infinities: they are written as the strings `NaN`, `Infinity` and `-Infinity`. Decimals are
strings with all their digits, moments ISO 8601 in UTC with a `Z`, dates ISO 8601, and durations are written as
definitions write them (`1h`, `7d`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

from featurestore.spec.names import show_duration


def json_text(value: object, *, indent: int | None = 2) -> str:
    """`value` as JSON; records become objects of their fields.

    >>> json_text({"share": float("nan"), "rows": [1, None]}, indent=None)
    '{"share": "NaN", "rows": [1, null]}'
    """
    return json.dumps(plain(value), indent=indent, allow_nan=False)


def parsed_json(text: str) -> Any:
    """What the text says, unless Python would take it for something else. Raises ValueError.

    >>> parsed_json('{"rows": 1, "rows": 2}')
    Traceback (most recent call last):
    ValueError: an object has the name 'rows' twice
    """
    try:
        return json.loads(text, object_pairs_hook=_object, parse_float=exact_float)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def exact_float(text: str) -> float:
    """Raises ValueError for a number such as 1e400, which Python reads as infinite."""
    value = float(text)
    if math.isinf(value) and any(digit in text for digit in "123456789"):
        raise ValueError(f"{text[:80]} is beyond every float")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"an object has the name {name[:80]!r} twice")
        found[name] = value
    return found


def plain(value: object) -> object:
    """`value` made of nothing but dicts, lists, strings, finite numbers, booleans and None."""
    if value is None or isinstance(value, bool | int | float | str):
        return _not_finite(value) if isinstance(value, float) and not math.isfinite(value) else value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Iterable):
        return [plain(item) for item in value]
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    return _text(value)


def _text(value: object) -> str:
    match value:
        case datetime():
            utc = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
            return utc.replace(tzinfo=None).isoformat() + "Z"
        case date():
            return value.isoformat()
        case Decimal():
            return f"{value:f}"
        case timedelta():
            return show_duration(value)
        case Enum():
            return str(value.value)
        case Path():
            return str(value)
        case _:
            raise TypeError(f"{type(value).__name__} has no form in JSON")


def _not_finite(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"
