"""Views and on-demand expressions, tried on rows of nulls, of every day and of limits before anything is made of them.

An expression that can not be right is told apart from one that fails on some values. The first is a fault of the
definitions. The second may be right for the rows there are, so its author decides: the plan says what can fail.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import pyarrow as pa

from featurestore.graph.draft import DraftView
from featurestore.graph.sql_text import called_functions, string_literals
from featurestore.graph.trial_rows import ORDINARY, TEXTS
from featurestore.graph.written import EVENT_TIMESTAMP
from featurestore.plan.stages import CanFail
from featurestore.ports.engine import Engine, Query

_SECONDS = 10.0
_RAISING = {"error", "assert_true"}


@dataclass(frozen=True, slots=True)
class Fault:
    """What fails whatever the rows hold, and why."""

    what: str
    declared_at: str
    reason: str


@dataclass(frozen=True, slots=True)
class Trial:
    """A query without relations, and for each that it reads the rows that `trial_rows` gives."""

    query: Query
    rows: Mapping[str, pa.Table]

    def failure(self, engine: Engine, rows: range | None = None) -> str | None:
        """Why it fails on these rows, by default all of them; None if it does not."""
        chosen = self.rows if rows is None else {n: t.slice(rows.start, len(rows)) for n, t in self.rows.items()}
        reason = engine.failure_of(replace(self.query, relations=chosen), seconds=_SECONDS)
        return None if reason is None else reason.splitlines()[0]


_LIKELY = range(ORDINARY.stop)
"""The row of nulls and those of every day."""


def try_view(view: DraftView, rows: Mapping[str, pa.Table], engine: Engine) -> tuple[list[Fault], list[CanFail]]:
    """What is wrong with the view's SQL or with single features, and what fails on some values."""
    name = view.declaration.name
    trial = Trial(Query(view.query.tree), {source.name: rows[source.name] for source in view.written.sources})
    if (reason := trial.failure(engine)) is None:
        return [], []
    if trial.failure(engine, _LIKELY) is None:
        return [], [CanFail(name, reason, at_limits=True)]
    happened = Trial(Query(view.query.only(EVENT_TIMESTAMP)), trial.rows)
    if (judged := _judged(f"view '{name}'", name, view.declaration.declared_at, happened, engine)) is not None:
        return _sorted([judged])
    found = [
        _judged(f"'{column.known_as}' of view '{name}'", f"{name}:{column.known_as}", column.declared_at, one, engine)
        for column in view.written.columns
        for one in [Trial(Query(view.query.only(column.name)), trial.rows)]
    ]
    return _sorted(found)


def try_expression(name: str, declared_at: str, trial: Trial, engine: Engine) -> tuple[list[Fault], list[CanFail]]:
    """The same of an on-demand feature."""
    if (reason := trial.failure(engine)) is None:
        return [], []
    judged = _judged(f"on-demand feature '{name}'", name, declared_at, trial, engine)
    return _sorted([judged if judged is not None else CanFail(name, reason, at_limits=True)])


def _sorted(found: Iterable[Fault | CanFail | None]) -> tuple[list[Fault], list[CanFail]]:
    listed = list(found)
    return [one for one in listed if isinstance(one, Fault)], [one for one in listed if isinstance(one, CanFail)]


def _judged(told: str, name: str, declared_at: str, trial: Trial, engine: Engine) -> Fault | CanFail | None:
    reason = trial.failure(engine, _LIKELY)
    if reason is None:
        return None
    if _quotes_its_own_text(reason, trial.query) or _fails_always(reason, trial, engine):
        return Fault(told, declared_at, reason)
    return CanFail(name, reason, at_limits=False)


def _quotes_its_own_text(reason: str, query: Query) -> bool:
    """Whether what can not be converted is a literal of the expression: no row can mend that."""
    if not reason.startswith("Conversion Error"):
        return False
    texts = string_literals(query.tree) - {*TEXTS}
    return any(quoted in reason for text in texts for quoted in (f"'{text}'", f'"{text}"'))


def _fails_always(reason: str, trial: Trial, engine: Engine) -> bool:
    """Whether every row, nulls too, fails for the same reason, and the author did not ask for it."""
    if called_functions(trial.query.tree) & _RAISING:
        return False
    return all(trial.failure(engine, range(row, row + 1)) == reason for row in _LIKELY)
