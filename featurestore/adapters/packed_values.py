"""Values in msgpack, typed by their columns: what keys are made of, and what of a row has no fixed place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime
from decimal import Decimal
from itertools import repeat
from struct import Struct
from types import GenericAlias
from typing import Any

import pyarrow as pa

from featurestore.adapters.stored_moments import from_microseconds, to_microseconds
from featurestore.graph.arrow_types import arrow_type
from featurestore.graph.resolved import Column
from featurestore.spec.dtypes import DType, Kind

Conversion = Callable[[Any], object]

_FIRST_DAY = date(1970, 1, 1).toordinal()
_WIRE_TYPES: dict[Kind, type] = {
    Kind.BOOL: bool,
    Kind.FLOAT32: float,
    Kind.FLOAT64: float,
    Kind.STRING: str,
    Kind.DECIMAL: Decimal,
}  # all others but lists travel as integers
_KEY_TYPES: dict[DType, type] = {DType.BOOL: bool, DType.STRING: str, DType.DATE: date, DType.TIMESTAMP: datetime}


def key_types(columns: tuple[Column, ...]) -> tuple[type, ...]:
    """The Python types of a key's values."""
    return tuple(_KEY_TYPES.get(column.dtype, int) for column in columns)


def tuple_type(columns: tuple[Column, ...], *, nullable: bool) -> GenericAlias:
    """What msgspec checks while it decodes: as many values as columns, each of the column's type."""
    types = [_wire_type(column.dtype) for column in columns]
    return GenericAlias(tuple, tuple(type_ | None for type_ in types) if nullable else tuple(types))


def to_wire(dtype: DType) -> Conversion | None:
    """How a key's value becomes what is packed; None where it is that already."""
    return {DType.DATE: _to_days, DType.TIMESTAMP: to_microseconds}.get(dtype)


def from_wire(dtype: DType) -> Conversion | None:
    """How a value that was unpacked becomes the value it stands for; None where it is that already."""
    match dtype.kind:
        case Kind.DATE:
            return _from_days
        case Kind.TIMESTAMP:
            return from_microseconds
        case Kind.EMBEDDING:
            unpack = Struct(f"<{dtype.size}f").unpack
            return lambda data: list(unpack(data))
        case Kind.LIST:
            assert dtype.item is not None  # noqa: S101 - a list has items
            convert = from_wire(dtype.item)
            return None if convert is None else _of_items(convert)
        case _:
            return None


def conversions(
    columns: tuple[Column, ...], of: Callable[[DType], Conversion | None]
) -> tuple[tuple[int, Conversion], ...]:
    """Which positions need a conversion, and which; most tables need none."""
    found = ((index, of(column.dtype)) for index, column in enumerate(columns))
    return tuple((index, convert) for index, convert in found if convert is not None)


def converted(values: Iterable[object], needed: tuple[tuple[int, Conversion], ...]) -> tuple[object, ...]:
    changed = list(values)
    for index, convert in needed:
        changed[index] = convert(changed[index])
    return tuple(changed)


def wire_rows(batch: pa.RecordBatch, columns: tuple[Column, ...]) -> Iterator[tuple[object, ...]]:
    """For each row, what is packed of these columns."""
    if not columns:
        return repeat((), batch.num_rows)
    return zip(*[_wire_values(batch, column) for column in columns], strict=True)


def typed_array(batch: pa.RecordBatch, column: Column) -> pa.Array:
    """The column as an array of its own type, found by its name."""
    array, expected = batch.column(column.name), arrow_type(column.dtype)
    return array if array.type == expected else array.cast(expected)


def _to_days(day: date) -> int:
    return day.toordinal() - _FIRST_DAY


def _from_days(days: int) -> date:
    return date.fromordinal(days + _FIRST_DAY)


def _of_items(convert: Conversion) -> Conversion:
    return lambda items: [None if item is None else convert(item) for item in items]


def _wire_type(dtype: DType) -> Any:
    return GenericAlias(list, (_wire_type(dtype.item) | None,)) if dtype.item else _WIRE_TYPES.get(dtype.kind, int)


def _wire_values(batch: pa.RecordBatch, column: Column) -> list[Any]:
    array = typed_array(batch, column).cast(_wire_arrow(column.dtype))
    if pa.types.is_integer(array.type) and not array.null_count:
        numbers: list[Any] = array.to_numpy().tolist()  # five times as fast as Arrow's own list
        return numbers
    values: list[Any] = array.to_pylist()
    return values


def _wire_arrow(dtype: DType) -> pa.DataType:
    """What a column is cast to, to be packed: days and microseconds are integers, in lists too."""
    match dtype.kind:
        case Kind.TIMESTAMP:
            return pa.int64()
        case Kind.DATE:
            return pa.int32()
        case Kind.LIST:
            assert dtype.item is not None  # noqa: S101 - a list has items
            return pa.list_(_wire_arrow(dtype.item))
        case _:
            return arrow_type(dtype)
