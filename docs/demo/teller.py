"""How a step is told: it begins, it is done or was done before, its outcome is kept and shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TypeVar

from docs.demo.facts import Facts
from docs.demo.results import Outcome, Results
from docs.demo.screen import Screen
from docs.demo.steps import Step

F = TypeVar("F", bound=Facts)


@dataclass(frozen=True, slots=True)
class Teller:
    """Tells steps on `screen`, and keeps what they came to in `results`."""

    screen: Screen
    results: Results

    def ask(self, step: Step, work: Callable[[], F]) -> F:
        """A step that is asked for in every run, because the product itself answers at once when it was done.

        When the answer is the one of an earlier run, that is said, with the time it took then.
        """
        self.screen.begin(step)
        outcome = _measured(work)
        before = self.results.find(step.name, _ANSWER, type(outcome.facts))
        if before is not None and before.facts == outcome.facts:
            outcome = before
        else:
            self.results.keep(step.name, _ANSWER, outcome)
        self.screen.end(outcome)
        return outcome.facts

    def once(self, step: Step, key: str, kind: type[F], work: Callable[[], F], *, needs: Path | None = None) -> F:
        """A step that is done once for `key`, which says what its outcome follows from.

        `needs` is a file that it leaves behind: without that, it is done again.
        """
        self.screen.begin(step)
        outcome = self.results.find(step.name, key, kind) if needs is None or needs.exists() else None
        if outcome is None:
            outcome = _measured(work)
            self.results.keep(step.name, key, outcome)
        self.screen.end(outcome)
        return outcome.facts

    def answer_before(self, step: Step, kind: type[F]) -> F | None:
        """What the step was answered with in an earlier run, if it was."""
        before = self.results.find(step.name, _ANSWER, kind)
        return None if before is None else before.facts


_ANSWER = "the answer"


def _measured(work: Callable[[], F]) -> Outcome[F]:
    started = perf_counter()
    facts = work()
    return Outcome(facts, perf_counter() - started)
