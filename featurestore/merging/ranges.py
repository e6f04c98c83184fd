"""Questions about many ranges of one array at once, without a loop over them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from featurestore.merging.keys import Integers

NOWHERE = np.iinfo(np.int64).max
_MOST_PAIRS = 4_000_000


def greatest_in(values: Integers, starts: Integers, ends: Integers) -> Integers:
    """The greatest value of each range `[start, end)`; what an empty range gives means nothing.

    Source: Bender and Farach-Colton, "The LCA problem revisited" (2000): the greatest of each 2**k neighbors, of which
    two cover any range. Only one level is kept at a time, since the ranges of a level can be answered together.
    """
    lengths = ends - starts
    levels = _level(np.maximum(lengths, 1))
    answers = np.zeros(len(starts), np.int64)
    order = np.argsort(levels, kind="stable")
    bounds = np.searchsorted(levels[order], np.arange(int(levels.max(initial=0)) + 2))
    for level in range(len(bounds) - 1):
        asked = order[bounds[level] : bounds[level + 1]]
        asked = asked[lengths[asked] > 0]
        answers[asked] = np.maximum(values[starts[asked]], values[ends[asked] - (1 << level)])
        if level + 2 < len(bounds):
            values = np.maximum(values[: -(1 << level)], values[1 << level :])
    return answers


def least_covering(starts: Integers, ends: Integers, values: Integers, size: int) -> Integers:
    """For each of `size` places, the least value of the ranges `[start, end)` that hold it; NOWHERE where none does.

    The same levels as in `greatest_in`, the other way round: a range is written as two of a level, and each level is
    handed down to the next.
    """
    kept = ends > starts
    starts, ends, values = starts[kept], ends[kept], values[kept]
    levels = _level(ends - starts)
    current = np.full(size, NOWHERE, np.int64)
    for level in range(int(levels.max(initial=0)), -1, -1):
        here = levels == level
        np.minimum.at(current, starts[here], values[here])
        np.minimum.at(current, ends[here] - (1 << level), values[here])
        if level:
            half = 1 << (level - 1)
            spread = current.copy()
            np.minimum(spread[half:], current[:-half], out=spread[half:])
            current = spread
    return current


def pairs(starts: Integers, ends: Integers) -> Iterator[tuple[slice, Integers, Integers]]:
    """Every place of every range `[start, end)`, some ranges at a time: which ranges these are, then for each place its
    range (counted from the first of these) and itself."""
    counts = np.maximum(ends - starts, 0)
    before = np.concatenate([[0], np.cumsum(counts)])
    first = 0
    while first < len(counts):
        last = max(first + 1, int(np.searchsorted(before, before[first] + _MOST_PAIRS, "right")) - 1)
        some = slice(first, last)
        owners = np.repeat(np.arange(last - first), counts[some])
        places = np.arange(before[first], before[last]) - before[first:last][owners] + starts[some][owners]
        yield some, owners, places
        first = last


def _level(lengths: Integers) -> Integers:
    """The greatest k with 2**k not above the length."""
    return np.frexp(lengths.astype(np.float64))[1].astype(np.int64) - 1
