"""Answers as they are offered to the serving log, of a feature set that is made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from featurestore.graph.resolved import Column, FeatureSet, OutputColumn, ResolvedFeature, ResolvedView, ViewUse
from featurestore.operations.answered_rows import AnsweredRows, OnlineAnswer
from featurestore.ports.serving_log import ServedAnswer
from featurestore.spec.dtypes import DType

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def features_of(*dtypes: DType, fingerprint: str = "f" * 64) -> FeatureSet:
    """A view `shops` with one feature for each type: `v0`, `v1` and so on, by the key `shop`."""
    features = tuple(ResolvedFeature(f"v{index}", dtype, fingerprint, ()) for index, dtype in enumerate(dtypes))
    view = ResolvedView(
        name="shops", fingerprint=fingerprint, entity="shop", keys=(Column("shop", DType.STRING),), query="SELECT 1",
        sources=(), features=features, every=None, inputs=(), ttl=timedelta(days=30), publish_delay=timedelta(0),
        delay=timedelta(0),
    )  # fmt: skip
    use = ViewUse("shops", "shops", ("shop",), tuple(feature.name for feature in features))
    outputs = tuple(OutputColumn(use.column(f.name), f.dtype, f"shops:{f.name}", f.fingerprint) for f in features)
    return FeatureSet("shops_v1", (view,), (use,), (), outputs)


SCORES = features_of(DType.FLOAT64)


def answer_of(
    features: FeatureSet,
    shops: Sequence[str | None],
    *values: Sequence[object],
    at: datetime = NOON,
    service: str | None = "shops_v1",
    model: str | None = None,
) -> ServedAnswer:
    """One request for these shops, and the values that were answered, a list for each feature."""
    rows, inputs = len(shops), {"shop": list(shops)}
    answer = OnlineAnswer(features.outputs, values, [0] * len(values), [AnsweredRows([0] * rows)], rows, at, inputs)
    return ServedAnswer(features, service, model, at, rows, inputs, answer)


def scores(*values: float | None, at: datetime = NOON, service: str | None = "shops_v1") -> ServedAnswer:
    """One request for as many shops as there are scores."""
    return answer_of(SCORES, [f"s{index}" for index, _ in enumerate(values)], values, at=at, service=service)
