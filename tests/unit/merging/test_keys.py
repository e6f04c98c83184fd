"""Keys as numbers: equal keys have equal numbers, other keys other ones, whatever the types and however far apart."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from featurestore.merging import keys
from featurestore.merging.keys import NOT_ASKED, KeyIndex, whole_numbers

LEAST, GREATEST = -(2**63), 2**63 - 1
MOMENT = pa.timestamp("us", "UTC")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# For each type some values, of which a few are asked for: close together, far apart, on both sides of zero.
VALUES: dict[str, tuple[pa.DataType, tuple[Any, ...]]] = {
    "dense integers": (pa.int64(), tuple(range(-5, 12))),
    "sparse integers": (pa.int64(), (0, 1, -1, 10**6, -(10**9), 2**40, 2**53, 2**53 + 1)),
    "extreme integers": (pa.int64(), (LEAST, LEAST + 1, -1, 0, 1, GREATEST - 1, GREATEST)),
    "the greatest integers": (pa.int64(), (GREATEST - 2, GREATEST - 1, GREATEST, LEAST, LEAST + 1)),
    "small integers": (pa.int8(), (-128, -1, 0, 1, 127)),
    "texts": (pa.string(), ("", "a", "b", "B", "é", "e\u0301", "a:b", "\U0001f6eb")),
    "dates": (
        pa.date32(),
        (date(1969, 12, 31), date(1970, 1, 1), date(2024, 2, 29), date(1, 1, 1), date(9999, 12, 31)),
    ),
    "booleans": (pa.bool_(), (True, False)),
    "moments": (MOMENT, (EPOCH, EPOCH - timedelta(microseconds=1), EPOCH + timedelta(days=19_000))),
}


def column(kind: str, chance: random.Random, rows: int, share: float = 1.0) -> pa.ChunkedArray:
    """Values of a kind, now and then null, in two chunks; `share` leaves out the last values of the kind."""
    arrow, values = VALUES[kind]
    some = values[: max(1, round(len(values) * share))]
    drawn = [chance.choice((*some, *some, None)) for _ in range(rows)]
    return pa.chunked_array([pa.array(drawn[: rows // 2], arrow), pa.array(drawn[rows // 2 :], arrow)])


def check(asked: Sequence[pa.ChunkedArray], rows: Sequence[pa.ChunkedArray], count: int, others: int) -> None:
    """Compare with a dictionary of tuples."""
    index = KeyIndex(asked, count)
    wanted = list(zip(*(values.to_pylist() for values in asked), strict=True))
    by_key: dict[tuple[Any, ...], int] = {}
    for key, number in zip(wanted, index.numbers.tolist(), strict=True):
        assert (number == NOT_ASKED) == (None in key)
        if None not in key:
            assert by_key.setdefault(key, number) == number
    assert sorted(by_key.values()) == list(range(index.count))

    found = index.locate(rows, others).tolist()

    assert found == [by_key.get(key, NOT_ASKED) for key in zip(*(values.to_pylist() for values in rows), strict=True)]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", VALUES)
def test_a_key_of_one_column_is_found_where_it_was_asked_for(kind: str, seed: int) -> None:
    chance = random.Random(seed)

    check([column(kind, chance, 15, 0.6)], [column(kind, chance, 60)], 15, 60)


@pytest.mark.parametrize("seed", range(20))
def test_a_key_of_several_columns_is_found_only_as_a_whole(seed: int) -> None:
    chance = random.Random(seed)
    kinds = chance.choices(list(VALUES), k=chance.randint(2, 4))
    asked = [column(kind, chance, 40, 0.7) for kind in kinds]
    rows = [column(kind, chance, 200) for kind in kinds]

    check(asked, rows, 40, 200)


@pytest.mark.parametrize("kinds", [("dense integers",), ("texts",), ("texts", "extreme integers", "dates", "booleans")])
@pytest.mark.parametrize("make", [lambda kind: pa.array([], kind), lambda kind: pa.nulls(3, kind)])
def test_keys_that_are_not_there_or_null_are_nobody(
    kinds: tuple[str, ...], make: Callable[[pa.DataType], pa.Array]
) -> None:
    chance = random.Random(0)
    asked = [pa.chunked_array([make(VALUES[kind][0])]) for kind in kinds]
    rows = [column(kind, chance, 20) for kind in kinds]

    check(asked, rows, len(asked[0]), 20)
    assert KeyIndex(asked, len(asked[0])).count == 0


def test_a_column_without_chunks_is_empty() -> None:
    nothing = pa.chunked_array([], pa.int64())

    check([nothing, pa.chunked_array([], pa.string())], [nothing, pa.chunked_array([], pa.string())], 0, 0)


def test_without_key_columns_everything_is_one_key() -> None:
    index = KeyIndex([], 3)

    assert index.count == 1
    assert index.numbers.tolist() == [0, 0, 0]
    assert index.locate([], 2).tolist() == [0, 0]


def test_a_table_of_positions_and_a_search_find_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = pa.array([3, 90_000, -5, None, 3, 70_000])
    rows = pa.array([-6, -5, 3, 4, None, 69_999, 70_000, 90_000, 90_001, LEAST, GREATEST])
    monkeypatch.setattr(keys, "_DENSE_AT_LEAST", 1 << 20)
    dense = KeyIndex([asked], len(asked))
    monkeypatch.setattr(keys, "_DENSE_AT_LEAST", 1)
    sparse = KeyIndex([asked], len(asked))

    assert dense.numbers.tolist() == sparse.numbers.tolist() == [1, 3, 0, -1, 1, 2]
    assert dense.locate([rows], 11).tolist() == sparse.locate([rows], 11).tolist()
    assert dense.locate([rows], 11).tolist() == [-1, 0, 1, -1, -1, -1, 2, 3, -1, -1, -1]


def test_whole_numbers_are_exact_at_the_ends_of_each_type() -> None:
    assert whole_numbers(pa.array([LEAST, None, GREATEST])).tolist() == [LEAST, 0, GREATEST]
    assert whole_numbers(pa.array([True, None, False])).tolist() == [1, 0, 0]
    assert whole_numbers(pa.array([date(1969, 12, 31), None], pa.date32())).tolist() == [-1, 0]
    assert whole_numbers(pa.array([EPOCH - timedelta(seconds=1)], MOMENT)).tolist() == [-1_000_000]
    assert whole_numbers(pa.chunked_array([], pa.int8())).dtype == np.int64
