"""An online request's rows: values of the right types, or an error that names row and column."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from featurestore.errors import EntityRowsError
from featurestore.graph.resolved import Column
from featurestore.operations.entity_rows import typed_columns
from featurestore.spec.dtypes import DType


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
    ],
)
def test_a_value_becomes_its_types_python_value(value: object, dtype: DType, expected: object) -> None:
    found = typed(value, dtype)

    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize("dtype", DType)
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
        (10**400, DType.FLOAT64),
        ("yesterday", DType.DATE),
        (datetime(2013, 3, 10, tzinfo=UTC), DType.DATE),
        ("12 o'clock", DType.TIMESTAMP),
        (0, DType.TIMESTAMP),
        ("0001-01-01T00:00:00+05:00", DType.TIMESTAMP),
        ([], DType.STRING),
    ],
)
def test_a_value_of_another_type_is_refused_with_row_and_column(value: object, dtype: DType) -> None:
    with pytest.raises(EntityRowsError, match=rf"Row 0: 'key' is .*, expected {dtype.value}$"):
        typed(value, dtype)


def test_a_missing_column_is_named_with_what_was_meant() -> None:
    with pytest.raises(EntityRowsError, match=r"Row 1 has no 'tailnum' \(string\)\. Did you mean 'tailnumb'\?"):
        typed_columns([{"tailnum": "N1"}, {"tailnumb": "N2"}], (Column("tailnum", DType.STRING),))


def test_a_row_that_is_no_mapping_is_named() -> None:
    rows: Any = [["N1"]]

    with pytest.raises(EntityRowsError, match="Row 0 is list, expected a mapping of columns to values"):
        typed_columns(rows, (Column("tailnum", DType.STRING),))


def test_no_rows_give_empty_columns() -> None:
    assert typed_columns([], (Column("tailnum", DType.STRING),)) == {"tailnum": []}
