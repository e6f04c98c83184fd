"""Which answers are offered to the serving log, and that they are handed over as they are."""

from __future__ import annotations

from typing import Any

import pytest

from featurestore.adapters.memory_serving_log import MemoryLogShelf
from featurestore.operations.answered_rows import AnsweredRows, OnlineAnswer
from featurestore.operations.chosen_features import FeatureChoice
from featurestore.operations.log_answers import AnswerLog, log_answer
from featurestore.operations.lookup import prepare
from featurestore.ports.serving_log import ServedAnswer
from tests.logged_answers import NOON, SCORES

CHOICE = FeatureChoice(service="shops_v1")


class UnaskedEngine:
    """Of features that nothing is computed for on demand, an engine is asked nothing."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(name)


PREPARED = prepare(SCORES, UnaskedEngine())


class Offered:
    """A ServingLog that only remembers."""

    logged = dropped = failed = 0

    def __init__(self) -> None:
        self.answers: list[ServedAnswer] = []

    def offer(self, answer: ServedAnswer) -> None:
        self.answers.append(answer)

    def close(self) -> None:
        pass


def answer(*values: float) -> OnlineAnswer:
    rows = len(values)
    return OnlineAnswer(
        SCORES.outputs, [values], [0], [AnsweredRows([0] * rows)], rows, NOON, {"shop": ["alma"] * rows}
    )


def logged(sample: float, *draws: float) -> list[ServedAnswer]:
    """What is offered of as many requests as numbers are drawn."""
    offered, drawn = Offered(), iter(draws)
    for _ in draws:
        log_answer(CHOICE, PREPARED, answer(1.0), AnswerLog(offered, MemoryLogShelf(), sample, lambda: next(drawn)))
    return offered.answers


@pytest.mark.parametrize(("sample", "expected"), [(0.0, 0), (0.25, 1), (0.5, 2), (0.999, 4), (1.0, 4)], ids=str)
def test_a_request_is_logged_when_the_number_drawn_for_it_is_below_the_sample(sample: float, expected: int) -> None:
    assert len(logged(sample, 0.0, 0.25, 0.5, 0.9)) == expected


def test_nothing_is_drawn_where_nothing_is_logged() -> None:
    def never() -> float:
        raise AssertionError("a number was drawn")

    offered = Offered()

    log_answer(CHOICE, PREPARED, answer(1.0), AnswerLog(offered, MemoryLogShelf(), 0.0, never))

    assert offered.answers == []


def test_an_answer_without_rows_is_not_logged() -> None:
    offered = Offered()

    log_answer(CHOICE, PREPARED, answer(), AnswerLog(offered, MemoryLogShelf(), 1.0))

    assert offered.answers == []


def test_what_is_offered_is_the_answer_itself() -> None:
    offered, given = Offered(), answer(1.0, 2.0)

    log_answer(CHOICE, PREPARED, given, AnswerLog(offered, MemoryLogShelf(), 1.0))

    [found] = offered.answers
    assert found.answer is given
    assert found.inputs == {"shop": ("alma", "alma")}
    assert (found.features, found.service, found.model, found.at, found.rows) == (SCORES, "shops_v1", None, NOON, 2)
