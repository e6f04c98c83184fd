"""Our types as the engine's, in trees."""

from __future__ import annotations

from sqlglot import exp

from featurestore.spec.dtypes import DType, Kind

_SQL_TYPES = {
    Kind.BOOL: exp.DType.BOOLEAN,
    Kind.INT8: exp.DType.TINYINT,
    Kind.INT16: exp.DType.SMALLINT,
    Kind.INT32: exp.DType.INT,
    Kind.INT64: exp.DType.BIGINT,
    Kind.FLOAT32: exp.DType.FLOAT,
    Kind.FLOAT64: exp.DType.DOUBLE,
    Kind.STRING: exp.DType.VARCHAR,
    Kind.DATE: exp.DType.DATE,
    Kind.TIMESTAMP: exp.DType.TIMESTAMPTZ,
}


def sql_type(dtype: DType) -> exp.DataType:
    """The type such as `BIGINT`, `DECIMAL(18, 2)`, `BIGINT[]` or `REAL[3]`."""
    match dtype.kind:
        case Kind.DECIMAL:
            digits = [exp.DataTypeParam(this=exp.Literal.number(count)) for count in (dtype.precision, dtype.scale)]
            return exp.DataType(this=exp.DType.DECIMAL, expressions=digits, nested=False)
        case Kind.LIST:
            assert dtype.item is not None  # noqa: S101 - a list has items
            return exp.DataType(this=exp.DType.ARRAY, expressions=[sql_type(dtype.item)], nested=True)
        case Kind.EMBEDDING:
            return sized_list(DType.FLOAT32, dtype.size)
        case _:
            return exp.DataType(this=_SQL_TYPES[dtype.kind])


def sized_list(item: DType, size: int) -> exp.DataType:
    """Lists that all have one size, which is part of the engine's type."""
    sizes = [exp.Literal.number(size)]
    return exp.DataType(this=exp.DType.ARRAY, expressions=[sql_type(item)], values=sizes, nested=True)
