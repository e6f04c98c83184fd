"""The tiles that count at a boundary are those that the edge rule names, whenever each of them became known."""

from __future__ import annotations

import random

import numpy as np
import pytest

from featurestore.merging.keys import Integers
from featurestore.merging.visible import Boundaries, TileTimes, VisibleTiles

_Tile = tuple[int, int, int]
"""Key, event hop, known hop."""
# How many hops after its own each tile is known: at once, all equally late, some late, none for long, a few never.
LATENESS = {
    "at once": (1,),
    "all late": (4,),
    "some late": (1, 1, 1, 2, 9),
    "late by one or two": (2, 3),
    "every tile its own": tuple(range(1, 25)),
    "a few for ever": (1, 1, 1, 1, 10**6),
}
WINDOWS = (1, 3, 10, 10_000, None)


def array(values: list[int]) -> Integers:
    return np.array(values, np.int64)


def drawn(chance: random.Random, lateness: tuple[int, ...], first: int) -> tuple[list[_Tile], list[tuple[int, int]]]:
    """Tiles and sorted boundaries of a few keys. A hop can have several tiles, known at different hops."""
    tiles = set()
    for _ in range(chance.choice((1, 10, 60))):
        hop = first + chance.randrange(20)
        tiles.add((chance.randrange(4), hop, hop + chance.choice(lateness)))
    points = {(chance.randrange(6), first + chance.randrange(-5, 45)) for _ in range(40)}
    shuffled = sorted(tiles)
    if chance.random() < 0.5:
        chance.shuffle(shuffled)
    return shuffled, sorted(points)


def visible_of(tiles: list[_Tile], points: list[tuple[int, int]]) -> VisibleTiles:
    times = TileTimes(*(array([tile[part] for tile in tiles]) for part in range(3)))
    return VisibleTiles(times, Boundaries(array([key for key, _ in points]), array([hop for _, hop in points])))


def counted(visible: VisibleTiles, count: int, window: int | None) -> list[list[int]]:
    """For each point the tiles that count, as places in the order in which they were given."""
    order = np.arange(count)[visible.order].tolist()
    found = [[order[place] for place in range(start, end)] for start, end in zip(*visible.ranges(window), strict=True)]
    for some, owners, places in visible.others(window):
        assert (np.diff(owners) >= 0).all()
        for owner, place in zip(owners.tolist(), places.tolist(), strict=True):
            found[some.start + owner].append(order[place])
    return [sorted(places) for places in found]


@pytest.mark.parametrize("first", [-10, 0, 400_000, -20_000_000])
@pytest.mark.parametrize("kind", LATENESS)
@pytest.mark.parametrize("seed", range(6))
def test_those_tiles_count_that_lie_in_the_window_and_are_known(seed: int, kind: str, first: int) -> None:
    tiles, points = drawn(random.Random(f"{seed} {kind} {first}"), LATENESS[kind], first)
    visible = visible_of(tiles, points)

    for window in WINDOWS:
        assert counted(visible, len(tiles), window) == [
            [
                place
                for place, (key, event, known) in enumerate(tiles)
                if key == asked and (window is None or event >= hop - window) and event < hop and known <= hop
            ]
            for asked, hop in points
        ]


def test_tiles_that_are_all_equally_late_are_ranges_without_exceptions() -> None:
    tiles = [(0, hop, hop + 4) for hop in range(100)]
    visible = visible_of(tiles, [(0, hop) for hop in range(-2, 120)])

    assert list(visible.others(None)) == []
    assert visible.ranges(10)[1].tolist() == [max(0, min(hop - 3, 100)) for hop in range(-2, 120)]


def test_a_tile_known_for_ever_late_does_not_spoil_later_windows_of_others() -> None:
    tiles = [(0, 0, 50), *((1, hop, hop + 1) for hop in range(60))]
    visible = visible_of(tiles, [(0, 10), (1, 30), (1, 60)])

    assert counted(visible, len(tiles), 5) == [[], [26, 27, 28, 29, 30], [56, 57, 58, 59, 60]]
    assert list(visible.others(5)) == []


@pytest.mark.parametrize(("tiles", "single"), [([(0, 1, 2), (0, 2, 3)], True), ([(0, 1, 2), (0, 1, 4)], False)])
def test_whether_places_follow_time_is_told(tiles: list[_Tile], single: bool) -> None:
    assert visible_of(tiles, [(0, 5)]).single is single


def test_without_tiles_or_points_nothing_counts() -> None:
    assert counted(visible_of([], [(0, 5)]), 0, 3) == [[]]
    assert counted(visible_of([(0, 1, 2)], []), 1, None) == []
    assert counted(visible_of([], []), 0, None) == []
