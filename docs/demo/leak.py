"""The leak, measured: one recipe for a model, trained on two joins, each judged offline and then as served."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from docs.demo.model import Model, auc, train
from docs.demo.scope import Scope
from docs.demo.spines import PREDICTED_AT, labeled, within


@dataclass(frozen=True, slots=True)
class Measured:
    """`offline`: on rows made by the join that the model was trained on. `served`: on what was looked up."""

    offline: float
    served: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """The rows to judge by: both training sets, and what the online store answered in the replay."""

    naive: pa.Table
    point_in_time: pa.Table
    served: pa.Table
    features: tuple[str, ...]


def measure_naive(evidence: Evidence, scope: Scope) -> Measured:
    """A model trained on the naive join. Offline it is judged by rows of the same join, as its maker would."""
    model = train(within(evidence.naive, scope.train, column=PREDICTED_AT), evidence.features)
    judged = within(evidence.naive, scope.replay, column=PREDICTED_AT)
    return Measured(auc(model, judged), auc(model, evidence.served))


def measure_honest(model: Model, evidence: Evidence, scope: Scope) -> Measured:
    """The model that was trained point-in-time."""
    judged = within(evidence.point_in_time, scope.replay)
    return Measured(auc(model, judged), auc(model, evidence.served))


def tested(evidence: Evidence) -> int:
    """The flights that an AUC is taken over."""
    return int(labeled(evidence.served).num_rows)


def as_served(flights: pa.Table, answers: pa.Table) -> pa.Table:
    """Each flight with what the online store answered for it: what a service would hand to its model."""
    for name in answers.column_names:
        flights = flights.append_column(answers.schema.field(name), answers[name])
    return flights


def needed(flights: pa.Table, scope: Scope) -> pa.Table:
    """The flights that training and judging look at."""
    return pa.concat_tables([within(flights, scope.train), within(flights, scope.replay)])
