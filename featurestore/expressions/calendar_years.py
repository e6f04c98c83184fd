"""The years in which Arrow and the engine agree on dates and timestamps.

The engine has infinite moments and rules of its own before the year 1; Arrow has neither.
"""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
from pyarrow import types

from featurestore.expressions.terms import Datum, cast_kernel, kernel

_FIRST_MICROSECOND = -62_135_596_800_000_000
_FIRST_DAY = -719_162
_FACTOR, _FACTOR_OF_DAYS = 58, 1176
"""Of 64 bits, and of 32, this part is little more than half of the years 1 to 9999."""
_subtract, _multiply = kernel("subtract_checked"), kernel("multiply_checked")


def within(moments: pa.DataType) -> Callable[[Datum], object]:
    """Makes Arrow refuse what lies before the year 1 or long after 9999, in two kernels and without a look at the
    values: the distance from the middle of those years overflows when it is multiplied."""
    if types.is_date(moments):
        return _reach(pa.int32(), _FIRST_DAY, _FACTOR_OF_DAYS)
    return _reach(pa.int64(), _FIRST_MICROSECOND, _FACTOR)


def _reach(integer: pa.DataType, first: int, factor: int) -> Callable[[Datum], object]:
    number, by = cast_kernel(integer), pa.scalar(factor, integer)
    center = pa.scalar(first + ((1 << integer.bit_width - 1) - 1) // factor, integer)
    return lambda value: _multiply(_subtract(number(value), center), by)
