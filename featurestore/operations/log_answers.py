"""Log answers: which of them are offered to the serving log, and what of them.

What happens here happens between an answer and whoever waits for it: a number is drawn, and references are handed over.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from featurestore.operations.answered_rows import OnlineAnswer
from featurestore.operations.chosen_features import FeatureChoice
from featurestore.operations.lookup import PreparedLookup
from featurestore.ports.serving_log import LogShelf, ServedAnswer, ServingLog


@dataclass(frozen=True, slots=True)
class AnswerLog:
    """The serving log as operations are given it. `sample` is the share of requests that are offered, from 0 to 1."""

    log: ServingLog
    shelf: LogShelf
    sample: float
    draw: Callable[[], float] = random.random
    """A number from 0 up to 1, without 1."""


def log_answer(choice: FeatureChoice, prepared: PreparedLookup, answer: OnlineAnswer, logged: AnswerLog) -> None:
    """Offer the answer, if its request is one of the sample. Never raises, never waits."""
    if not logged.sample or not answer.rows or logged.draw() >= logged.sample:
        return
    logged.log.offer(
        ServedAnswer(
            features=prepared.features,
            service=choice.service,
            model=prepared.model,
            at=answer.at,
            rows=answer.rows,
            # Copied, for they may be the very lists of a caller in this process, who may go on to change them.
            inputs={name: tuple(values) for name, values in answer.inputs.items()},
            answer=answer,
        )
    )
