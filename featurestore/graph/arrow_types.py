"""Our types and Arrow's, each told in the other's terms."""

from __future__ import annotations

from typing import assert_never

import pyarrow as pa

from featurestore.graph.resolved import Column
from featurestore.spec.dtypes import MOST_DIGITS, MOST_ITEMS, SCALARS, Decimal, DType, Embedding, Kind, List

ITEM = "element"
"""What the items of lists are called, as in Parquet: so a list has the same type before it is written and after."""


def arrow_type(dtype: DType) -> pa.DataType:  # noqa: C901, PLR0911, PLR0912 - one answer for each kind
    match dtype.kind:
        case Kind.BOOL:
            return pa.bool_()
        case Kind.INT8:
            return pa.int8()
        case Kind.INT16:
            return pa.int16()
        case Kind.INT32:
            return pa.int32()
        case Kind.INT64:
            return pa.int64()
        case Kind.FLOAT32:
            return pa.float32()
        case Kind.FLOAT64:
            return pa.float64()
        case Kind.STRING:
            return pa.string()
        case Kind.DATE:
            return pa.date32()
        case Kind.TIMESTAMP:
            return pa.timestamp("us", tz="UTC")
        case Kind.DECIMAL:
            return pa.decimal128(dtype.precision, dtype.scale)
        case Kind.LIST:
            assert dtype.item is not None  # noqa: S101 - a list has items
            return pa.list_(pa.field(ITEM, arrow_type(dtype.item)))
        case Kind.EMBEDDING:
            return pa.list_(pa.field(ITEM, pa.float32()), dtype.size)
        case _:
            assert_never(dtype.kind)


_SCALARS = {arrow_type(dtype): dtype for dtype in SCALARS}


def dtype_of(arrow: pa.DataType) -> DType | None:
    """Our type for an Arrow type whose values it holds without change; None where there is none."""
    if pa.types.is_timestamp(arrow) and arrow.unit != "ns":
        return DType.TIMESTAMP
    if pa.types.is_large_string(arrow) or pa.types.is_string_view(arrow):
        return DType.STRING
    if pa.types.is_decimal(arrow) and arrow.precision <= MOST_DIGITS and 0 <= arrow.scale <= arrow.precision:
        return Decimal(arrow.precision, arrow.scale)
    if pa.types.is_fixed_size_list(arrow):
        fits = arrow.value_type == pa.float32() and 1 <= arrow.list_size <= MOST_ITEMS
        return Embedding(arrow.list_size) if fits else None
    if is_list(arrow):
        item = dtype_of(arrow.value_type)
        return List(item) if item is not None and (item.is_scalar or item.kind is Kind.DECIMAL) else None
    return _SCALARS.get(arrow)


def is_list(arrow: pa.DataType) -> bool:
    """Whether a column of this type holds lists of any length. List views are not among them: casting one to a list
    empties it (pyarrow 26)."""
    return bool(pa.types.is_list(arrow) or pa.types.is_large_list(arrow))


_ENGINE_KNOWS = ("arrow.uuid", "arrow.json")
"""Extension types that are types of the engine's, too; of others it reads what they are stored as."""


def same_values(arrow: pa.DataType) -> pa.DataType:  # noqa: PLR0911 - one answer for each kind
    """One type for all that hold the same values and are written in another way: text as `large_string`, in views or in
    a dictionary, moments in other units, what the items of a list are called and whether they may be null."""
    if pa.types.is_dictionary(arrow) or pa.types.is_run_end_encoded(arrow):
        return same_values(arrow.value_type)
    if isinstance(arrow, pa.BaseExtensionType) and arrow.extension_name not in _ENGINE_KNOWS:
        return same_values(arrow.storage_type)
    if pa.types.is_float16(arrow):
        return pa.float32()  # which holds every half, as engines do that have none
    if pa.types.is_timestamp(arrow):
        return pa.timestamp("us", arrow.tz and "UTC")
    if pa.types.is_large_string(arrow) or pa.types.is_string_view(arrow):
        return pa.string()
    if pa.types.is_large_binary(arrow) or pa.types.is_binary_view(arrow):
        return pa.binary()
    if pa.types.is_decimal(arrow) and arrow.precision <= MOST_DIGITS:
        return pa.decimal128(arrow.precision, arrow.scale)
    return _same_nested(arrow)


def _same_nested(arrow: pa.DataType) -> pa.DataType:
    if pa.types.is_fixed_size_list(arrow):
        return pa.list_(pa.field(ITEM, same_values(arrow.value_type)), arrow.list_size)
    if is_list(arrow):
        return pa.list_(pa.field(ITEM, same_values(arrow.value_type)))
    if pa.types.is_struct(arrow):
        return pa.struct([(field.name, same_values(field.type)) for field in arrow.fields])
    if pa.types.is_map(arrow):
        return pa.map_(same_values(arrow.key_type), same_values(arrow.item_type))
    return arrow


def is_moment(arrow: pa.DataType) -> bool:
    """Whether a column of this type can say when something happened."""
    return bool(pa.types.is_timestamp(arrow) or pa.types.is_date(arrow))


def arrow_schema(columns: tuple[Column, ...]) -> pa.Schema:
    return pa.schema([pa.field(column.name, arrow_type(column.dtype)) for column in columns])
