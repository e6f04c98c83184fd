"""The features of a spine as they were known: the join of its views, then the on-demand features, in pieces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from featurestore.graph.arrow_types import arrow_schema
from featurestore.graph.resolved import Column, FeatureSet, ResolvedFeature
from featurestore.operations.compute_on_demand import compute_table
from featurestore.operations.prepare_on_demand import PreparedOnDemand, prepare_on_demand
from featurestore.operations.sides import OfflineSide
from featurestore.operations.spine import spine_relation
from featurestore.ports.engine import ParquetFiles
from featurestore.ports.joins import JoinRequest, Knowledge, ServedView
from featurestore.spec.dtypes import Kind

_PIECE_BYTES = 1 << 30
_MOST_ROWS = 8_000_000
_LEAST_ROWS = 65_536
_NUMBER_BYTES = 8
_TEXT_BYTES = 128
"""What a text or a list is taken to need; nobody knows before it is read."""


@dataclass(frozen=True, slots=True)
class Pull:
    """Features for a spine, from tables at fixed versions. `tables`, `answers_until` and `served` are by the views'
    names; with `served`, rows get what an online store answered."""

    spine: pa.Table
    features: FeatureSet
    timestamp: str
    tables: Mapping[str, ParquetFiles]
    answers_until: Mapping[str, datetime]
    knowledge: Knowledge = Knowledge.KNOWN
    served: Mapping[str, ServedView] | None = None


def point_in_time(pull: Pull, offline: OfflineSide, *, rows: int | None = None) -> Iterator[pa.Table]:
    """The features as tables whose rows are the spine's, in its order: at least one table. Memory grows with a table,
    so wide rows come fewer at a time, and never more than `rows`."""
    rows = min(rows or _MOST_ROWS, rows_at_once(pull.features))
    on_demand = prepare_on_demand(pull.features, offline.engine)
    for start in range(0, max(pull.spine.num_rows, 1), rows):
        asked = spine_relation(pull.spine.slice(start, rows), pull.features, timestamp=pull.timestamp)
        request = JoinRequest(pull.features, asked, pull.tables, pull.answers_until, pull.knowledge, pull.served)
        joined = offline.joins.join(request)
        yield _outputs(on_demand, asked, joined)


def rows_at_once(features: FeatureSet) -> int:
    """How many rows of a spine are joined at once."""
    width = sum(
        _bytes(view.feature(name))
        for use in features.uses
        for view in [features.view(use.view)]
        for name in use.features
    )
    return max(_LEAST_ROWS, min(_MOST_ROWS, _PIECE_BYTES // max(width, 1)))


def _bytes(feature: ResolvedFeature) -> int:
    match feature.dtype.kind:
        case Kind.EMBEDDING:
            return 4 * feature.dtype.size
        case Kind.LIST if feature.window is not None and feature.window.parameter is not None:
            return _NUMBER_BYTES * int(feature.window.parameter)
        case Kind.LIST | Kind.STRING:
            return _TEXT_BYTES
        case _:
            return _NUMBER_BYTES


def _outputs(on_demand: PreparedOnDemand, asked: pa.Table, joined: pa.Table) -> pa.Table:
    columns = {name: joined[name] for name in joined.column_names}
    if on_demand.features.on_demand:
        columns |= compute_table(on_demand, _read(on_demand, asked, joined))
    schema = arrow_schema(tuple(Column(output.name, output.dtype) for output in on_demand.features.outputs))
    # Cast, because each engine calls the items of lists by another name, and the bytes of a result have it.
    return pa.table([columns[field.name].cast(field.type) for field in schema], schema=schema)


def _read(on_demand: PreparedOnDemand, asked: pa.Table, joined: pa.Table) -> pa.Table:
    """What on-demand features read, with a column of nulls where they read nothing: so that there are rows."""
    types = on_demand.arrow_types
    columns = {name: (asked if name in asked.column_names else joined)[name].cast(types[name]) for name in types}
    return pa.table(columns or {"": pa.nulls(asked.num_rows)})
