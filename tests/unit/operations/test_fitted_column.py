"""What fits what: a column becomes the same values of our type, or is refused with the first row that is none."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from featurestore.graph.arrow_types import arrow_type
from featurestore.operations.entity_rows import typed_value
from featurestore.operations.fitted_column import as_moments, converted, misfit, moment_misfit
from featurestore.spec import dtypes
from featurestore.spec.dtypes import DType
from tests.property.every_type import exact

NOON = datetime(2024, 3, 10, 12, tzinfo=UTC)
MIDNIGHT = datetime(2024, 3, 10, tzinfo=UTC)
MICROSECONDS = pa.timestamp("us", "UTC")
NOT_UTF8 = pa.Array.from_buffers(
    pa.string(), 2, [None, pa.py_buffer(bytes(8) + b"\2\0\0\0"), pa.py_buffer(b"\xff\xfe")]
)
LARGEST = 3.4028234663852886e38


def column(values: Any, kind: pa.DataType | None = None) -> pa.ChunkedArray:
    return pa.chunked_array([values if isinstance(values, pa.Array) else pa.array(values, kind)])


def told(values: pa.ChunkedArray, dtype: DType) -> str:
    found = misfit(values, dtype)
    assert found is not None
    return found.told


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        (column([2**63 - 1, None], pa.uint64()), DType.INT64, [2**63 - 1, None]),
        (column([127], pa.int64()), DType.INT8, [127]),
        (column([2**53, -(2**60), 2**53 + 2]), DType.FLOAT64, [2.0**53, -(2.0**60), 2.0**53 + 2]),
        (column([2**63], pa.uint64()), DType.FLOAT64, [2.0**63]),
        (column([2**24, 2**30, None]), DType.FLOAT32, [2.0**24, 2.0**30, None]),
        (column([LARGEST, math.inf, math.nan, 1e-50]), DType.FLOAT32, [LARGEST, math.inf, math.nan, 0.0]),
        (column([0.5], pa.float16()), DType.FLOAT32, [0.5]),
        (column(["a", None], pa.large_string()), DType.STRING, ["a", None]),
        (column(pa.array(["a", "b", "a"]).dictionary_encode()), DType.STRING, ["a", "b", "a"]),
        (column([date(2024, 3, 10)], pa.date64()), DType.DATE, [date(2024, 3, 10)]),
        (column([MIDNIGHT, None], MICROSECONDS), DType.DATE, [date(2024, 3, 10), None]),
        (column([MIDNIGHT - timedelta(hours=9)], pa.timestamp("s", "Asia/Tokyo")), DType.DATE, [date(2024, 3, 10)]),
        (column([-86_400 * 10**9], pa.timestamp("ns")), DType.DATE, [date(1969, 12, 31)]),
        (column([Decimal("1.500")]), dtypes.Decimal(4, 2), [Decimal("1.50")]),
        (column([Decimal("12E2")], pa.decimal128(4, -2)), dtypes.Decimal(6, 2), [Decimal("1200.00")]),
        (column([2**64 - 1], pa.uint64()), dtypes.Decimal(20), [Decimal(2**64 - 1)]),
        (column([[1, None], None, []], pa.list_(pa.int8())), dtypes.List(DType.FLOAT64), [[1.0, None], None, []]),
        (column([[1.5], None, [2.5]]).slice(1), dtypes.List(DType.FLOAT32), [None, [2.5]]),
        (column([[1, 2], None], pa.list_(pa.int64(), 2)), dtypes.Embedding(2), [[1.0, 2.0], None]),
        (column([None, [1.0, 2.0]]), dtypes.Embedding(2), [None, [1.0, 2.0]]),
        (column([[]], pa.list_(pa.null())), dtypes.List(DType.DATE), [[]]),
        (column(pa.nulls(2)), dtypes.Embedding(2), [None, None]),
        (pa.chunked_array([], pa.list_(pa.int8())), dtypes.List(DType.INT64), []),
    ],
)
def test_what_fits_is_the_same_value(values: pa.ChunkedArray, dtype: DType, expected: list[object]) -> None:
    assert misfit(values, dtype) is None

    found = converted(values, dtype)

    assert found.type == arrow_type(dtype)
    assert exact(found.to_pylist()) == exact(expected)


@pytest.mark.parametrize(
    ("values", "dtype", "message"),
    [
        (column([1, 2, 2**31]), DType.INT32, "does not fit int32: row 2 has 2147483648"),
        (column([2**63], pa.uint64()), DType.INT64, "does not fit int64: row 0 has 9223372036854775808"),
        (column([1, 2**53 + 1, 1]), DType.FLOAT64, "does not fit float64: row 1 has 9007199254740993"),
        (column([2**63 - 1]), DType.FLOAT64, "does not fit float64: row 0 has 9223372036854775807"),
        (column([2**64 - 1], pa.uint64()), DType.FLOAT64, "does not fit float64: row 0 has 18446744073709551615"),
        (column([2**24 + 1]), DType.FLOAT32, "does not fit float32: row 0 has 16777217"),
        (
            column([1.0, math.nan, 1e308]),
            DType.FLOAT32,
            "row 2 has 1e+308, and the type has no such number",
        ),
        (column([7.0]), DType.INT64, "is double, and int64 is needed: convert it"),
        (column(["7"]), DType.INT64, "is string, and int64 is needed: convert it"),
        (column([True]), DType.INT64, "is bool, and int64 is needed: convert it"),
        (column([1]), DType.BOOL, "is int64, and bool is needed: convert it"),
        (column([1]), DType.STRING, "is int64, and string is needed: convert it"),
        (column([b"a"]), DType.STRING, "is binary, and string is needed: convert it"),
        (column(NOT_UTF8), DType.STRING, "does not fit string: row 1 has a string that is none"),
        (column(["2024-03-10"]), DType.DATE, "is string, and date is needed: convert it"),
        (
            column([MIDNIGHT, NOON], MICROSECONDS),
            DType.DATE,
            "12:00:00+00:00, and a date has no time of day",
        ),
        (column([MIDNIGHT], pa.timestamp("s", "Asia/Tokyo")), DType.DATE, "row 0 has 2024-03-10T09:00:00+09:00"),
        (column([0], pa.timestamp("us", "Nowhere/Land")), DType.DATE, "does not fit date: row 0 has"),
        (column([2**62], pa.timestamp("s")), DType.DATE, "does not fit date: row 0 has"),
        (column([1], pa.timestamp("us")), DType.DATE, "does not fit date: row 0 has 1970-01-01T00:00:00.000001"),
        (column(pa.array([1]).view(pa.date64())), DType.DATE, "does not fit date: row 0 has"),
        (column([4_000_000], pa.date32()), DType.DATE, "does not fit date: row 0 has"),
        (column([0, 2**62], pa.timestamp("s")), DType.TIMESTAMP, "does not fit timestamp: row 1 has"),
        (column([-(2**62)], pa.timestamp("us")), DType.TIMESTAMP, "does not fit timestamp: row 0 has"),
        (column([date(2024, 3, 10)]), DType.TIMESTAMP, "is date32[day], and timestamp is needed: convert it"),
        (column([Decimal("0.001")]), dtypes.Decimal(6, 2), "does not fit decimal(6, 2): row 0 has Decimal('0.001')"),
        (column([10_000]), dtypes.Decimal(6, 2), "does not fit decimal(6, 2): row 0 has 10000"),
        (column([1.5]), dtypes.Decimal(6, 2), "is double, and decimal(6, 2) is needed: convert it"),
        (column([[1e308]]), dtypes.List(DType.FLOAT32), "does not fit list(float32): row 0 has [1e+308]"),
        (column([[0], [2**53 + 1]]), dtypes.List(DType.FLOAT64), "does not fit list(float64): row 1 has"),
        (column([[NOON]], pa.list_(MICROSECONDS)), dtypes.List(DType.DATE), "does not fit list(date): row 0 has"),
        (column([[True]]), dtypes.List(DType.INT64), "is list<item: bool>, and list(int64) is needed: convert it"),
        (column([[1e300, 1.0]]), dtypes.Embedding(2), "does not fit embedding(2): row 0 has [1e+300, 1.0]"),
        (column([[1.0, 2.0], [1.0]]), dtypes.Embedding(2), "does not fit embedding(2): row 1 has [1.0]"),
        (column([[1.0, None]]), dtypes.Embedding(2), "row 0 has [1.0, None], and an embedding has no null items"),
    ],
)
def test_what_does_not_fit_is_told_with_the_first_such_row(values: pa.ChunkedArray, dtype: DType, message: str) -> None:
    assert message in told(values, dtype)


def test_the_row_is_counted_over_all_pieces_of_a_column() -> None:
    values = pa.chunked_array([pa.array([1] * 10), pa.array([], pa.int64()), pa.array([1, 1, 300, 400])])

    assert told(values, DType.INT8) == "does not fit int8: row 12 has 300"


INTEGERS = [0, -1, 127, 128, 2**24, 2**24 + 1, -(2**31), 2**53, 2**53 + 1, 2**53 + 2, 2**60, -(2**63), 2**63 - 1]
ABOVE_IT, TOO_LARGE = math.nextafter(LARGEST, math.inf), 2.0**128 - 2.0**103
FLOATS = [0.1, -0.0, 1e-50, LARGEST, ABOVE_IT, TOO_LARGE, 1e308, math.inf, math.nan]
DECIMALS = [Decimal("1.5"), Decimal("99.99"), Decimal("1.555"), Decimal("-100")]
MOMENTS = [NOON, MIDNIGHT, datetime(1, 1, 1, tzinfo=UTC), datetime.max.replace(tzinfo=UTC)]
NUMBERS = (
    DType.INT8, DType.INT32, DType.INT64, DType.FLOAT32, DType.FLOAT64, dtypes.Decimal(4, 2), dtypes.Decimal(38),
    DType.BOOL, DType.STRING, DType.TIMESTAMP, dtypes.List(DType.FLOAT32), dtypes.Embedding(1),
)  # fmt: skip


def pairs() -> Iterator[tuple[object, DType]]:
    for value in (*INTEGERS, *FLOATS, *DECIMALS, *MOMENTS, True, "text"):
        for dtype in NUMBERS:
            yield value, dtype
            yield [value], dtype


@pytest.mark.parametrize("dtype", NUMBERS, ids=str)
def test_a_column_and_a_plain_value_fit_the_same_types(dtype: DType) -> None:
    """And become the same value, as Arrow holds it."""
    for value, asked in pairs():
        if asked is not dtype:
            continue
        plain, values = typed_value(value, dtype), column([value])

        fits = misfit(values, dtype) is None

        assert fits == (plain is not None), (value, dtype)
        if fits:
            assert exact(converted(values, dtype)[0].as_py()) == exact(pa.array([plain], arrow_type(dtype))[0].as_py())


@pytest.mark.parametrize(
    ("values", "moment"),
    [
        (pa.array([-1], pa.timestamp("ns")), datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)),
        (pa.array([-(2**63)], pa.timestamp("ns")), datetime(1677, 9, 21, 0, 12, 43, 145_224, tzinfo=UTC)),
        (pa.array([1], pa.timestamp("ns", "Nowhere/Land")), datetime(1970, 1, 1, tzinfo=UTC)),
        (
            pa.array(
                [1_383_458_400_000_001_999], pa.timestamp("ns", "America/New_York")
            ),  # an hour that is there twice
            datetime(2013, 11, 3, 6, 0, 0, 1, tzinfo=UTC),
        ),
    ],
)
def test_nanoseconds_are_floored_whatever_the_zone_and_the_century(values: pa.Array, moment: datetime) -> None:
    assert as_moments(column(values)).to_pylist() == [moment]


@pytest.mark.parametrize("kind", [pa.timestamp("s"), pa.timestamp("ms"), pa.timestamp("us"), pa.date32()], ids=str)
def test_a_moment_beyond_the_years_that_there_are_is_told(kind: pa.DataType) -> None:
    most = 2**31 - 1 if kind == pa.date32() else 2**63 - 1
    found = moment_misfit(column(pa.array([0, most], pa.int32() if kind == pa.date32() else pa.int64()).view(kind)))

    assert found is not None
    assert found.told.startswith("holds a moment outside of the years 1 to 9999: row 1 has")
