"""Rows to try expressions on: every type's nulls, everyday values and limits, equal and unequal to their neighbors."""

from __future__ import annotations

import math
from typing import Any

import pyarrow as pa
import pytest

from featurestore.graph.trial_rows import ORDINARY, trial_rows

KNOWN = [
    pa.bool_(), pa.int8(), pa.int32(), pa.int64(), pa.uint8(), pa.uint32(), pa.uint64(), pa.float32(), pa.float64(),
    pa.decimal128(10, 2), pa.decimal128(38, 38), pa.decimal128(3, 0), pa.string(), pa.large_string(), pa.string_view(),
    pa.binary(), pa.date32(), pa.date64(), pa.timestamp("s"), pa.timestamp("ns", "Europe/Berlin"), pa.time32("s"),
    pa.time64("us"), pa.duration("us"), pa.list_(pa.int64()), pa.large_list(pa.string()), pa.list_(pa.float32(), 3),
    pa.list_(pa.list_(pa.date32())), pa.struct([("a", pa.int8()), ("b", pa.string())]),
    pa.dictionary(pa.int8(), pa.string()),
]  # fmt: skip
UNKNOWN = [pa.null(), pa.map_(pa.string(), pa.int8()), pa.month_day_nano_interval(), pa.binary(3), pa.decimal256(50, 2)]


def values(kind: pa.DataType, columns: int = 1) -> list[list[Any]]:
    table = trial_rows(pa.schema([(f"c{place}", kind) for place in range(columns)]))
    return [column.to_pylist() for column in table.columns]


@pytest.mark.parametrize("kind", KNOWN, ids=str)
def test_a_column_of_a_known_type_has_one_null_then_values(kind: pa.DataType) -> None:
    table = trial_rows(pa.schema([("c", kind)]))

    assert table.schema.field("c").type == kind
    assert table["c"][0].as_py() is None
    assert table["c"].null_count == 1


@pytest.mark.parametrize("kind", UNKNOWN, ids=str)
def test_a_column_of_a_type_that_is_not_known_has_nulls(kind: pa.DataType) -> None:
    ((first, *others),) = values(kind)

    assert first is None
    assert set(others) == {None}


def test_limits_come_after_what_any_table_may_hold() -> None:
    ((_, *whole),) = values(pa.int64())
    ((_, *floats),) = values(pa.float64())

    everyday = len(ORDINARY)
    assert max(whole[:everyday]) == 1_000_000
    assert {-(2**63), 2**63 - 1} <= {*whole[everyday:]}
    assert any(math.isnan(value) for value in floats[:everyday])
    assert math.inf in floats[everyday:]
    assert any(value == 0 and math.copysign(1, value) < 0 for value in floats[everyday:])


def test_columns_of_one_type_are_equal_in_some_rows_and_differ_in_others() -> None:
    left, right = values(pa.int32(), 2)

    same = [one == other for one, other in zip(left[1:13], right[1:13], strict=True)]
    assert same == [True] * 6 + [False] * 6


def test_no_row_asks_for_gigabytes_of_text() -> None:
    """The length of a text or list is a number of 32 bits, and more than that is refused by every function."""
    for kind in (pa.int32(), pa.int64(), pa.uint32(), pa.uint64()):
        ((_, *whole),) = values(kind)

        assert not [value for value in whole if 1_000_000 < value < 2**40]
