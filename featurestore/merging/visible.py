"""Which tiles count at which points: the edge rule of `featurestore.compiler.hops` over sorted tiles.

Tiles are sorted by key and event hop. At boundary `T` those of the hops `T - window` to `T - 1` count that are known by
then. Nearly always these are one range of tiles: where every tile is known equally long after its hop, the range ends
that much earlier. Tiles that are known later than the earliest leave gaps; from the first gap on, tiles are looked at
one by one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from featurestore.merging.keys import Integers
from featurestore.merging.ranges import least_covering, pairs


@dataclass(frozen=True, slots=True)
class TileTimes:
    """Tiles of asked keys, in any order: the number of the key, the event hop, and the hop at which each is known."""

    numbers: Integers
    events: Integers
    knowns: Integers


@dataclass(frozen=True, slots=True)
class Boundaries:
    """The points: the number of a key, and the hop whose first moment is the boundary. Sorted by both."""

    numbers: Integers
    hops: Integers

    def __len__(self) -> int:
        return len(self.hops)


class VisibleTiles:
    """For each point and window, the places of the tiles that count, in the order of `order`."""

    def __init__(self, tiles: TileTimes, points: Boundaries) -> None:
        self._least = int(tiles.events.min(initial=0))
        self._greatest = int(tiles.events.max(initial=0)) + 1
        self._bits = (self._greatest - self._least).bit_length()
        codes = self._codes(tiles.numbers, tiles.events)
        self.order: Integers | slice = slice(None)
        """What brings the tiles into the order of their places."""
        if not (codes[1:] >= codes[:-1]).all():
            self.order = np.argsort(codes)
            codes = codes[self.order]
        self._tile_codes = codes
        self._events, self._knowns = tiles.events[self.order], tiles.knowns[self.order]
        self._points = points
        self.single = bool((codes[1:] > codes[:-1]).all())
        """Whether there is one tile at most for each key and event hop: places then follow time."""
        lateness = self._knowns - self._events - 1
        prompt = int(lateness.min()) if len(lateness) else 0
        self._ends = self._places(points.hops - prompt)
        self._whole_to = self._first_gaps(lateness > prompt, prompt)
        self._starts: dict[int | None, Integers] = {}

    def __len__(self) -> int:
        return len(self._points)

    def ranges(self, window: int | None) -> tuple[Integers, Integers]:
        """For each point, the range of places that count without exception; `window` in hops, None for a lifetime."""
        starts = self._start(window)
        return starts, np.maximum(self._whole_to, starts)

    def others(self, window: int | None) -> Iterator[tuple[slice, Integers, Integers]]:
        """The places that count beyond the ranges, as `featurestore.merging.ranges.pairs` gives them."""
        starts = np.maximum(self._start(window), self._whole_to)
        if not (starts < self._ends).any():
            return
        for some, owners, places in pairs(starts, self._ends):
            known = self._knowns[places] <= self._points.hops[some][owners]
            yield some, owners[known], places[known]

    def _start(self, window: int | None) -> Integers:
        if window not in self._starts:
            first = np.full(len(self._points), self._least) if window is None else self._points.hops - window
            self._starts[window] = self._places(first)
        return self._starts[window]

    def _places(self, hops: Integers) -> Integers:
        """For each point, the first place of its key whose event hop is not before `hops`."""
        return np.searchsorted(self._tile_codes, self._codes(self._points.numbers, hops), "left")

    def _codes(self, numbers: Integers, hops: Integers) -> Integers:
        return (numbers << self._bits) | (np.clip(hops, self._least, self._greatest) - self._least)

    def _first_gaps(self, late: np.ndarray, prompt: int) -> Integers:
        """For each point, the first place of a tile that has happened in time to count and is not known yet."""
        places = np.flatnonzero(late)
        if not len(places):
            return self._ends
        numbers = self._tile_codes[places] >> self._bits
        span = max(int(self._points.hops.max(initial=0)), int(self._knowns.max())) + 1
        least = min(int(self._points.hops.min(initial=0)), self._least)
        bits = (span - least).bit_length()
        asked = (self._points.numbers << bits) | (self._points.hops - least)
        from_hop = (numbers << bits) | (self._events[places] + prompt + 1 - least)
        known = (numbers << bits) | (self._knowns[places] - least)
        gaps = least_covering(
            np.searchsorted(asked, from_hop), np.searchsorted(asked, known), places, len(self._points)
        )
        return np.minimum(self._ends, gaps)
