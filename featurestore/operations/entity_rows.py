"""An online request's rows: values checked against the types of keys and inputs; errors name row and column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import assert_never

from featurestore.errors import EntityRowsError, suggestion
from featurestore.graph.resolved import Column
from featurestore.spec.dtypes import DType, Kind

_INTEGER_BITS = {Kind.INT8: 8, Kind.INT16: 16, Kind.INT32: 32, Kind.INT64: 64}
_EXACT = {Kind.DECIMAL: ", as text such as '1.50', a Decimal or an integer, with no more digits than that"}
"""What is said to someone who tried another way."""
Row = Mapping[str, object]


def typed_columns(rows: Sequence[Row], columns: tuple[Column, ...]) -> dict[str, list[object]]:
    """The columns' values, row by row, as Python values of their types; a null stays None.

    Raises EntityRowsError for a row that lacks a column or has a value of another type.
    """
    return {column.name: [_value(row, index, column) for index, row in enumerate(rows)] for column in columns}


def _value(row: Row, index: int, column: Column) -> object:
    try:
        value = row[column.name]
    except KeyError as error:
        raise EntityRowsError(
            f"Row {index} has no '{column.name}' ({column.dtype.value}). {suggestion(column.name, row)}"
        ) from error
    except TypeError as error:
        raise EntityRowsError(
            f"Row {index} is {type(row).__name__}, expected a mapping of columns to values"
        ) from error
    if value is None:
        return None
    typed = _typed(value, column.dtype)
    if typed is None:
        shown = f"{value!r}"[:80]
        hint = _EXACT.get((column.dtype.item or column.dtype).kind, "")
        raise EntityRowsError(f"Row {index}: '{column.name}' is {shown}, expected {column.dtype.value}{hint}")
    return typed


def _typed(value: object, dtype: DType) -> object:  # noqa: PLR0911 - one answer for each kind
    """The value as its type's Python value; None if it is not one."""
    match dtype.kind:
        case Kind.STRING:
            return value if isinstance(value, str) and _is_unicode(value) else None
        case Kind.BOOL:
            return value if isinstance(value, bool) else None
        case Kind.INT8 | Kind.INT16 | Kind.INT32 | Kind.INT64:
            return value if _is_integer(value, _INTEGER_BITS[dtype.kind]) else None
        case Kind.FLOAT32 | Kind.FLOAT64:
            return _float(value)
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
    items = [None if item is None else _typed(item, dtype.item) for item in value]
    is_typed = all(typed is not None or item is None for typed, item in zip(items, value, strict=True))
    return items if is_typed else None


def _embedding(value: object, size: int) -> list[float] | None:
    if not isinstance(value, list | tuple) or len(value) != size:
        return None
    items = [item for item in map(_float, value) if item is not None]
    return items if len(items) == size else None


def _float(value: object) -> float | None:
    """JSON has no NaN and no infinities: they are spelled out, as dates are."""
    if isinstance(value, str):
        return float(value) if value in ("NaN", "Infinity", "-Infinity") else None
    try:
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
    except OverflowError:  # an integer beyond every double
        return None


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
