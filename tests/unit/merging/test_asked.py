"""Rows that ask: those with a null in their key ask for nothing, and every other one gets its own answer."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from featurestore.merging.asked import Asked, boundaries
from featurestore.merging.newest import NO_ROW, Points
from featurestore.merging.served import NOT_ONLINE

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOMENT = pa.timestamp("us", "UTC")


def table(keys: list[str | None], hours: list[int]) -> pa.Table:
    moments = pa.array([EPOCH + timedelta(hours=hour) for hour in hours], MOMENT)
    return pa.table({"k": pa.array(keys, pa.string()), "at": moments})


@pytest.mark.parametrize("keys", [["b", None, "a", "b", None], ["a", "b", "a", "b", "c"], [None] * 5])
def test_answers_are_placed_where_somebody_asks(keys: list[str | None]) -> None:
    asked = Asked.of(table(keys, [-1, 0, 1, 2, 3]), ("k",), "at")

    moments = (asked.points.moments // 3_600_000_000).tolist()

    assert moments == [hour for key, hour in zip(keys, [-1, 0, 1, 2, 3], strict=True) if key is not None]
    assert asked.points.count == len({key for key in keys if key is not None})
    placed = asked.places(np.arange(len(moments)) + 10).tolist()
    assert placed == [
        NO_ROW if key is None else 10 + sum(k is not None for k in keys[:n]) for n, key in enumerate(keys)
    ]


def test_nobody_asks_for_nothing() -> None:
    asked = Asked.of(table([], []), ("k",), "at")

    assert (asked.points.count, len(asked.points.moments)) == (0, 0)
    assert asked.places(asked.points.moments).tolist() == []


def test_without_key_columns_every_row_asks_for_the_same() -> None:
    asked = Asked.of(table([None, "a"], [0, 1]), (), "at")

    assert asked.points.numbers.tolist() == [0, 0]
    assert asked.points.count == 1


@pytest.mark.parametrize("count", [0, 1, 30])
@pytest.mark.parametrize("seed", range(5))
def test_equal_boundaries_are_one_and_each_point_knows_its_own(seed: int, count: int) -> None:
    chance = random.Random(seed)
    asked = [(chance.randrange(4), chance.randrange(-3, 3)) for _ in range(count)]
    numbers, hops = (np.array([pair[n] for pair in asked], np.int64) for n in (0, 1))

    different, own = boundaries(Points(numbers, hops, 4), hops)

    pairs = list(zip(different.numbers.tolist(), different.hops.tolist(), strict=True))
    assert pairs == sorted(set(asked))
    assert [pairs[place] for place in own.tolist()] == asked


def test_rows_that_are_answered_as_of_no_moment_ask_for_nothing() -> None:
    asked = Asked.of(table(["a", None, "b", "a"], [0, 1, 2, 3]), ("k",), "at")

    behind = asked.as_of(np.array([NOT_ONLINE, 5, 6, 7], np.int64))

    assert behind.points.moments.tolist() == [6, 7]
    assert (behind.moments // 3_600_000_000).tolist() == [2, 3]
    assert behind.places(np.array([10, 11])).tolist() == [NO_ROW, NO_ROW, 10, 11]
    assert asked.points.moments.tolist() == asked.moments.tolist()
