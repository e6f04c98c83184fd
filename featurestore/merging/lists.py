"""Aggregates that need the values themselves: how many are distinct, percentiles, the last few."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from featurestore.merging.keys import Column, Integers
from featurestore.merging.orders import Ordered
from featurestore.merging.ranges import pairs
from featurestore.merging.visible import VisibleTiles


def count_distinct(column: Column, visible: VisibleTiles, window: int | None) -> pa.Array:
    """How many different values the lists of each point's tiles hold."""
    values, bounds = _flat(column)
    codes = _dense(Ordered.of(values).ranks)
    counts = np.zeros(len(visible), np.int64)
    for some, owners, places in _places(bounds, visible, window):
        order = np.lexsort((codes[places], owners))
        owner, code = owners[order], codes[places][order]
        new = np.append(True, (owner[1:] != owner[:-1]) | (code[1:] != code[:-1])) if len(owner) else owner.astype(bool)
        counts[some] += np.bincount(owner[new], minlength=some.stop - some.start)
    return pa.array(counts)


def percentile(column: Column, visible: VisibleTiles, window: int | None, percent: float) -> pa.Array:
    """The percentile of the values of each point's tiles, between two of them in proportion (Hyndman and Fan, "Sample
    quantiles in statistical packages" (1996), definition 7); NaN is greater than every number."""
    values, bounds = _flat(column)
    ordered = Ordered.of(values.cast(pa.float64()))
    answers = np.zeros(len(visible))
    found = np.zeros(len(visible), bool)
    for some, owners, places in _places(bounds, visible, window):
        order = np.lexsort((ordered.ranks[places], owners))
        ranks = ordered.ranks[places][order]
        starts = np.searchsorted(owners[order], np.arange(some.stop - some.start + 1))
        counts = np.diff(starts)
        at = np.maximum(counts - 1, 0) * (percent / 100)
        lower = np.floor(at).astype(np.int64)
        upper = np.minimum(lower + 1, np.maximum(counts - 1, 0))
        some_here = counts > 0
        answers[some][some_here] = _between(
            ordered,
            ranks[(starts[:-1] + lower)[some_here]],
            ranks[(starts[:-1] + upper)[some_here]],
            (at - lower)[some_here],
        )
        found[some] = some_here
    return pa.array(answers, mask=~found)


def last_values(columns: Sequence[Column], visible: VisibleTiles, window: int | None, count: int) -> pa.Array:
    """The last `count` values of each point's tiles, the latest last, in the order of their event timestamps, then
    known timestamps, then values. `columns` are lists of these three. Null where there are none."""
    (at, bounds), (known, _), (values, _) = (_flat(column) for column in columns)
    order = np.lexsort([Ordered.of(column).ranks for column in (values, known, at)])
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    lengths = np.zeros(len(visible), np.int64)
    kept: list[Integers] = []
    for some, owners, places in _places(bounds, visible, window):
        sorted_places = places[np.lexsort((rank[places], owners))]
        starts = np.searchsorted(owners, np.arange(some.stop - some.start + 1))
        lengths[some] = np.minimum(np.diff(starts), count)
        last = np.repeat(starts[1:] - np.cumsum(lengths[some]), lengths[some]) + np.arange(lengths[some].sum())
        kept.append(sorted_places[last])
    chosen = np.concatenate(kept) if kept else np.zeros(0, np.int64)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    empty = pa.array(np.append(lengths == 0, False))
    nullable = pa.array(offsets, pa.int32(), mask=np.asarray(empty))
    return pa.ListArray.from_arrays(nullable, values.take(pa.array(chosen)))


def _flat(column: Column) -> tuple[pa.Array, Integers]:
    """A list column's values, one after the other, and where each list begins; a null list is an empty one."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], column.type)
    lengths = np.asarray(pa.compute.list_value_length(array).fill_null(0))
    return array.flatten(), np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def _dense(ranks: Integers) -> Integers:
    return np.unique(ranks, return_inverse=True)[1].astype(np.int64)


def _places(bounds: Integers, visible: VisibleTiles, window: int | None) -> Iterator[tuple[slice, Integers, Integers]]:
    """For some points at a time, every value of their tiles: whose it is, and its place. Owners ascend."""
    starts, ends = visible.ranges(window)
    others = list(visible.others(window))
    for some, owners, places in pairs(bounds[starts], bounds[ends]):
        added = [_within(some, *other, bounds) for other in others]
        if not added:
            yield some, owners, places
            continue
        all_owners = np.concatenate([owners, *(owner for owner, _ in added)])
        all_places = np.concatenate([places, *(place for _, place in added)])
        order = np.argsort(all_owners, kind="stable")
        yield some, all_owners[order], all_places[order]


def _within(
    some: slice, points: slice, owners: Integers, tiles: Integers, bounds: Integers
) -> tuple[Integers, Integers]:
    """The values of further tiles of the points `some`."""
    point = owners + points.start
    inside = (point >= some.start) & (point < some.stop)
    lengths = (bounds[tiles + 1] - bounds[tiles])[inside]
    first = np.repeat(bounds[tiles[inside]], lengths)
    offset = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return np.repeat(point[inside] - some.start, lengths), first + offset


def _between(ordered: Ordered, lower: Integers, upper: Integers, share: np.ndarray) -> np.ndarray:
    all_present = np.ones(len(lower), bool)
    low = np.asarray(ordered.values(lower, all_present))
    high = np.asarray(ordered.values(upper, all_present))
    with np.errstate(invalid="ignore"):
        mixed = low + (high - low) * share
    return np.where((low == high) | (share == 0), low, mixed)
