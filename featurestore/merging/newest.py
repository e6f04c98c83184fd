"""The newest visible row of each point's key: an as-of join by carrying the last row of each key from batch to batch.

Where rows become visible in the order in which they happened (a constant delay), tables are read once, in the order of
their days, and only the last row of each key is kept in mind. Where rows say themselves when they were known, a row is
the answer from the moment it is visible unless a newer one was visible before: the running maximum of (event timestamp,
known timestamp) over the order of visibility.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from featurestore.merging.keys import Integers

NO_ROW = -1
NEVER = np.iinfo(np.int64).max
_DIGITS = 63
_DAY = 86_400_000_000
_BATCH_ROWS = 262_144
"""Rows below which batches are joined: a batch costs some array operations, whatever its size."""


@dataclass(frozen=True)
class Points:
    """Who is asked for, and when: the number of a key (none of them negative) and a moment in microseconds."""

    numbers: Integers
    moments: Integers
    count: int
    """How many distinct keys there are."""

    @cached_property
    def order(self) -> Integers:
        """The points by their moments."""
        return np.argsort(self.moments, kind="stable")


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of asked keys: the number of the key, when each happened (microseconds), and its place in the table."""

    numbers: Integers
    events: Integers
    places: Integers


@dataclass(frozen=True, slots=True)
class Answers:
    """For each point, the place of its row (NO_ROW: none) and when that happened."""

    places: Integers
    events: Integers

    def alive(self, moments: Integers, life: int | None) -> Integers:
        """The places, without rows that are `life` microseconds old or older at their moment."""
        if life is None:
            return self.places
        return np.where(self.events > moments - life, self.places, NO_ROW)


def newest_in_order(points: Points, batches: Iterable[Rows], *, delay: int) -> Answers:
    """The last row of each point's key that happened `delay` microseconds before its moment, or earlier.

    Batches come by UTC days, as files of tables do: none has a row of a day before that of an earlier batch. Within a
    day they come in any order (files are sorted by key), and are merged. A key has one row for each moment.
    """
    order = points.order
    moments = points.moments[order] - delay
    places = np.full(len(order), NO_ROW, np.int64)
    events = np.zeros(len(order), np.int64)
    last = _LastRows(np.full(points.count, NO_ROW, np.int64), np.zeros(points.count, np.int64))
    start = 0
    for rows, until in _disjoint(batches):
        first = int(np.searchsorted(moments, rows.events.min(), "left"))
        _carried(last, points.numbers[order[start:first]], places[start:first], events[start:first])
        end = len(order) if until == NEVER else int(np.searchsorted(moments, until, "left"))
        asked = slice(first, end)
        _within(rows, last, points.numbers[order[asked]], moments[asked], (places[asked], events[asked]))
        start = end
    _carried(last, points.numbers[order[start:]], places[start:], events[start:])
    return Answers(_back(places, order), _back(events, order))


def newest_by_visibility(points: Points, rows: Rows, visible: Integers, known: Integers) -> Answers:
    """The newest row visible at each point's moment, where `visible` says from when each row is, and `known` breaks
    ties of rows that happened at once."""
    order = np.lexsort((visible, rows.numbers))
    better = np.empty(len(order), np.int64)  # which of two rows of one key is newer: by event, then by known timestamp
    better[np.lexsort((known, rows.events, rows.numbers))] = np.arange(len(order))
    best = np.maximum.accumulate(better[order]) if len(order) else better
    by_rank = np.empty(len(order), np.int64)
    by_rank[better] = np.arange(len(order))
    times = _Times(visible, points.moments, points.count)
    codes = times.codes(rows.numbers, visible)[order]
    found = np.searchsorted(codes, times.codes(points.numbers, points.moments), "right") - 1
    hit = found >= 0
    hit[hit] = rows.numbers[order[found[hit]]] == points.numbers[hit]
    places = np.full(len(hit), NO_ROW, np.int64)
    events = np.zeros(len(hit), np.int64)
    answer = by_rank[best[found[hit]]]
    places[hit], events[hit] = rows.places[answer], rows.events[answer]
    return Answers(places, events)


def joined_rows(batches: Sequence[Rows]) -> Rows:
    """The rows of all batches."""
    if len(batches) == 1:
        return batches[0]
    nothing = np.zeros(0, np.int64)
    return Rows(
        np.concatenate([nothing, *(batch.numbers for batch in batches)]),
        np.concatenate([nothing, *(batch.events for batch in batches)]),
        np.concatenate([nothing, *(batch.places for batch in batches)]),
    )


@dataclass(frozen=True, slots=True)
class _LastRows:
    """The last row of each key so far."""

    places: Integers
    events: Integers


def _disjoint(batches: Iterable[Rows]) -> Iterator[tuple[Rows, int]]:
    """The batches, joined where they are small or of one day, each with the moment at which the day of the next begins:
    no later batch has a row before that."""
    held: list[Rows] = []
    count, latest = 0, 0
    for batch in batches:
        if not len(batch.events):
            continue
        first = int(batch.events.min()) // _DAY * _DAY
        if held and count >= _BATCH_ROWS and first > latest:
            yield joined_rows(held), first
            held, count = [], 0
        latest = int(batch.events.max()) if not held else max(latest, int(batch.events.max()))
        held.append(batch)
        count += len(batch.events)
    if held:
        yield joined_rows(held), NEVER


def _carried(last: _LastRows, numbers: Integers, places: Integers, events: Integers) -> None:
    places[:], events[:] = last.places[numbers], last.events[numbers]


def _within(
    rows: Rows, last: _LastRows, numbers: Integers, moments: Integers, answers: tuple[Integers, Integers]
) -> None:
    """Answer the points whose moments lie in this batch, then carry its last rows on."""
    times = _Times(rows.events, moments, len(last.places))
    codes = times.codes(rows.numbers, rows.events)
    if not (codes[1:] >= codes[:-1]).all():
        order = np.argsort(codes)
        codes = codes[order]
        rows = Rows(rows.numbers[order], rows.events[order], rows.places[order])
    asked = times.codes(numbers, moments)
    # Points in the order of their keys find their rows one after the other: twice as fast as jumping about.
    order = np.argsort(asked)
    found = np.searchsorted(codes, asked[order], "right") - 1
    at = np.maximum(found, 0)
    hit = (found >= 0) & (rows.numbers[at] == numbers[order])
    places, events = answers
    places[order] = np.where(hit, rows.places[at], last.places[numbers[order]])
    events[order] = np.where(hit, rows.events[at], last.events[numbers[order]])
    ends = np.flatnonzero(np.append(rows.numbers[1:] != rows.numbers[:-1], True))
    last.places[rows.numbers[ends]], last.events[rows.numbers[ends]] = rows.places[ends], rows.events[ends]


class _Times:
    """Keys and times in one number, in the order of both. Times are counted where microseconds take too many digits."""

    def __init__(self, times: Integers, moments: Integers, count: int) -> None:
        spans = [array for array in (times, moments) if len(array)]
        self._least = min((int(array.min()) for array in spans), default=0)
        greatest = max((int(array.max()) for array in spans), default=0)
        self._bits = (greatest - self._least).bit_length()
        self._distinct: Integers | None = None
        if count.bit_length() + self._bits > _DIGITS:
            self._distinct = np.unique(times)
            self._bits = len(self._distinct).bit_length()

    def codes(self, numbers: Integers, times: Integers) -> Integers:
        if self._distinct is None:
            return (numbers << self._bits) | (times - self._least)
        return (numbers << self._bits) | np.searchsorted(self._distinct, times, "right")


def _back(values: Integers, order: Integers) -> Integers:
    placed = np.empty_like(values)
    placed[order] = values
    return placed
