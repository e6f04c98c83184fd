"""Rows of plain values, of a lookup or a push: checked against the types of their columns; errors name row and column.

`typed_value` says what fits a type, as `fitted_column` does for Arrow: the same kind of thing, and exactly the value.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import Any, assert_never

from featurestore.errors import EntityRowsError, suggestion
from featurestore.graph.resolved import Column
from featurestore.spec.dtypes import DType, Kind

_INTEGER_BITS = {Kind.INT8: 8, Kind.INT16: 16, Kind.INT32: 32, Kind.INT64: 64}
_EXACT = {Kind.DECIMAL: ", as text such as '1.50', a Decimal or an integer, with no more digits than that"}
"""What is said to someone who tried another way."""
_PLAIN = {Kind.BOOL: bool, Kind.FLOAT64: float}
"""Types whose every value is one already."""
_FLOAT_DIGITS = {Kind.FLOAT32: 24, Kind.FLOAT64: 53}
"""In binary."""
_TOO_LARGE = {Kind.FLOAT32: 2.0**128 - 2.0**103, Kind.FLOAT64: math.inf}
"""The least number whose nearest value is infinite."""

Row = Mapping[str, object]
Entities = Sequence[Row] | Mapping[str, Sequence[object]]
"""Rows of columns and values, or columns of equal length."""


def typed_columns(entities: Entities, columns: tuple[Column, ...]) -> dict[str, Sequence[object]]:
    """The columns' values, row by row, as Python values of their types; a null stays None.

    Raises EntityRowsError for a row that lacks a column or has a value of another type, and for columns that do not go
    together.
    """
    given = _columns_given if isinstance(entities, Mapping) else _columns_of_rows
    pairs = zip(columns, given(entities, columns), strict=True)
    return {column.name: _typed_column(values, column) for column, values in pairs}


def row_count(entities: Entities) -> int:
    if isinstance(entities, Mapping):
        return len(next(iter(entities.values()), ()))
    return len(entities)


def _columns_of_rows(rows: Any, columns: tuple[Column, ...]) -> list[Sequence[object]]:
    try:
        return [[row[column.name] for row in rows] for column in columns]
    except (KeyError, TypeError, IndexError):
        for index, row in enumerate(rows):
            _check_row(row, index, columns)
        raise


def _check_row(row: object, index: int, columns: tuple[Column, ...]) -> None:
    if not isinstance(row, Mapping):
        raise EntityRowsError(f"Row {index} is {type(row).__name__}, expected a mapping of columns to values")
    for column in columns:
        if column.name not in row:
            raise EntityRowsError(
                f"Row {index} has no '{column.name}' ({column.dtype.value}). {suggestion(column.name, row)}"
            )


def _columns_given(entities: Any, columns: tuple[Column, ...]) -> list[Sequence[object]]:
    lengths = {name: len(values) for name, values in entities.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"'{name}' has {length}" for name, length in list(lengths.items())[:5])
        raise EntityRowsError(f"The columns have different numbers of values: {told}")
    for column in columns:
        if column.name not in entities:
            raise EntityRowsError(
                f"There is no column '{column.name}' ({column.dtype.value}). {suggestion(column.name, entities)}"
            )
    return [entities[column.name] for column in columns]


def _typed_column(values: Sequence[object], column: Column) -> Sequence[object]:
    if _is_typed(values, column.dtype):
        return values
    return [_value(value, index, column) for index, value in enumerate(values)]


def _is_typed(values: Sequence[Any], dtype: DType) -> bool:
    """Whether all values are of the type already, which can be told of most columns without looking at each in Python:
    a lookup of a hundred keys has no more than 0.1 ms for this."""
    types = set(map(type, values))
    if len(types) != 1:
        return not types
    [only] = types
    if only is str:
        return dtype.kind is Kind.STRING and all(map(str.isascii, values))
    if only is int:
        bits = _INTEGER_BITS.get(dtype.kind)
        return bits is not None and -(1 << bits - 1) <= min(values) and max(values) < 1 << bits - 1
    if only is float and dtype.kind is Kind.FLOAT32:
        return all(map(_TOO_LARGE[Kind.FLOAT32].__gt__, map(abs, values)))
    return _PLAIN.get(dtype.kind) is only


def _value(value: object, index: int, column: Column) -> object:
    if value is None:
        return None
    typed = typed_value(value, column.dtype)
    if typed is None:
        shown = f"{value!r}"[:80]
        told = f"Row {index}: '{column.name}' is {shown}, expected {column.dtype.value}"
        raise EntityRowsError(told + hint(value, column.dtype))
    return typed


def hint(value: object, dtype: DType) -> str:
    """What is said to someone whose value is of the right kind, after what was expected."""
    kind = (dtype.item or dtype).kind
    if kind in _FLOAT_DIGITS and isinstance(value, int) and not isinstance(value, bool):
        return ", which has no such whole number"
    if kind is Kind.FLOAT32 and isinstance(value, float):
        return ", which has no such large number"
    return _EXACT.get(kind, "")


def typed_value(value: object, dtype: DType) -> object:  # noqa: PLR0911 - one answer for each kind
    """A value of JSON as its type's Python value; None if it is not one."""
    match dtype.kind:
        case Kind.STRING:
            return value if isinstance(value, str) and _is_unicode(value) else None
        case Kind.BOOL:
            return value if isinstance(value, bool) else None
        case Kind.INT8 | Kind.INT16 | Kind.INT32 | Kind.INT64:
            return value if _is_integer(value, _INTEGER_BITS[dtype.kind]) else None
        case Kind.FLOAT32 | Kind.FLOAT64:
            return _float(value, dtype.kind)
        case Kind.DATE:
            return _date(value)
        case Kind.TIMESTAMP:
            return _timestamp(value)
        case Kind.DECIMAL:
            return _decimal(value, dtype)
        case Kind.LIST:
            return _list(value, dtype)
        case Kind.EMBEDDING:
            return _embedding(value, dtype.size)
        case _:
            assert_never(dtype.kind)


def _decimal(value: object, dtype: DType) -> Decimal | None:
    """Exactly the value, or none: what a float prints is not what it is, so floats are not taken."""
    if not isinstance(value, str | int | Decimal) or isinstance(value, bool):
        return None
    exactly = Context(prec=dtype.precision, traps=[Inexact, InvalidOperation])
    try:
        given = Decimal(value)
        return exactly.quantize(given, Decimal((0, (1,), -dtype.scale))) if given.is_finite() else None
    except (Inexact, InvalidOperation, ValueError):
        return None


def _list(value: object, dtype: DType) -> list[object] | None:
    if dtype.item is None or not isinstance(value, list | tuple):
        return None
    items = [None if item is None else typed_value(item, dtype.item) for item in value]
    is_typed = all(typed is not None or item is None for typed, item in zip(items, value, strict=True))
    return items if is_typed else None


def _embedding(value: object, size: int) -> list[float] | None:
    if not isinstance(value, list | tuple) or len(value) != size:
        return None
    items = [item for item in (_float(item, Kind.FLOAT32) for item in value) if item is not None]
    return items if len(items) == size else None


def _float(value: object, kind: Kind) -> float | None:
    """JSON has no NaN and no infinities: they are spelled out, as dates are. A float becomes the nearest of its type,
    as its text did before; an integer is the float, or none."""
    if isinstance(value, float):
        return value if math.isinf(value) or not abs(value) >= _TOO_LARGE[kind] else None
    if isinstance(value, str):
        return float(value) if value in ("NaN", "Infinity", "-Infinity") else None
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except OverflowError:  # beyond every double
        return None
    return number if abs(number) < _TOO_LARGE[kind] and _is_exactly(number, value, kind) else None


def _is_exactly(number: float, value: int, kind: Kind) -> bool:
    """Whether the integer is a float of this kind; or is what the double is written as, since many write whole ones
    without a point: 1e23 is no sum of so few powers of two."""
    lowest = value & -value
    if abs(value).bit_length() - lowest.bit_length() < _FLOAT_DIGITS[kind]:
        return True
    return kind is Kind.FLOAT64 and Decimal(repr(number)) == value


def _is_integer(value: object, bits: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -(1 << bits - 1) <= value < 1 << bits - 1


def _is_unicode(value: str) -> bool:
    """A lone surrogate is a str and no text: it can not be stored anywhere."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _date(value: object) -> date | None:
    if isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            return None
    return value if isinstance(value, date) and not isinstance(value, datetime) else None


def _timestamp(value: object) -> datetime | None:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    try:
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError:  # before the year 1 or after 9999 in UTC
        return None
