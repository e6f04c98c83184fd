"""The last few values of a window, and lists that are null or empty."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from featurestore.merging import ranges
from featurestore.merging.lists import count_distinct, last_values, percentile
from featurestore.merging.visible import Boundaries, TileTimes, VisibleTiles
from featurestore.spec.aggregate import Function
from featurestore.spec.dtypes import DType
from tests.property.oracle import same
from tests.unit.merging.tiles_by_hand import MOMENT, RECENT, WINDOWS, Event, drawn_events, order, tile_table, view_of

POINTS = [(key, hop) for key in range(4) for hop in range(-1, 20)]


def visible_of(table: pa.Table) -> VisibleTiles:
    times = TileTimes(*(np.asarray(table[name], np.int64) for name in ("key", "hop", "known_hop")))
    return VisibleTiles(times, Boundaries(np.array([key for key, _ in POINTS]), np.array([hop for _, hop in POINTS])))


def counted(events: list[Event], key: int, hop: int, window: int | None) -> list[Any]:
    """The values that count, in their order."""
    inside = [
        event
        for event in events
        if event.key == key
        and event.value is not None
        and (window is None or event.hop >= hop - window)
        and event.hop < hop
        and event.known_hop <= hop
    ]
    return [event.value for event in sorted(inside, key=order)]


@pytest.mark.parametrize("most", [3, 1_000])
@pytest.mark.parametrize("count", [1, 2, RECENT])
@pytest.mark.parametrize(
    ("dtype", "values"),
    [(DType.FLOAT64, (-0.0, 0.0, 1.5, float("nan"), None)), (DType.STRING, ("", "a", None, "\U0001f6eb"))],
)
@pytest.mark.parametrize("seed", range(3))
def test_the_last_values_are_those_that_happened_last(
    seed: int, dtype: DType, values: tuple[Any, ...], count: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranges, "_MOST_PAIRS", most)
    events = drawn_events(random.Random(seed), values, 50, 0)
    table = tile_table(view_of(dtype, [(Function.LAST_N, count)]), events)
    columns = [table[name].combine_chunks() for name in table.column_names[3:]]

    for window in WINDOWS:
        found = last_values(columns, visible_of(table), window, count).to_pylist()

        for (key, hop), last in zip(POINTS, found, strict=True):
            wanted = counted(events, key, hop, window)[-count:]
            assert (last is None) == (not wanted)
            assert all(same(a, b) for a, b in zip(last or [], wanted, strict=True))


@pytest.mark.parametrize("chunks", [0, 1, 2])
def test_lists_that_are_null_or_empty_hold_nothing(chunks: int) -> None:
    rows = 2 * chunks
    table = pa.table({name: pa.array(range(rows), pa.int64()) for name in ("key", "hop", "known_hop")})
    visible = visible_of(table)
    lists = pa.chunked_array([[None, []]] * chunks, pa.list_(pa.float64()))
    times = pa.chunked_array([[None, []]] * chunks, pa.list_(MOMENT))

    assert count_distinct(lists, visible, None).to_pylist() == [0] * len(POINTS)
    assert percentile(lists, visible, None, 50.0).to_pylist() == [None] * len(POINTS)
    assert last_values([times, times, lists], visible, None, 3).to_pylist() == [None] * len(POINTS)
