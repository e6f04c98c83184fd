"""The draft with types: views, on-demand features and services as resolved records with fingerprints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa

from featurestore.errors import Problem
from featurestore.graph.arrow_types import dtype_of
from featurestore.graph.chained import behind, deciding, read_identity
from featurestore.graph.declared_sources import resolved_source
from featurestore.graph.draft import Draft, DraftView
from featurestore.graph.edges import edges
from featurestore.graph.fingerprint import (
    fingerprint,
    key_identity,
    rhythm_identity,
    window_identity,
)
from featurestore.graph.resolved import (
    Column,
    Graph,
    ResolvedEntity,
    ResolvedFeature,
    ResolvedSource,
    ResolvedView,
    TileInput,
)
from featurestore.graph.upstream_view import UpstreamView
from featurestore.graph.written import EVENT_TIMESTAMP, KNOWN_AT, WrittenFeature
from featurestore.spec.aggregate import Function
from featurestore.spec.dtypes import MOST_DIGITS, OFFERED, Decimal, DType, Kind, List
from featurestore.spec.source import RemovedRows


@dataclass(frozen=True, slots=True)
class _FeatureRows:
    """What a feature is read from: the view's columns, what it reads, and the feature's lineage closure."""

    schema: pa.Schema
    sources: tuple[ResolvedSource, ...]
    upstreams: tuple[ResolvedView, ...]
    closure: str


def settle_views(draft: Draft, view_schemas: Mapping[str, pa.Schema]) -> tuple[Graph, list[Problem]]:
    """Entities, sources and views, settled with the types that the engine found for each view's query, and every type
    that does not fit. Views with such a problem, or without types, are left out."""
    typed = [view for view in draft.views if view.declaration.name in view_schemas]
    problems = {view.declaration.name: list(_type_problems(view, view_schemas)) for view in typed}
    sources = {
        source.name: resolved_source(source, draft.schemas[source.name])
        for source in draft.declarations.sources
        if source.name in draft.schemas
    }
    graph = Graph(
        entities=tuple(
            ResolvedEntity(e.name, tuple(Column(*key) for key in e.join_keys), e.description, e.owner, e.tags)
            for e in draft.declarations.entities
        ),
        sources=tuple(sources.values()),
        views=tuple(
            _view(view, view_schemas[view.declaration.name], sources)
            for view in typed
            if not problems[view.declaration.name]
        ),
    )
    return graph, [problem for found in problems.values() for problem in found]


def _view(draft: DraftView, schema: pa.Schema, all_sources: Mapping[str, ResolvedSource]) -> ResolvedView:
    view = draft.declaration
    keys = tuple(Column(*key) for key in view.entity.join_keys) if view.entity else ()
    sources = tuple(all_sources[one.name] for one in draft.written.sources if not isinstance(one, UpstreamView))
    read = (one.resolved for one in draft.written.sources if isinstance(one, UpstreamView))
    upstreams = tuple(one for one in read if one is not None)
    always = {*(key.name for key in keys), EVENT_TIMESTAMP, KNOWN_AT}
    closures = draft.query.closures(always, (feature.column for feature in draft.written.features))
    features = tuple(
        _feature(draft, feature, _FeatureRows(schema, sources, upstreams, closures[feature.column]))
        for feature in draft.written.features
    )
    query = draft.query.canonical()
    # Rows that are kept are known when they were captured, so each says itself when.
    keeps = any(source.removed_rows is RemovedRows.KEEP for source in sources)
    identity = fingerprint(
        "view",
        query,
        key_identity(keys),
        read_identity(sources, upstreams, query),
        rhythm_identity(view.every, view.publish_delay),
        sorted([f.name, f.column, window_identity(f.window)] for f in draft.written.features),
    )
    return ResolvedView(
        name=view.name,
        fingerprint=identity,
        entity=view.entity.name if view.entity else None,
        keys=keys,
        query=query,
        sources=sources,
        features=features,
        every=view.every,
        inputs=tuple(
            TileInput(entry.column.name, _dtype(schema, entry.column.name), entry.functions, entry.recent)
            for entry in draft.written.inputs
        ),
        ttl=view.ttl,
        publish_delay=view.publish_delay,
        delay=None if keeps else draft.written.delay,
        description=view.description,
        owner=view.owner,
        tags=view.tags,
        lateness=view.lateness,
        upstreams=upstreams,
        source_delay=draft.written.delay if keeps else None,
    )


def _feature(draft: DraftView, feature: WrittenFeature, rows: _FeatureRows) -> ResolvedFeature:
    projection = draft.query.projection(feature.column)
    closure = rows.closure
    identity = fingerprint(
        "feature",
        feature.name,
        closure.replace(f'"{feature.column}"', '"value"') if feature.window else closure,
        read_identity(rows.sources, rows.upstreams, closure),
        rhythm_identity(draft.declaration.every, draft.declaration.publish_delay),
        window_identity(feature.window),
    )
    return ResolvedFeature(
        feature.name,
        _feature_dtype(feature, _dtype(rows.schema, feature.column)),
        identity,
        edges(
            behind(projection.direct, rows.upstreams),
            behind(projection.filtered_by | draft.query.row_columns, rows.upstreams) | deciding(rows.upstreams),
        ),
        feature.window,
        feature.description,
    )


def _dtype(schema: pa.Schema, column: str) -> DType:
    dtype = dtype_of(schema.field(column).type)
    assert dtype is not None, column  # noqa: S101 - `_type_problems` refuses a column without a type of ours
    return dtype


def _feature_dtype(feature: WrittenFeature, column: DType) -> DType:
    if feature.window is None:
        return column
    match feature.window.function:
        case Function.COUNT | Function.COUNT_DISTINCT:
            return DType.INT64
        case Function.SUM:
            return _sum_dtype(column)
        case Function.MEAN | Function.STD | Function.VAR | Function.PERCENTILE:
            return DType.FLOAT64
        case Function.MIN | Function.MAX | Function.FIRST | Function.LAST:
            return column
        case Function.LAST_N:
            return List(column)


def _sum_dtype(column: DType) -> DType:
    if column.kind is Kind.DECIMAL:
        return Decimal(MOST_DIGITS, column.scale)
    return DType.FLOAT64 if column.is_float else DType.INT64


def _type_problems(draft: DraftView, view_schemas: Mapping[str, pa.Schema]) -> Iterator[Problem]:
    view = draft.declaration
    schema = view_schemas[view.name]
    for key, dtype in view.entity.join_keys if view.entity else ():
        if dtype_of(schema.field(key).type) != dtype:
            found = schema.field(key).type
            what = (
                f"join key '{key}' of entity '{view.entity.name if view.entity else ''}' is declared as {dtype.value}"
            )
            yield Problem(view.declared_at, f"{what}, and view '{view.name}' has it as {found}", "make both the same")
    values = {column.name: column for column in draft.written.columns}
    for feature in draft.written.features:
        arrow = schema.field(feature.column).type
        dtype_found = dtype_of(arrow)
        site = values[feature.column].declared_at
        if dtype_found is None:
            what = f"'{feature.name}' of view '{view.name}' is {arrow}, which a feature can not be"
            yield Problem(site, what, f"CAST it to one of {OFFERED}")
        elif feature.window is not None and not _aggregates(feature.window.function, dtype_found):
            what = f"'{feature.name}' of view '{view.name}' takes the {feature.window.function.value} of {arrow} values"
            yield Problem(site, what, _aggregable(feature.window.function, dtype_found))


_OF_NUMBERS = (Function.SUM, Function.MEAN, Function.STD, Function.VAR, Function.PERCENTILE)


def _aggregates(function: Function, dtype: DType) -> bool:
    if function is Function.COUNT:
        return True
    if function in (Function.SUM, Function.MEAN) and dtype.kind is Kind.DECIMAL:
        return True
    if function in _OF_NUMBERS:
        return dtype == DType.BOOL or dtype.is_integer or dtype.is_float
    return dtype.is_scalar or dtype.kind is Kind.DECIMAL


def _aggregable(function: Function, dtype: DType) -> str:
    """What can be done about an aggregate that a type does not have."""
    if dtype.kind is Kind.DECIMAL:
        return f"CAST them to DOUBLE: only sum and mean are exact for decimals, {function.value} is not"
    if dtype.kind in (Kind.LIST, Kind.EMBEDDING):
        return "windows only count such values: aggregate one item, or a number made of them"
    return f"only numbers and booleans have a {function.value}"
