"""What an online table had to answer with at the moments at which somebody asked it.

Where runs alone bring rows online, one moment says it: the effective moment. Where rows are pushed, too, each row has a
moment of its own, from which on it was online.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from featurestore.merging.keys import Integers

NOT_ONLINE = np.iinfo(np.int64).min
"""The effective moment of those who asked before the first run."""
NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Pushes:
    """The first and the last moment, in microseconds."""

    first: int
    last: int


def effective_moments(asked: Integers, published: Integers, filled: Integers, pushes: Pushes | None = None) -> Integers:
    """For each moment the greatest of `filled` among the runs that were `published` by then, or NOT_ONLINE.

    Between the first and the last push, what is visible by the view's declaration is online: a push brings no row
    before its publish delay is over. Pushes alone put no table online.
    """
    order = np.argsort(published, kind="stable")
    reached = np.concatenate([[NOT_ONLINE], np.maximum.accumulate(filled[order])])
    effective = reached[np.searchsorted(published[order], asked, "right")]
    if pushes is None:
        return effective
    pushed = np.minimum(asked, pushes.last)
    has_both = (effective != NOT_ONLINE) & (asked >= pushes.first)
    return np.where(has_both, np.maximum(effective, pushed), effective)


@dataclass(frozen=True, slots=True)
class Runs:
    """Runs that brought the table up to date, in any order: an entry of each array for each, in microseconds."""

    published: Integers
    began: Integers
    copied_from: Integers
    as_of: Integers
    filled: Integers
    """Up to when what is known had been filled into the table: later only what was pushed to the view was in it."""

    def in_order(self) -> Runs:
        """In the order in which they were published."""
        order = np.argsort(self.published, kind="stable")
        arrays = (self.published, self.began, self.copied_from, self.as_of, self.filled)
        return Runs(*(array[order] for array in arrays))


@dataclass(frozen=True, slots=True)
class Stamped:
    """Pushes of rows that were known at `known`, because they arrived then, and online at `shown` if visible then;
    NEVER where the store did not take them."""

    known: Integers
    shown: Integers


@dataclass(frozen=True, slots=True)
class Named:
    """Single rows, each once: the number of the key, both times, when it arrived (NOT_ONLINE: before, and what is told
    of others may go for it, too), and when a push brought it online (NEVER: none did)."""

    numbers: Integers
    events: Integers
    known: Integers
    arrived: Integers
    shown: Integers


class OnlineFrom:
    """From when on each row of a table was online."""

    def __init__(self, runs: Runs, pushes: Pushes | None, stamped: Stamped, named: Named) -> None:
        self._runs = runs.in_order()
        self._reached = np.maximum.accumulate(self._runs.as_of)
        # One that brought the store no further looked at few rows: what it may have found counts from the next one on.
        filled = np.where(self._runs.as_of == self._reached, self._runs.filled, NOT_ONLINE)
        self._filled = np.maximum.accumulate(filled)
        self._pushes = pushes
        self._known, self._distinct = np.unique(stamped.known), np.unique(stamped.shown)
        self._shown = np.sort(self._stamps(stamped.known, stamped.shown))
        order = np.lexsort((named.known, named.events, named.numbers))
        self._named = Named(
            *(array[order] for array in (named.numbers, named.events, named.known, named.arrived, named.shown))
        )
        self._triples = _triples(self._named.numbers, self._named.events, self._named.known)

    def moments(self, numbers: Integers, events: Integers, known: Integers, visible: Integers) -> Integers:
        """For each row, by its key's number, both times and when it is visible: the moment, or NEVER."""
        found = np.minimum(self._by_run(known, visible), self._by_stamp(known, visible))
        if self._pushes is not None:
            pushed = np.where(visible <= self._pushes.last, np.maximum(visible, self._pushes.first), NEVER)
            found = np.minimum(found, pushed)
        places, rows = self._named_among(numbers, events, known)
        by_name = self._by_name(places, visible[rows])
        came_before = self._named.arrived[places] == NOT_ONLINE
        found[rows] = np.where(came_before, np.minimum(found[rows], by_name), by_name)
        return found

    def _by_run(self, known: Integers, visible: Integers) -> Integers:
        """When the first run was published that copied what was visible then, and had it in the table."""
        first = np.searchsorted(self._reached, visible, "left")
        filled = np.searchsorted(self._filled, known, "left")
        first = np.where(np.isin(known, self._known), first, np.maximum(first, filled))
        return np.append(self._runs.published, NEVER)[first]

    def _by_stamp(self, known: Integers, visible: Integers) -> Integers:
        """When the first push came of rows with this stamp at which they were visible."""
        if not len(self._shown):
            return np.full(len(known), NEVER)
        first = np.searchsorted(self._shown, self._stamps(known, visible), "left")
        places = np.append(self._shown, NEVER)[first]
        own, at = np.divmod(places, len(self._distinct) + 1)
        at = np.minimum(at, len(self._distinct) - 1)
        stamp = np.minimum(own, len(self._known) - 1)
        return np.where((places != NEVER) & (self._known[stamp] == known), self._distinct[at], NEVER)

    def _stamps(self, known: Integers, shown: Integers) -> Integers:
        """Both in one number, in the order of both. What no push has is as what comes after it."""
        own = np.searchsorted(self._known, known, "left")
        return own * (len(self._distinct) + 1) + np.searchsorted(self._distinct, shown, "left")

    def _named_among(self, numbers: Integers, events: Integers, known: Integers) -> tuple[Integers, Integers]:
        """Which of the rows are named, and the places of their names."""
        nothing = np.zeros(0, np.int64)
        if not len(self._triples):
            return nothing, nothing
        rows = np.flatnonzero(np.isin(numbers, self._named.numbers) & np.isin(events, self._named.events))
        wanted = _triples(numbers[rows], events[rows], known[rows])
        places = np.minimum(np.searchsorted(self._triples, wanted), len(self._triples) - 1)
        hit = self._triples[places] == wanted
        return places[hit], rows[hit]

    def _by_name(self, places: Integers, visible: Integers) -> Integers:
        arrived, found = self._named.arrived[places], self._named.shown[places].copy()
        # A row that was shown as it arrived can not have been brought by a run before. Few others are named.
        waiting = np.flatnonzero((found > arrived) & (arrived != NOT_ONLINE))
        runs = self._runs
        for number in range(len(runs.published) if len(waiting) else 0):
            brought = (
                (runs.began[number] >= arrived[waiting])
                & (runs.copied_from[number] <= visible[waiting])
                & (visible[waiting] <= runs.as_of[number])
            )
            some = waiting[brought]
            found[some] = np.minimum(found[some], runs.published[number])
        return found


_TRIPLE = np.dtype([("number", np.int64), ("event", np.int64), ("known", np.int64)])


def _triples(numbers: Integers, events: Integers, known: Integers) -> np.ndarray:
    triples = np.empty(len(numbers), _TRIPLE)
    triples["number"], triples["event"], triples["known"] = numbers, events, known
    return triples
