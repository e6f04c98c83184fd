"""Tables written by hand, a few Parquet files for each day, and the views that they are tables of."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from featurestore.graph.arrow_types import arrow_schema
from featurestore.graph.resolved import Column, FeatureSet, OutputColumn, ResolvedFeature, ResolvedView, ViewUse
from featurestore.graph.written import EVENT_TIMESTAMP, KNOWN_AT
from featurestore.ports.engine import ParquetFiles
from featurestore.ports.joins import MOMENT
from featurestore.spec.dtypes import DType

NOTHING = timedelta(0)


def row_level_view(
    keys: Mapping[str, DType],
    features: Mapping[str, DType],
    *,
    delay: timedelta | None = NOTHING,
    ttl: timedelta | None = None,
    publish_delay: timedelta = NOTHING,
    name: str = "rows",
) -> ResolvedView:
    """A view of rows; with `delay` None, rows say themselves when they were known."""
    return ResolvedView(
        name=name, fingerprint="0" * 64, entity=None, keys=tuple(Column(*key) for key in keys.items()), query="",
        sources=(), features=tuple(ResolvedFeature(feature, dtype, "", ()) for feature, dtype in features.items()),
        every=None, inputs=(), ttl=ttl, publish_delay=publish_delay, delay=delay,
    )  # fmt: skip


def feature_set(*views: ResolvedView) -> FeatureSet:
    """All features of views, each joined on the columns that its keys are called after."""
    uses = tuple(
        ViewUse(
            view.name,
            view.name,
            tuple(key.name for key in view.keys),
            tuple(feature.name for feature in view.features),
        )
        for view in views
    )
    outputs = tuple(
        OutputColumn(f"{view.name}__{feature.name}", feature.dtype, f"{view.name}:{feature.name}", "")
        for view in views
        for feature in view.features
    )
    return FeatureSet(None, views, uses, (), outputs)


def stored(view: ResolvedView, rows: Sequence[Mapping[str, Any]], folder: Path, chance: random.Random) -> ParquetFiles:
    """The rows as files: each day in one or a few, of any rows of the day, some of them without any."""
    times = (Column(EVENT_TIMESTAMP, DType.TIMESTAMP), Column(KNOWN_AT, DType.TIMESTAMP))
    schema = arrow_schema((*view.keys, *times, *view.stored_values))
    folder.mkdir(parents=True)
    placed: list[tuple[str, str]] = []
    for day in sorted({row[EVENT_TIMESTAMP].astimezone(UTC).date() for row in rows}):
        own = [row for row in rows if row[EVENT_TIMESTAMP].date() == day]
        chance.shuffle(own)
        cuts = sorted({0, len(own), *(chance.randrange(len(own) + 1) for _ in range(chance.randrange(4)))})
        for start, end in (*pairwise(cuts), *([(0, 0)] if chance.random() < 0.2 else [])):
            path = folder / f"{chance.getrandbits(64):016x}.parquet"
            pq.write_table(pa.Table.from_pylist(own[start:end], schema=schema), path, row_group_size=3)
            placed.append((str(path), day.isoformat()))
    placed.sort()  # by names, as a store may list them: not by days
    return ParquetFiles(tuple(path for path, _ in placed), schema, tuple(day for _, day in placed))


def spine_of(view: ResolvedView, asked: Sequence[tuple[tuple[Any, ...], datetime]]) -> pa.Table:
    """A spine of keys and moments."""
    schema = arrow_schema((*view.keys, Column(MOMENT, DType.TIMESTAMP)))
    names = [key.name for key in view.keys]
    rows = [{**dict(zip(names, key, strict=True)), MOMENT: moment} for key, moment in asked]
    return pa.Table.from_pylist(rows, schema=schema)
