"""The types that keys, features and request inputs can have."""

from __future__ import annotations

from enum import Enum


class DType(Enum):
    """A column's type. The same type is kept offline, online and at the client: nothing is widened on the way."""

    BOOL = "bool"
    INT8 = "int8"
    INT16 = "int16"
    INT32 = "int32"
    INT64 = "int64"
    FLOAT32 = "float32"
    FLOAT64 = "float64"
    STRING = "string"
    DATE = "date"
    TIMESTAMP = "timestamp"

    @property
    def is_integer(self) -> bool:
        return self in (DType.INT8, DType.INT16, DType.INT32, DType.INT64)

    @property
    def is_float(self) -> bool:
        return self in (DType.FLOAT32, DType.FLOAT64)

    @property
    def can_be_key(self) -> bool:
        """Floats can not: NaN and rounding make equality unreliable."""
        return not self.is_float


Bool = DType.BOOL
Int8 = DType.INT8
Int16 = DType.INT16
Int32 = DType.INT32
Int64 = DType.INT64
Float32 = DType.FLOAT32
Float64 = DType.FLOAT64
String = DType.STRING
Date = DType.DATE
Timestamp = DType.TIMESTAMP
