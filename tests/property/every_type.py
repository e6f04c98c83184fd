"""Random values of every type, with those that are easily lost coming often."""

from __future__ import annotations

import math
from datetime import UTC
from decimal import Decimal
from typing import assert_never

from hypothesis import strategies as st

from featurestore.spec import dtypes
from featurestore.spec.dtypes import DType, Kind

_BITS = {Kind.INT8: 8, Kind.INT16: 16, Kind.INT32: 32, Kind.INT64: 64}

TYPES = (
    *dtypes.SCALARS,
    dtypes.Decimal(9, 2),
    dtypes.Decimal(18, 18),
    dtypes.Decimal(38, 10),
    *(dtypes.List(dtype) for dtype in dtypes.SCALARS),
    dtypes.List(dtypes.Decimal(38)),
    dtypes.Embedding(1),
    dtypes.Embedding(5),
)


def values(dtype: DType) -> st.SearchStrategy[object]:  # noqa: C901, PLR0911 - one answer for each kind
    """Values of a type, null not among them."""
    match dtype.kind:
        case Kind.BOOL:
            return st.booleans()
        case Kind.INT8 | Kind.INT16 | Kind.INT32 | Kind.INT64:
            half = 1 << _BITS[dtype.kind] - 1
            return st.integers(-half, half - 1)
        case Kind.FLOAT32:
            return _often((-0.0, 0.0, math.nan), st.floats(width=32))
        case Kind.FLOAT64:
            return _often((-0.0, 0.0, math.nan), st.floats())
        case Kind.STRING:
            return st.text(st.characters(codec="utf-8"))
        case Kind.DATE:
            return st.dates()
        case Kind.TIMESTAMP:
            return st.datetimes(timezones=st.just(UTC))
        case Kind.DECIMAL:
            most = 10**dtype.precision - 1
            return st.integers(-most, most).map(lambda digits: Decimal(f"{digits}E-{dtype.scale}"))
        case Kind.LIST:
            assert dtype.item is not None
            return st.lists(st.none() | values(dtype.item), max_size=4)
        case Kind.EMBEDDING:
            return st.lists(values(DType.FLOAT32), min_size=dtype.size, max_size=dtype.size)
        case _:
            assert_never(dtype.kind)


def exact(value: object) -> object:
    """The value in a form in which NaN equals NaN, 0.0 is not -0.0, and 1 is not True."""
    match value:
        case float():
            return "nan" if math.isnan(value) else (math.copysign(1.0, value), value)
        case list():
            return [exact(item) for item in value]
        case _:
            return type(value), value


def _often(some: tuple[float, ...], others: st.SearchStrategy[float]) -> st.SearchStrategy[float]:
    return st.sampled_from(some) | others
