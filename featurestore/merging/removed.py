"""The newest row that stands at each point's moment, where rows can be taken back: by a tombstone, a later known row of
the same key and event timestamp that says there is none.

Each row stands from the moment it is visible to that of the next tombstone. Nearly always the newest visible row does,
which is found as if nothing were ever taken back; for the points where it does not, the rows of their keys are looked
at one by one.
"""

from __future__ import annotations

import numpy as np

from featurestore.merging.keys import Integers
from featurestore.merging.newest import NEVER, NO_ROW, Answers, Points, Rows, newest_by_visibility
from featurestore.merging.ranges import pairs


def newest_standing(
    points: Points, rows: Rows, times: tuple[Integers, Integers], removed: np.ndarray, *, taken: Integers
) -> Answers:
    """`times`: from when each row is visible, and when it was known. `removed` says which rows are tombstones, `taken`
    from when each of those counts."""
    visible, known = times
    ends = _ends(rows, known, removed, taken)
    alive = np.flatnonzero(~removed)
    order = alive[np.lexsort((known[alive], rows.events[alive], rows.numbers[alive]))]
    kept = Rows(rows.numbers[order], rows.events[order], np.arange(len(order)))
    found = newest_by_visibility(points, kept, visible[order], known[order]).places
    answered = np.flatnonzero(found != NO_ROW)
    dead = answered[ends[order][found[answered]] <= points.moments[answered]]
    if len(dead):
        found = found.copy()
        found[dead] = _others(points, dead, kept, (visible[order], ends[order]))
    places = np.full(len(found), NO_ROW, np.int64)
    events = np.zeros(len(found), np.int64)
    hit = found != NO_ROW
    places[hit], events[hit] = rows.places[order][found[hit]], kept.events[found[hit]]
    return Answers(places, events)


def _ends(rows: Rows, known: Integers, removed: np.ndarray, taken: Integers) -> Integers:
    """When each row is taken back: at the next tombstone after it, of its key and event timestamp."""
    ends = np.full(len(known), NEVER, np.int64)
    if not removed.any():
        return ends
    order = np.lexsort((known, rows.events, rows.numbers))
    places = np.arange(len(order))
    following = np.minimum.accumulate(np.where(removed[order], places, len(order))[::-1])[::-1]
    at = np.minimum(following, len(order) - 1)
    numbers, events = rows.numbers[order], rows.events[order]
    is_same = (following < len(order)) & (numbers[at] == numbers) & (events[at] == events)
    ends[order] = np.where(is_same, taken[order][at], NEVER)
    return ends


def _others(points: Points, asked: Integers, rows: Rows, spans: tuple[Integers, Integers]) -> Integers:
    """For each of the asked points the last of its key's rows, which are sorted, that stands at its moment."""
    visible, ends = spans
    numbers, moments = points.numbers[asked], points.moments[asked]
    last = np.zeros(points.count, np.int64)
    np.maximum.at(last, rows.numbers, ends)
    found = np.full(len(asked), NO_ROW, np.int64)
    left = np.flatnonzero(last[numbers] > moments)  # of the others every row is gone
    first, behind = (np.searchsorted(rows.numbers, numbers[left], side) for side in ("left", "right"))
    for some, owners, places in pairs(first, behind):
        at = moments[left[some]][owners]
        stands = (visible[places] <= at) & (at < ends[places])
        best = np.full(len(left[some]), NO_ROW, np.int64)
        np.maximum.at(best, owners[stands], places[stands])
        found[left[some]] = best
    return found
