"""A request's rows, checked and made plain before they go anywhere: values of Python's own types, for any transport."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from itertools import chain
from typing import Any

from featurestore.errors import EntityRowsError

MOST_ENTITIES = 10_000
"""In one lookup. More would hold the others up; for many rows there are training sets."""

Row = Mapping[str, object]
Entities = tuple[Row, ...] | Mapping[str, list[object]]

_PLAIN = (str, bool, int, float, date, Decimal)
_EXACT = frozenset({str, bool, int, float, type(None)})
"""What most values are, and then need no second look."""
_TIMES = {"M": "datetime64", "m": "timedelta64"}


def checked_entities(entities: Iterable[Row] | Mapping[str, Iterable[object]]) -> Entities:
    """The rows, or the columns, of a lookup with plain Python values, NumPy's scalars converted. Raises
    EntityRowsError."""
    if isinstance(entities, Mapping):
        columns = {_column(name, 0): _checked_column(values, str(name)) for name, values in entities.items()}
        _check_count(max(map(len, columns.values()), default=0))
        return columns
    if isinstance(entities, str | bytes) or not isinstance(entities, Iterable):
        raise EntityRowsError(
            "entities is a list of rows, each a dict of columns to values, or a dict of columns to lists of values, "
            f"got {entities!r:.80}"
        )
    rows = entities if isinstance(entities, list | tuple) else tuple(entities)
    _check_count(len(rows))
    if _are_plain(rows):
        return tuple(rows)
    return tuple([_checked_row(row, index) for index, row in enumerate(rows)])


def _are_plain(rows: Sequence[object]) -> bool:
    """Whether all rows are dicts of texts to plain values, as most are: seen without a loop in Python."""
    if set(map(type, rows)) != {dict}:
        return False
    values: Iterable[object] = chain.from_iterable(map(dict.values, rows))  # type: ignore[arg-type]  # seen to above
    return set(map(type, chain.from_iterable(rows))) <= {str} and _EXACT.issuperset(map(type, values))  # type: ignore[arg-type]


def _check_count(count: int) -> None:
    if count > MOST_ENTITIES:
        raise EntityRowsError(
            f"{count} rows were asked for and {MOST_ENTITIES} may be at once: ask in parts, or pull a training set."
        )


def _checked_column(values: object, name: str) -> list[object]:
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
        raise EntityRowsError(
            f"The column '{name}' is {values!r:.80}, expected a list of values. A single entity is a list of one row."
        )
    return [value if type(value) in _EXACT else _plain(value, row, name) for row, value in enumerate(values)]


def plain_rows(rows: Iterable[Row]) -> tuple[Row, ...]:
    """Rows that are pushed, with plain Python values. Raises EntityRowsError."""
    return tuple(_checked_row(row, index) for index, row in enumerate(rows))


def entities_json(entities: Entities) -> object:
    """Checked entities as JSON holds them; values that JSON does not know say what they are."""
    if isinstance(entities, Mapping):
        return {name: _value_json(values) for name, values in entities.items()}
    return [{name: _value_json(value) for name, value in row.items()} for row in entities]


def _checked_row(row: object, index: int) -> Row:
    if not isinstance(row, Mapping):
        raise EntityRowsError(f"Row {index} is {type(row).__name__}, expected a mapping of columns to values")
    return {
        name if type(name) is str else _column(name, index): value
        if type(value) in _EXACT
        else _plain(value, index, name)
        for name, value in row.items()
    }


def _column(name: object, index: int) -> str:
    if not isinstance(name, str):
        raise EntityRowsError(f"Row {index} has a column called {name!r:.80}: columns are named by text")
    return name


def _plain(value: object, index: int, name: str) -> object:
    if value is None or isinstance(value, _PLAIN):
        return _exact(value)
    if isinstance(value, list | tuple):
        return [_plain(item, index, name) for item in value]
    if getattr(getattr(value, "dtype", None), "kind", "") in _TIMES:
        value = _in_microseconds(value)
    listed = getattr(value, "tolist", None)  # a scalar or an array of NumPy
    plain = listed() if callable(listed) else value
    if isinstance(plain, list):
        return _plain(plain, index, name)
    if plain is not None and not isinstance(plain, _PLAIN):
        raise EntityRowsError(
            f"Row {index}: '{name}' is {value!r:.80}, expected a text, a number, a bool, a Decimal, a date, a datetime "
            "or None, or a list of them"
        )
    return plain


def _exact(value: object) -> object:
    """Subclasses, such as an enum's texts or NumPy's floats, as the value they stand for."""
    match value:
        case datetime():
            return _moment(value)
        case None | bool() | date() | Decimal():
            return value
        case str():
            return str.__str__(value)
        case int():
            return int(value)
        case float():
            return float(value)
        case _:
            raise TypeError(type(value).__name__)


def _in_microseconds(value: Any) -> object:
    """Moments and durations of NumPy, which makes plain numbers of their nanoseconds."""
    return value.astype(f"{_TIMES[value.dtype.kind]}[us]")


def _moment(value: datetime) -> datetime | None:
    """Without the nanoseconds of pandas, whose moment that is none (NaT) is a null."""
    if type(value) is datetime:
        return value
    if value != value:  # noqa: PLR0124 - what NaT alone is
        return None
    return datetime(
        value.year, value.month, value.day, value.hour, value.minute, value.second, value.microsecond,
        tzinfo=value.tzinfo, fold=value.fold,
    )  # fmt: skip


def _value_json(value: object) -> object:
    match value:
        case float() if not math.isfinite(value):
            return {"$float": "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"}
        case datetime():
            return {"$timestamp": value.isoformat()}
        case date():
            return {"$date": value.isoformat()}
        case Decimal():
            return {"$decimal": str(value)}
        case list():
            return [_value_json(item) for item in value]
        case _:
            return value
