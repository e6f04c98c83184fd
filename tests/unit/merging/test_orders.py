"""Values of every type are ordered as integers, and come back from them unchanged."""

from __future__ import annotations

import math
import struct
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from featurestore.merging.orders import Ordered

MOMENT = pa.timestamp("us", "UTC")
TINY, GREATEST = 5e-324, 1.7976931348623157e308
# For each type some values in ascending order, no two of them the same.
ASCENDING: dict[str, tuple[pa.DataType, list[Any]]] = {
    "double": (
        pa.float64(),
        [-math.inf, -GREATEST, -1.5, -TINY, -0.0, 0.0, TINY, 0.1, 2.0**53, GREATEST, math.inf, math.nan],
    ),
    "float": (pa.float32(), [-math.inf, -2.5, -0.0, 0.0, 2.0**-149, 0.5 + 2.0**-24, 3e7, math.nan]),
    "int64": (pa.int64(), [-(2**63), -(2**53) - 1, -1, 0, 1, 2**53, 2**53 + 1, 2**63 - 1]),
    "int8": (pa.int8(), [-128, -1, 0, 127]),
    "bool": (pa.bool_(), [False, True]),
    "date": (pa.date32(), [date(1, 1, 1), date(1969, 12, 31), date(2024, 2, 29), date(9999, 12, 31)]),
    "timestamp": (
        MOMENT,
        [datetime(1, 1, 1, tzinfo=UTC), datetime(1969, 12, 31, 23, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)],
    ),
    "string": (pa.string(), ["", "B", "a", "e\u0301", "z", "é", "\uffff", "\U0001f6eb"]),
    "decimal": (pa.decimal128(20, 3), [Decimal("-7.100"), Decimal("-0.001"), Decimal("0.000"), Decimal("12345.678")]),
}


def bits(values: list[Any]) -> list[Any]:
    return [struct.pack("d", value) if isinstance(value, float) else value for value in values]


@pytest.mark.parametrize("chunks", [1, 2])
@pytest.mark.parametrize("kind", ASCENDING)
def test_integers_compare_as_the_values_do_and_lead_back(kind: str, chunks: int) -> None:
    arrow, ascending = ASCENDING[kind]
    places = np.random.default_rng(0).permutation(len(ascending))
    values = [*(ascending[place] for place in places), None]
    half = len(values) // 2 if chunks == 2 else 0
    column = pa.chunked_array([pa.array(values[:half], arrow), pa.array(values[half:], arrow)])

    ordered = Ordered.of(column)

    assert ordered.present.tolist() == [*([True] * len(ascending)), False]
    assert bits([values[place] for place in np.argsort(ordered.ranks[:-1])]) == bits(ascending)
    assert bits(ordered.values(ordered.ranks, ordered.present).to_pylist()) == bits(values)
    assert ordered.values(ordered.ranks, ordered.present).type == arrow


def test_all_nans_are_one_value() -> None:
    bits_of_nans = np.array([0x7FF8000000000000, 0xFFF8000000000001, 0x7FF0000000000001], np.uint64)
    ordered = Ordered.of(pa.array(bits_of_nans.view(np.float64)))

    assert len(set(ordered.ranks.tolist())) == 1


@pytest.mark.parametrize("kind", ASCENDING)
def test_an_empty_column_and_one_of_nulls_have_no_values(kind: str) -> None:
    arrow, _ = ASCENDING[kind]
    empty, nulls = Ordered.of(pa.array([], arrow)), Ordered.of(pa.nulls(2, arrow))

    assert empty.values(empty.ranks, empty.present).to_pylist() == []
    assert nulls.values(nulls.ranks, nulls.present).to_pylist() == [None, None]
