"""An online request's rows: values checked against the types of keys and inputs; errors name row and column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime

from featurestore.errors import EntityRowsError, suggestion
from featurestore.graph.resolved import Column
from featurestore.spec.dtypes import DType

_INTEGER_BITS = {DType.INT8: 8, DType.INT16: 16, DType.INT32: 32, DType.INT64: 64}
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
        raise EntityRowsError(f"Row {index}: '{column.name}' is {shown}, expected {column.dtype.value}")
    return typed


def _typed(value: object, dtype: DType) -> object:
    """The value as its type's Python value; None if it is not one."""
    match dtype:
        case DType.STRING:
            return value if isinstance(value, str) and _is_unicode(value) else None
        case DType.BOOL:
            return value if isinstance(value, bool) else None
        case DType.INT8 | DType.INT16 | DType.INT32 | DType.INT64:
            return value if _is_integer(value, _INTEGER_BITS[dtype]) else None
        case DType.FLOAT32 | DType.FLOAT64:
            return _float(value)
        case DType.DATE:
            return _date(value)
        case DType.TIMESTAMP:
            return _timestamp(value)


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
