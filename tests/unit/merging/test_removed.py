"""The newest row that stands at a moment is the one that looking at every row finds."""

from __future__ import annotations

import numpy as np
import pytest

from featurestore.merging.newest import NO_ROW, Points, Rows
from featurestore.merging.removed import newest_standing

KEYS, MOMENTS = 4, 30


def some_rows(chance: np.random.Generator, count: int) -> tuple[Rows, np.ndarray, np.ndarray]:
    """Rows of few keys and times, in any order, no two of which have the same; when each was known, and tombstones."""
    told = {tuple(row) for row in chance.integers(0, (KEYS, 8, 12), (count, 3)).tolist()}
    shuffled = chance.permutation(sorted(told))
    numbers, events, late = (shuffled[:, column].astype(np.int64) for column in range(3))
    return Rows(numbers, events, np.arange(len(numbers)) + 100), events + late - 2, chance.random(len(numbers)) < 0.4


def standing(rows: Rows, visible: np.ndarray, known: np.ndarray, removed: np.ndarray, asked: tuple[int, int]) -> int:
    number, moment = asked
    there = [row for row in range(len(known)) if rows.numbers[row] == number and visible[row] <= moment]
    last = {rows.events[row]: row for row in sorted(there, key=lambda row: known[row])}
    alive = [row for row in last.values() if not removed[row]]
    return int(rows.places[max(alive, key=lambda row: rows.events[row])]) if alive else NO_ROW


@pytest.mark.parametrize("seed", range(30))
def test_every_point_gets_the_newest_row_that_stands(seed: int) -> None:
    chance = np.random.default_rng(seed)
    rows, known, removed = some_rows(chance, int(chance.integers(1, 60)))
    visible = np.maximum(rows.events, known)
    numbers, moments = (grid.ravel() for grid in np.meshgrid(np.arange(KEYS), np.arange(-3, MOMENTS), indexing="ij"))
    points = Points(numbers, moments, KEYS)

    found = newest_standing(points, rows, (visible, known), removed, taken=visible)

    asked = zip(numbers.tolist(), moments.tolist(), strict=True)
    wanted = [standing(rows, visible, known, removed, one) for one in asked]
    assert found.places.tolist() == wanted
    hit = found.places != NO_ROW
    assert found.events[hit].tolist() == rows.events[found.places[hit] - 100].tolist()
