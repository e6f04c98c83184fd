"""The engine's names of types, as it tells the type of an expression, in Arrow's terms."""

from __future__ import annotations

import re

import pyarrow as pa

from featurestore.graph.arrow_types import ITEM, arrow_type
from featurestore.spec.dtypes import DType

_SCALARS = {
    "BOOLEAN": DType.BOOL,
    "TINYINT": DType.INT8,
    "SMALLINT": DType.INT16,
    "INTEGER": DType.INT32,
    "BIGINT": DType.INT64,
    "FLOAT": DType.FLOAT32,
    "DOUBLE": DType.FLOAT64,
    "VARCHAR": DType.STRING,
    "DATE": DType.DATE,
    "TIMESTAMP WITH TIME ZONE": DType.TIMESTAMP,
}
_DECIMAL = re.compile(r"DECIMAL\(([0-9]+),([0-9]+)\)")


def arrow_type_named(name: str) -> pa.DataType | None:
    """None for a type that features can not have as it is: HUGEINT, INTERVAL, TIMESTAMP without a zone, structs.

    >>> arrow_type_named("DECIMAL(18,2)")
    Decimal128Type(decimal128(18, 2))
    """
    if scalar := _SCALARS.get(name):
        return arrow_type(scalar)
    if found := _DECIMAL.fullmatch(name):
        return pa.decimal128(int(found[1]), int(found[2]))
    if name.endswith("[]") and (item := arrow_type_named(name[:-2])) is not None and not pa.types.is_nested(item):
        return pa.list_(pa.field(ITEM, item))
    return None
