"""The point-in-time answers of one view for keys that each ask about a moment of their own, all its features."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import pyarrow as pa

from featurestore.graph.arrow_types import arrow_schema
from featurestore.graph.resolved import FeatureSet, OutputColumn, ResolvedView, ViewUse
from featurestore.operations.causes import Values
from featurestore.operations.point_in_time import Pull, point_in_time
from featurestore.operations.sides import OfflineSide
from featurestore.ports.engine import ParquetFiles
from featurestore.ports.online_store import Key

_ASKED_AT = "__asked_at"

Question = tuple[Key, datetime]


def answers_at(
    view: ResolvedView, questions: Sequence[Question], files: ParquetFiles, offline: OfflineSide
) -> list[Values]:
    """One answer for each question, in order: the features in the order of the view's."""
    if not questions:
        return []
    schema = arrow_schema(view.keys).append(pa.field(_ASKED_AT, pa.timestamp("us", tz="UTC")))
    columns = [[key[position] for key, _ in questions] for position in range(len(view.keys))]
    moments = [moment for _, moment in questions]
    spine = pa.table([*columns, moments], schema=schema)
    pull = Pull(spine, _whole_view(view), _ASKED_AT, {view.name: files}, {view.name: max(moments)})
    answered = pa.concat_tables(point_in_time(pull, offline))
    return list(zip(*(column.to_pylist() for column in answered.columns), strict=True))


def _whole_view(view: ResolvedView) -> FeatureSet:
    names = tuple(feature.name for feature in view.features)
    use = ViewUse(view.name, view.name, tuple(key.name for key in view.keys), names)
    outputs = tuple(
        OutputColumn(use.column(feature.name), feature.dtype, f"{view.name}:{feature.name}", feature.fingerprint)
        for feature in view.features
    )
    return FeatureSet(None, (view,), (use,), (), outputs)
