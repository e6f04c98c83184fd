"""The effective moment is the greatest one that the store was filled to by the runs that were through by then."""

from __future__ import annotations

import random

import numpy as np
import pytest

from featurestore.merging.served import NOT_ONLINE, Pushes, effective_moments


def numbers(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def test_a_run_counts_from_the_moment_it_was_published() -> None:
    found = effective_moments(numbers(9, 10, 19, 20, 99), published=numbers(10, 20), filled=numbers(5, 15))

    assert found.tolist() == [NOT_ONLINE, 5, 5, 15, 15]


def test_a_run_that_was_filled_less_far_takes_nothing_back() -> None:
    found = effective_moments(numbers(10, 20, 30), published=numbers(10, 20, 30), filled=numbers(7, 3, 9))

    assert found.tolist() == [7, 7, 9]


def test_without_runs_nothing_was_online_pushes_or_not() -> None:
    none = numbers()

    assert effective_moments(numbers(1, 2), none, none).tolist() == [NOT_ONLINE] * 2
    assert effective_moments(numbers(1, 2), none, none, Pushes(0, 9)).tolist() == [NOT_ONLINE] * 2
    assert effective_moments(none, none, none).tolist() == []


def test_between_the_first_and_the_last_push_what_was_visible_was_online() -> None:
    asked = numbers(0, 10, 29, 30, 40, 41, 99)

    found = effective_moments(asked, numbers(10), numbers(8), Pushes(30, 40))

    assert found.tolist() == [NOT_ONLINE, 8, 8, 30, 40, 40, 40]


@pytest.mark.parametrize("seed", range(20))
def test_any_history_in_any_order_agrees_with_looking_at_every_run(seed: int) -> None:
    chance = random.Random(seed)
    runs = [(chance.randrange(20), chance.randrange(-20, 20)) for _ in range(chance.randrange(8))]
    asked = [chance.randrange(-2, 24) for _ in range(40)]
    pushes = chance.choice((None, Pushes(8, 15)))

    found = effective_moments(
        numbers(*asked), numbers(*(one for one, _ in runs)), numbers(*(one for _, one in runs)), pushes
    )

    for moment, effective in zip(asked, found.tolist(), strict=True):
        reached = [filled for published, filled in runs if published <= moment]
        if pushes and reached and moment >= pushes.first:
            reached.append(min(moment, pushes.last))
        assert effective == max(reached, default=NOT_ONLINE)
