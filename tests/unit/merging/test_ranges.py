"""Many ranges at once give what each of them gives alone."""

from __future__ import annotations

import numpy as np
import pytest

from featurestore.merging import ranges
from featurestore.merging.keys import Integers
from featurestore.merging.ranges import NOWHERE, greatest_in, least_covering, pairs

EXTREMES = np.array([np.iinfo(np.int64).min, np.iinfo(np.int64).max, 0, -1, 1], np.int64)


def drawn_ranges(chance: np.random.Generator, size: int, count: int) -> tuple[Integers, Integers]:
    """Ranges within `size` places, some of them empty, some of everything."""
    ends = np.sort(chance.integers(0, size + 1, (count, 2)), axis=1)
    ends[: count // 5] = (0, size)
    return ends[:, 0].copy(), ends[:, 1].copy()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 9, 64, 100])
@pytest.mark.parametrize("seed", range(5))
def test_the_greatest_of_a_range_is_found(seed: int, size: int) -> None:
    chance = np.random.default_rng(seed)
    values = np.where(chance.random(size) < 0.2, chance.choice(EXTREMES, size), chance.integers(-9, 9, size))
    starts, ends = drawn_ranges(chance, size, 50)

    answers = greatest_in(values, starts, ends)

    for start, end, answer in zip(starts, ends, answers, strict=True):
        assert start == end or answer == max(values[start:end])


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 9, 64, 100])
@pytest.mark.parametrize("seed", range(5))
def test_the_least_of_the_ranges_that_hold_a_place_is_found(seed: int, size: int) -> None:
    chance = np.random.default_rng(seed)
    starts, ends = drawn_ranges(chance, size, int(chance.integers(0, 12)))
    values = chance.integers(-99, 99, len(starts))

    least = least_covering(starts, ends, values, size)

    covering = [[v for s, e, v in zip(starts, ends, values, strict=True) if s <= place < e] for place in range(size)]
    assert least.tolist() == [min(some, default=NOWHERE) for some in covering]


def test_a_range_that_ends_before_it_starts_holds_nothing() -> None:
    assert least_covering(np.array([3]), np.array([1]), np.array([7]), 4).tolist() == [NOWHERE] * 4


@pytest.mark.parametrize("most", [1, 2, 5, 1_000])
@pytest.mark.parametrize("seed", range(5))
def test_every_place_of_every_range_comes_once(seed: int, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges, "_MOST_PAIRS", most)
    starts, ends = drawn_ranges(np.random.default_rng(seed), 9, 20)

    found = []
    some_before = 0
    for some, owners, places in pairs(starts, ends):
        assert some.start == some_before
        some_before = some.stop
        assert len(places) <= max(most, int((ends - starts)[some].max()))
        assert (np.diff(owners) >= 0).all()
        found += list(zip((owners + some.start).tolist(), places.tolist(), strict=True))

    assert some_before == len(starts)
    assert found == [
        (owner, place)
        for owner, (start, end) in enumerate(zip(starts, ends, strict=True))
        for place in range(start, end)
    ]


def test_no_ranges_are_no_answers() -> None:
    nothing = np.zeros(0, np.int64)

    assert greatest_in(nothing, nothing, nothing).tolist() == []
    assert greatest_in(nothing, np.zeros(3, np.int64), np.zeros(3, np.int64)).shape == (3,)
    assert least_covering(nothing, nothing, nothing, 0).tolist() == []
    assert list(pairs(nothing, nothing)) == []
