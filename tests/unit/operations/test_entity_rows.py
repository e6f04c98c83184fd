"""An online request's rows: values of the right types, or an error that names row and column."""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from featurestore.errors import EntityRowsError
from featurestore.graph.resolved import Column
from featurestore.operations.entity_rows import typed_columns, typed_value
from featurestore.spec import dtypes
from featurestore.spec.dtypes import DType
from tests.property.every_type import TYPES, exact


def typed(value: object, dtype: DType) -> object:
    return typed_columns([{"key": value}], (Column("key", dtype),))["key"][0]


@pytest.mark.parametrize(
    ("value", "dtype", "expected"),
    [
        ("N1", DType.STRING, "N1"),
        ("", DType.STRING, ""),
        (True, DType.BOOL, True),
        (-128, DType.INT8, -128),
        (2**63 - 1, DType.INT64, 2**63 - 1),
        (1, DType.FLOAT64, 1.0),
        ("-Infinity", DType.FLOAT64, float("-inf")),
        ("2013-03-10", DType.DATE, date(2013, 3, 10)),
        (date(2013, 3, 10), DType.DATE, date(2013, 3, 10)),
        ("2013-03-10T12:00:00", DType.TIMESTAMP, datetime(2013, 3, 10, 12, tzinfo=UTC)),
        ("2013-03-10T12:00:00+02:00", DType.TIMESTAMP, datetime(2013, 3, 10, 10, tzinfo=UTC)),
        ("1.5", dtypes.Decimal(4, 2), Decimal("1.50")),
        ("-1e1", dtypes.Decimal(4, 2), Decimal("-10.00")),
        (Decimal("99.990"), dtypes.Decimal(4, 2), Decimal("99.99")),
        (7, dtypes.Decimal(38, 37), Decimal(7)),
        (10**38 - 1, dtypes.Decimal(38), Decimal(10**38 - 1)),
        ((1, None), dtypes.List(DType.INT8), [1, None]),
        ([], dtypes.List(DType.STRING), []),
        (["2013-03-10"], dtypes.List(DType.DATE), [date(2013, 3, 10)]),
        ([1, "NaN"], dtypes.List(DType.FLOAT64), [1.0, math.nan]),
        ([1, 0.5], dtypes.Embedding(2), [1.0, 0.5]),
    ],
)
def test_a_value_becomes_its_types_python_value(value: object, dtype: DType, expected: object) -> None:
    found = typed(value, dtype)

    assert exact(found) == exact(expected)


@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_null_is_a_value_of_every_type(dtype: DType) -> None:
    assert typed(None, dtype) is None


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (1, DType.STRING),
        ("\ud800", DType.STRING),
        (1, DType.BOOL),
        ("true", DType.BOOL),
        (128, DType.INT8),
        (True, DType.INT64),
        (1.0, DType.INT64),
        ("1", DType.INT64),
        (2**63, DType.INT64),
        (True, DType.FLOAT64),
        ("1.5", DType.FLOAT64),
        ("yesterday", DType.DATE),
        (datetime(2013, 3, 10, tzinfo=UTC), DType.DATE),
        ("12 o'clock", DType.TIMESTAMP),
        (0, DType.TIMESTAMP),
        ("0001-01-01T00:00:00+05:00", DType.TIMESTAMP),
        ([], DType.STRING),
        ("x", dtypes.List(DType.STRING)),
        ([128], dtypes.List(DType.INT8)),
        ([[1]], dtypes.List(DType.INT8)),
        ([1.0], dtypes.Embedding(2)),
        ([1.0, None], dtypes.Embedding(2)),
        ([1.0, "x"], dtypes.Embedding(2)),
        ("[1, 2]", dtypes.Embedding(2)),
    ],
)
def test_a_value_of_another_type_is_refused_with_row_and_column(value: object, dtype: DType) -> None:
    with pytest.raises(EntityRowsError, match=rf"Row 0: 'key' is .*, expected {re.escape(dtype.value)}$"):
        typed(value, dtype)


@pytest.mark.parametrize(
    ("value", "dtype", "expected"),
    [
        (2**53 + 2, DType.FLOAT64, 2.0**53 + 2),
        (10**23, DType.FLOAT64, 1e23),  # as many write the double 1e23
        (33333333333333330000, DType.FLOAT64, 1e20 / 3),
        (2**127, DType.FLOAT32, 2.0**127),
        (0.1, DType.FLOAT32, 0.1),
        (1e-50, DType.FLOAT32, 1e-50),
        (3.4028235e38, DType.FLOAT32, 3.4028235e38),
        (-math.inf, DType.FLOAT32, -math.inf),
        ([math.nan, 1.0], dtypes.Embedding(2), [math.nan, 1.0]),
    ],
)
def test_a_number_is_a_float_if_it_is_one_or_near_one(value: object, dtype: DType, expected: object) -> None:
    assert exact(typed(value, dtype)) == exact(expected)


@pytest.mark.parametrize(
    ("value", "dtype", "told"),
    [
        (2**53 + 1, DType.FLOAT64, "9007199254740993, expected float64, which has no such whole number"),
        (10**400, DType.FLOAT64, "0, expected float64, which has no such whole number"),
        (2**24 + 1, DType.FLOAT32, "16777217, expected float32, which has no such whole number"),
        (1e308, DType.FLOAT32, "308, expected float32, which has no such large number"),
        (-3.4028236e38, DType.FLOAT32, "expected float32, which has no such large number"),
        ([2**53 + 1], dtypes.List(DType.FLOAT64), r"\[9007199254740993\], expected list"),
        ([1.0, 1e39], dtypes.Embedding(2), r"\[1.0, 1e\+39\], expected embedding"),
    ],
)
def test_a_number_that_would_be_another_one_is_refused(value: object, dtype: DType, told: str) -> None:
    with pytest.raises(EntityRowsError, match=f"Row 0: 'key' is .*{told}"):
        typed(value, dtype)


def test_one_number_among_many_that_would_be_infinite_is_refused() -> None:
    column = Column("key", DType.FLOAT32)

    assert typed_columns({"key": [math.nan, 1.5, -math.inf]}, (column,))["key"][1] == 1.5
    with pytest.raises(EntityRowsError, match="Row 2: 'key' is 1e"):
        typed_columns({"key": [math.nan, 1.5, 1e39]}, (column,))


@pytest.mark.parametrize(
    "value",
    [
        1.5, True, "", "x", "1.234", "100", "-100", 100, Decimal("1E+9"), Decimal("1e-999999"), "1e999999999", "NaN",
        "Infinity", Decimal("nan"), Decimal("sNaN"), 10**400, [1],
    ],
    ids=repr,
)  # fmt: skip
def test_what_is_not_exactly_a_decimal_is_refused_with_how_to_write_one(value: object) -> None:
    expected = (
        r"expected decimal\(4, 2\), as text such as '1\.50', a Decimal or an integer, with no more digits than that"
    )
    with pytest.raises(EntityRowsError, match=expected):
        typed(value, dtypes.Decimal(4, 2))


def test_a_missing_column_is_named_with_what_was_meant() -> None:
    with pytest.raises(EntityRowsError, match=r"Row 1 has no 'tailnum' \(string\)\. Did you mean 'tailnumb'\?"):
        typed_columns([{"tailnum": "N1"}, {"tailnumb": "N2"}], (Column("tailnum", DType.STRING),))


def test_a_row_that_is_no_mapping_is_named() -> None:
    rows: Any = [["N1"]]

    with pytest.raises(EntityRowsError, match="Row 0 is list, expected a mapping of columns to values"):
        typed_columns(rows, (Column("tailnum", DType.STRING),))


def test_no_rows_give_empty_columns() -> None:
    assert typed_columns([], (Column("tailnum", DType.STRING),)) == {"tailnum": []}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-03-10T09:59:59.9999997Z", datetime(2024, 3, 10, 9, 59, 59, 999_999, tzinfo=UTC)),
        ("1969-12-31T23:59:59.999999999Z", datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)),
    ],
)
def test_text_finer_than_microseconds_is_floored(text: str, expected: datetime) -> None:
    assert typed_value(text, DType.TIMESTAMP) == expected
