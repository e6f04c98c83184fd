"""The model: gradient boosting on the numeric features, by scikit-learn. Knows nothing of where rows come from."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from docs.demo.spines import LABEL, labeled

PARAMS: dict[str, object] = {"max_iter": 100, "learning_rate": 0.1, "random_state": 0}
ASKED_WITH = ("scheduled_minutes", "scheduled_hour")
"""Inputs that the request itself carries: they stand in the schedule."""


@dataclass(frozen=True, slots=True)
class Model:
    """A fitted classifier; `inputs` are the columns it reads, in its order."""

    classifier: Any

    @property
    def inputs(self) -> tuple[str, ...]:
        return tuple(self.classifier.feature_names_in_)


def train(rows: pa.Table, features: Sequence[str]) -> Model:
    """Fit on the labeled ones of `rows`, with the numeric ones of `features` and what a request carries."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    known = labeled(rows)
    inputs = [name for name in (*ASKED_WITH, *features) if _says_something(known[name])]
    classifier = HistGradientBoostingClassifier(**PARAMS)
    classifier.fit(known.select(inputs).to_pandas(), _labels(known))
    return Model(classifier)


def probabilities(model: Model, rows: pa.Table) -> list[float]:
    """The probability of being late, for each row."""
    chances: list[float] = model.classifier.predict_proba(rows.select(model.inputs).to_pandas())[:, 1].tolist()
    return chances


def auc(model: Model, rows: pa.Table) -> float:
    """The area under the ROC curve over the labeled ones of `rows`: 0.5 is guessing, 1 is knowing."""
    from sklearn.metrics import roc_auc_score

    known = labeled(rows)
    return float(roc_auc_score(_labels(known), probabilities(model, known)))


def save(model: Model, path: Path) -> None:
    path.write_bytes(pickle.dumps(model.classifier))


def load(path: Path) -> Model:
    return Model(pickle.loads(path.read_bytes()))  # noqa: S301 - written by `save`


def identity() -> str:
    """What decides how a model comes out, besides its rows."""
    return f"scikit-learn {version('scikit-learn')} {PARAMS}"


def _says_something(values: pa.ChunkedArray) -> bool:
    """Whether a column is a number and ever changes. (scikit-learn 1.9 can not bin one that does not.)"""
    is_number = pa.types.is_floating(values.type) or pa.types.is_integer(values.type)
    return bool(is_number and pc.count_distinct(values).as_py() > 1)


def _labels(known: pa.Table) -> Any:
    return known[LABEL].cast(pa.int8()).to_numpy()
