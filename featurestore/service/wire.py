"""Values between Python and JSON, the same for every route: exact, strict, and readable without us.

JSON proper has no NaN, no infinities and no timestamps: they travel as the texts `NaN`, `Infinity`, `-Infinity` and
ISO 8601 with `Z`. A decimal travels as text with all the digits of its scale, such as `12.50`, because many readers
take a number for a double. Lists and embeddings are lists of values. In a request's rows a value, or an item of a list,
may also say what it is, as `{"$float": "NaN"}`, `{"$decimal": "12.50"}`, `{"$date": "…"}` or `{"$timestamp": "…"}`: so
a client can send any value without it being taken for a text.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from featurestore.errors import EntityRowsError, InvalidRequest
from featurestore.spec.names import show_duration

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
Document = dict[str, Json]

MOST_FIELDS = 1_000
"""In one row of a request."""
MOST_TEXT = 64 * 1024
"""Characters of a key or another value of a request's row."""

_SMALL = (int, float, bool, type(None))
_FLOATS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def value_json(value: object) -> Json:
    """A feature's, key's or statistic's value."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else _float_text(value)
        case datetime():
            return moment_json(value)
        case date():
            return value.isoformat()
        case Decimal():
            return f"{value:f}"
        case list():
            return value if _is_json(value) else [value_json(item) for item in value]
        case _:
            raise TypeError(f"{type(value).__name__} is no value of a feature")


def _is_json(items: list[Any]) -> bool:
    """Whether a list is as JSON has it: an embedding mostly is, and item by item 100 of 384 took 35 ms instead of 2."""
    return set(map(type, items)) == {float} and all(map(math.isfinite, items))


def moment_json(moment: datetime | None) -> str | None:
    """ISO 8601 in UTC, to the microsecond: `2013-01-01T05:17:00.000001Z`."""
    return None if moment is None else moment.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def duration_json(duration: timedelta | None) -> str | None:
    return None if duration is None else show_duration(duration)


def pairs_json(pairs: tuple[tuple[str, object], ...]) -> Document:
    return {name: value_json(value) for name, value in pairs}


def moment_of(text: str | None, *, what: str) -> datetime | None:
    """The moment that a request names; one without a zone is in UTC. Raises InvalidRequest."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidRequest(
            f"'{what}' is {text[:80]!r}, expected a moment such as 2014-01-01T00:00:00Z (ISO 8601)"
        ) from error


def rows_of(rows: list[dict[str, Json]]) -> Sequence[Mapping[str, object]]:
    """A request's rows with the values that say what they are taken out of their wrapping. Raises EntityRowsError,
    for rows with more than any view has, too."""
    if max(map(len, rows), default=0) > MOST_FIELDS:
        index, found = next((index, len(row)) for index, row in enumerate(rows) if len(row) > MOST_FIELDS)
        raise EntityRowsError(f"Row {index} has {found:,} fields, and {MOST_FIELDS:,} is the most.")
    if all(_is_plain(value) for row in rows for value in row.values()):
        return rows
    return [{name: _checked(value, index, name) for name, value in row.items()} for index, row in enumerate(rows)]


def columns_of(columns: dict[str, list[Json]]) -> dict[str, list[object]]:
    """As `rows_of`, for columns of values."""
    if len(columns) > MOST_FIELDS:
        raise EntityRowsError(f"There are {len(columns):,} columns, and {MOST_FIELDS:,} is the most.")
    return {
        name: [_checked(value, index, name) for index, value in enumerate(values)] for name, values in columns.items()
    }


def _is_plain(value: Json) -> bool:
    kind = type(value)
    if kind is float:
        return value - value == 0  # type: ignore[operator]  # else it is infinite
    return len(value) <= MOST_TEXT if kind is str else kind in _SMALL  # type: ignore[arg-type]  # as just seen


def _checked(value: Json, index: int, name: str) -> object:
    if isinstance(value, dict | list):
        return _unwrapped(value, index, name)
    if isinstance(value, float) and math.isinf(value):
        raise _too_large(index, name)
    if isinstance(value, str) and len(value) > MOST_TEXT:
        raise EntityRowsError(
            f"Row {index}: '{name[:80]}' has {len(value):,} characters, and {MOST_TEXT:,} is the most."
        )
    return value


def _unwrapped(value: dict[str, Json] | list[Json], index: int, name: str) -> object:
    if isinstance(value, list):
        if math.inf in value or -math.inf in value:
            raise _too_large(index, name)
        return [_unwrapped(item, index, name) if isinstance(item, dict) else item for item in value]
    try:
        match value:
            case {"$float": str(text), **rest} if not rest and text in _FLOATS:
                return _FLOATS[text]
            case {"$decimal": str(text), **rest} if not rest:
                return Decimal(text)
            case {"$date": str(text), **rest} if not rest:
                return date.fromisoformat(text)
            case {"$timestamp": str(text), **rest} if not rest:
                return datetime.fromisoformat(text)
    except (ValueError, InvalidOperation) as error:
        raise EntityRowsError(f"Row {index}: '{name[:80]}' is {value!r:.80}: {error}") from error
    raise EntityRowsError(
        f"Row {index}: '{name[:80]}' is {value!r:.80}, expected a text, a number, true, false or null"
    )


def _too_large(index: int, name: str) -> EntityRowsError:
    """Of a number such as 1e400, which Python reads as an infinity that nobody wrote."""
    return EntityRowsError(
        f"Row {index}: '{name[:80]}' is a number beyond every float: an infinity is written as {{\"$float\": …}}"
    )


def _float_text(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
