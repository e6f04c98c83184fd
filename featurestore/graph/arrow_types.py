"""Our types and Arrow's, each told in the other's terms."""

from __future__ import annotations

import pyarrow as pa

from featurestore.graph.resolved import Column
from featurestore.spec.dtypes import DType

_ARROW: dict[DType, pa.DataType] = {
    DType.BOOL: pa.bool_(),
    DType.INT8: pa.int8(),
    DType.INT16: pa.int16(),
    DType.INT32: pa.int32(),
    DType.INT64: pa.int64(),
    DType.FLOAT32: pa.float32(),
    DType.FLOAT64: pa.float64(),
    DType.STRING: pa.string(),
    DType.DATE: pa.date32(),
    DType.TIMESTAMP: pa.timestamp("us", tz="UTC"),
}
_DTYPES = {arrow: dtype for dtype, arrow in _ARROW.items()}


def arrow_type(dtype: DType) -> pa.DataType:
    return _ARROW[dtype]


def dtype_of(arrow: pa.DataType) -> DType | None:
    """Our type for an Arrow type whose values it holds without change; None where there is none."""
    if pa.types.is_timestamp(arrow) and arrow.unit != "ns":
        return DType.TIMESTAMP
    if pa.types.is_large_string(arrow) or pa.types.is_string_view(arrow):
        return DType.STRING
    return _DTYPES.get(arrow)


def is_moment(arrow: pa.DataType) -> bool:
    """Whether a column of this type can say when something happened."""
    return bool(pa.types.is_timestamp(arrow) or pa.types.is_date(arrow))


def arrow_schema(columns: tuple[Column, ...]) -> pa.Schema:
    return pa.schema([pa.field(column.name, _ARROW[column.dtype]) for column in columns])
