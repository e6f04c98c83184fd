"""The newest visible row of a key at a moment, found in arrays, is the one that a loop over all rows finds."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest

from featurestore.merging import newest
from featurestore.merging.keys import Integers
from featurestore.merging.newest import NO_ROW, Points, Rows, joined_rows, newest_by_visibility, newest_in_order

DAY = 86_400_000_000
HOUR = DAY // 24
LEAST = -(2**62)
# Around which moments a history lies, and how far it goes: a few days, before and after 1970, or all of time.
SPANS = {"now": (19_000 * DAY, 4 * DAY), "1970": (-2 * DAY, 4 * DAY), "all of time": (LEAST, 2**63 - 2**10)}
_Row = tuple[int, int, int]
"""Key, event timestamp, known timestamp."""


def drawn_moment(chance: random.Random, span: str) -> int:
    """A full hour or a microsecond beside it, so that moments meet."""
    start, length = SPANS[span]
    return start + length // 12 // HOUR * HOUR * chance.randrange(12) + chance.choice((0, 0, 0, 1, -1))


def drawn_rows(chance: random.Random, span: str, keys: int, count: int) -> list[_Row]:
    """Rows in any order; a key has one for each event and known timestamp."""
    rows = set()
    for _ in range(count):
        event = drawn_moment(chance, span)
        rows.add((chance.randrange(keys), event, event + chance.choice((0, 0, HOUR, -HOUR, 30 * HOUR))))
    listed = sorted(rows)
    chance.shuffle(listed)
    return listed


def drawn_points(chance: random.Random, span: str, keys: int, count: int) -> Points:
    numbers = [chance.randrange(keys) for _ in range(count)]
    moments = [drawn_moment(chance, span) + chance.choice((0, 0, HOUR)) for _ in range(count)]
    return Points(array(numbers), array(moments), keys)


def array(values: list[int]) -> Integers:
    return np.array(values, np.int64)


def as_rows(rows: list[_Row], first: int = 0) -> Rows:
    return Rows(array([row[0] for row in rows]), array([row[1] for row in rows]), np.arange(len(rows)) + first)


def by_looking_at_all(rows: list[_Row], points: Points, delay: int | None) -> list[int]:
    """For each point the place of the newest row that is visible: after `delay`, or when it was known."""
    answers = []
    for number, moment in zip(points.numbers.tolist(), points.moments.tolist(), strict=True):
        seen = [
            (event, known, place)
            for place, (key, event, known) in enumerate(rows)
            if key == number and (event + delay if delay is not None else max(event, known)) <= moment
        ]
        answers.append(max(seen)[2] if seen else NO_ROW)
    return answers


def one_for_each_event(rows: list[_Row]) -> list[_Row]:
    return list({(key, event): (key, event, event) for key, event, _ in rows}.values())


def by_day(rows: list[_Row], chance: random.Random) -> Iterator[tuple[list[_Row], list[Rows]]]:
    """The rows by their days, and as batches: a day is one, or several that lie anyhow within it."""
    ordered: list[_Row] = []
    batches: list[Rows] = [Rows(array([]), array([]), array([]))]
    for day in sorted({event // DAY for _, event, _ in rows}):
        own = [row for row in rows if row[1] // DAY == day]
        cuts = sorted({0, len(own), *(chance.randrange(len(own) + 1) for _ in range(chance.randrange(4)))})
        batches += [as_rows(own[start:end], len(ordered) + start) for start, end in pairwise(cuts)]
        ordered += own
    yield ordered, batches


@pytest.mark.parametrize("batch_rows", [1, 10, 1_000])
@pytest.mark.parametrize("span", SPANS)
@pytest.mark.parametrize("seed", range(12))
def test_the_last_row_of_a_key_is_carried_from_batch_to_batch(
    seed: int, span: str, batch_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(newest, "_BATCH_ROWS", batch_rows)
    chance = random.Random(seed)
    delay = chance.choice((0, 1, HOUR, 30 * HOUR))
    points = drawn_points(chance, span, 6, chance.choice((1, 40)))
    for rows, batches in by_day(one_for_each_event(drawn_rows(chance, span, 4, 60)), chance):
        answers = newest_in_order(points, batches, delay=delay)

        assert answers.places.tolist() == by_looking_at_all(rows, points, delay)
        found = answers.places != NO_ROW
        assert answers.events[found].tolist() == [rows[place][1] for place in answers.places[found].tolist()]


def test_batches_of_one_day_may_come_in_any_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(newest, "_BATCH_ROWS", 1)
    # Files are sorted by key within a day: the third holds earlier moments than the first two.
    rows = [(0, 2 * HOUR, 0), (1, 9 * HOUR, 0), (2, 20 * HOUR, 0), (3, 5 * HOUR, 0), (1, 30 * HOUR, 0)]
    batches = [as_rows(rows[:2]), as_rows(rows[2:3], 2), as_rows(rows[3:4], 3), as_rows(rows[4:], 4)]
    points = Points(array([1, 3, 1, 2, 1]), array([6 * HOUR, 6 * HOUR, 10 * HOUR, 21 * HOUR, 30 * HOUR]), 4)

    assert newest_in_order(points, batches, delay=0).places.tolist() == [NO_ROW, 3, 1, 2, 4]


@pytest.mark.parametrize("span", SPANS)
@pytest.mark.parametrize("seed", range(20))
def test_a_row_that_is_known_late_counts_from_then_on_unless_a_newer_one_was_there(seed: int, span: str) -> None:
    chance = random.Random(seed)
    rows = drawn_rows(chance, span, 4, chance.choice((1, 60)))
    points = drawn_points(chance, span, 6, 40)
    visible, known = array([max(row[1:]) for row in rows]), array([row[2] for row in rows])

    answers = newest_by_visibility(points, as_rows(rows), visible, known)

    assert answers.places.tolist() == by_looking_at_all(rows, points, None)


def test_nothing_asked_and_nothing_there_is_no_answer() -> None:
    nobody = Points(array([]), array([]), 0)
    somebody = Points(array([0]), array([HOUR]), 1)
    nothing, one = as_rows([]), as_rows([(0, 0, 0)])

    assert newest_in_order(somebody, [], delay=0).places.tolist() == [NO_ROW]
    assert newest_in_order(somebody, [nothing, nothing], delay=0).places.tolist() == [NO_ROW]
    assert newest_in_order(nobody, [], delay=0).places.tolist() == []
    assert newest_by_visibility(nobody, nothing, array([]), array([])).places.tolist() == []
    assert newest_by_visibility(somebody, nothing, array([]), array([])).places.tolist() == [NO_ROW]
    assert newest_by_visibility(Points(array([]), array([]), 1), one, array([0]), array([0])).places.tolist() == []


def test_a_row_lives_for_less_than_its_life() -> None:
    points = Points(array([0, 0, 0, 0]), array([4, 5, 6, 2]), 1)
    answers = newest_in_order(points, [as_rows([(0, 3, 3)])], delay=0)

    assert answers.alive(points.moments, None).tolist() == [0, 0, 0, NO_ROW]
    assert answers.alive(points.moments, 2).tolist() == [0, NO_ROW, NO_ROW, NO_ROW]


def test_batches_are_joined_as_they_are() -> None:
    assert joined_rows([]).numbers.tolist() == []
    assert joined_rows([as_rows([(1, 2, 2)]), as_rows([(3, 4, 4)], 7)]).places.tolist() == [0, 7]
