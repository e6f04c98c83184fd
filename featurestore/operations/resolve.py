"""Definitions to a resolved graph: load, read the sources' columns, ask the engine for types, settle."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import pyarrow as pa

from featurestore.compiler.on_demand import ROWS, probe
from featurestore.errors import DefinitionsError, EngineTimeout, KnownatError, Problem, QueryError
from featurestore.graph.arrow_types import arrow_schema, dtype_of
from featurestore.graph.chain_order import in_levels
from featurestore.graph.chained import stored_schema, upstream_view
from featurestore.graph.declared import view_keys
from featurestore.graph.draft import Draft, DraftView, complete, draft
from featurestore.graph.drift import drifts
from featurestore.graph.resolved import Graph, ResolvedView
from featurestore.graph.services import DraftOnDemand, draft_on_demand, settle_services
from featurestore.graph.settle import settle_views
from featurestore.graph.upstream_view import UpstreamView
from featurestore.operations.drift import present_fields
from featurestore.plan.build import SourceSpan
from featurestore.ports.definitions import DefinitionsReader
from featurestore.ports.engine import Engine, Query
from featurestore.ports.source_reader import SourceReader, SourceSnapshot
from featurestore.spec.declarations import Declarations
from featurestore.spec.dtypes import OFFERED, DType


@dataclass(frozen=True, slots=True)
class Resolved:
    """A folder's graph, and what its sources hold now."""

    graph: Graph
    spans: Mapping[str, SourceSpan]
    versions: Mapping[str, str]
    """Which version of its data each source holds now."""
    views: Mapping[str, ResolvedView] = field(default_factory=dict)
    """The graph's views by the keys of their declarations: what the next resolving may know already."""


def resolve_definitions(
    definitions: DefinitionsReader,
    sources: SourceReader,
    engine: Engine,
    known: Mapping[str, ResolvedView] = MappingProxyType({}),
) -> Resolved:
    """Everything the definitions mean together. Raises DefinitionsError with every problem that one pass can find.

    `known` are views that were resolved before, by the keys of their declarations: they are not resolved again.
    """
    declarations, problems = complete(definitions.load())
    snapshots, unreadable = _read_sources(declarations, sources)
    schemas = {name: snapshot.schema for name, snapshot in snapshots.items()}
    keys = view_keys(declarations, schemas)
    before = {name: known[key] for name, key in keys.items() if key in known}
    graph, wrong = _resolve_views(declarations, schemas, engine, before)
    on_demand, misread = draft_on_demand(declarations, graph)
    types, odd = _on_demand_types(on_demand, engine)
    mixed = _mixed_columns(declarations, graph, snapshots)
    if found := [*problems, *unreadable, *wrong, *misread, *odd, *mixed]:
        raise DefinitionsError(found)
    graph = settle_services(declarations, graph, on_demand, types)
    spans = {name: SourceSpan(one.rows, one.first, one.last) for name, one in snapshots.items()}
    versions = {name: one.version for name, one in snapshots.items()}
    return Resolved(graph, spans, versions, {keys[view.name]: view for view in graph.views if view.name in keys})


def _resolve_views(
    declarations: Declarations, schemas: Mapping[str, pa.Schema], engine: Engine, before: Mapping[str, ResolvedView]
) -> tuple[Graph, list[Problem]]:
    """Entities, sources and views; those that are known from before stand in their places. A view is resolved after
    those that it reads."""
    graph, _ = settle_views(Draft(declarations, (), schemas), {})
    levels, problems = in_levels(declarations, before)
    settled = dict(before)
    for level in levels:
        fresh = replace(declarations, views=tuple(view for view in level if view.name not in settled))
        if fresh.views:
            found, wrong = _resolve_level(fresh, schemas, engine, _readable(declarations, settled))
            settled |= {view.name: view for view in found}
            problems += wrong
    views = tuple(settled[view.name] for view in declarations.views if view.name in settled)
    return replace(graph, views=views), problems


def _readable(declarations: Declarations, settled: Mapping[str, ResolvedView]) -> dict[str, UpstreamView]:
    return {view.name: upstream_view(view, settled.get(view.name)) for view in declarations.views}


def _resolve_level(
    fresh: Declarations, schemas: Mapping[str, pa.Schema], engine: Engine, upstreams: Mapping[str, UpstreamView]
) -> tuple[tuple[ResolvedView, ...], list[Problem]]:
    """Views that read only sources and views that are resolved already."""
    offered = {
        name: stored_schema(one.resolved)
        for name, one in upstreams.items()
        if one.resolved is not None and not one.is_windowed
    }
    drafted, wrong = draft(fresh, {**offered, **schemas}, upstreams)
    types, refused = _view_schemas(drafted, engine)
    graph, untyped = settle_views(drafted, types)
    return graph.views, [*wrong, *refused, *untyped]


def _read_sources(declarations: Declarations, reader: SourceReader) -> tuple[dict[str, SourceSnapshot], list[Problem]]:
    snapshots: dict[str, SourceSnapshot] = {}
    problems: list[Problem] = []
    for source in declarations.sources:
        try:
            snapshots[source.name] = reader.read(source)
        except KnownatError as error:
            problems.append(Problem(source.declared_at, error.message))
    return snapshots, problems


def _mixed_columns(
    declarations: Declarations, graph: Graph, snapshots: Mapping[str, SourceSnapshot]
) -> Iterator[Problem]:
    """Columns with several types, where a view reads them."""
    sites = {source.name: source.declared_at for source in declarations.sources}
    present = {name: present_fields(snapshot) for name, snapshot in snapshots.items() if snapshot.mixed}
    for view in graph.views if present else ():
        for drift in drifts(view, present):
            what = f"column '{drift.column}' of source '{drift.source}' is {drift.now}"
            hint = f"write it with one type: {', '.join(drift.features)} can not be made of it"
            yield Problem(sites[drift.source], what, hint)


def _view_schemas(drafted: Draft, engine: Engine) -> tuple[dict[str, pa.Schema], list[Problem]]:
    empty = {name: schema.empty_table() for name, schema in drafted.schemas.items()}
    schemas: dict[str, pa.Schema] = {}
    problems: list[Problem] = []
    for view in drafted.views:
        name = view.declaration.name
        try:
            if volatile := list(_volatile_in_view(view, engine)):
                problems += volatile
                continue
            read = {source.name: empty[source.name] for source in view.written.sources}
            schemas[name] = engine.schema(Query(view.query.tree, read))
        except QueryError as error:
            problems.append(Problem(view.declaration.declared_at, f"view '{name}': {error}"))
            if isinstance(error, EngineTimeout):
                break  # each of the others might take as long
    return schemas, problems


def _volatile_in_view(view: DraftView, engine: Engine) -> Iterator[Problem]:
    """What has another value each time, with the features it is in, or else in the view's SQL."""
    found = engine.volatile_parts(view.query.tree)
    name, told = view.declaration.name, set[str]()
    for column in view.written.columns if found else ():
        parts = engine.volatile_parts(column.alone())
        if parts:
            told.update(parts)
            what = f"'{column.known_as}' of view '{name}'"
            yield _volatile(column.declared_at, what, parts, view.written.offered)
    if rest := tuple(part for part in found if part not in told):
        yield _volatile(view.declaration.declared_at, f"view '{name}'", rest, view.written.offered)


def _volatile(where: str, what: str, parts: tuple[str, ...], columns: Iterable[str]) -> Problem:
    words = {part.removesuffix("()") for part in parts}
    named = sorted(name for name in columns if name.lower() in words)
    hint = f'the column is "{named[0]}", in double quotes' if named else "use what the rows hold, as their timestamps"
    shown = ", ".join(parts)
    return Problem(where, f"{what}: {shown} gives another value each time, and no answer could be given again", hint)


def _on_demand_types(drafts: tuple[DraftOnDemand, ...], engine: Engine) -> tuple[dict[str, DType], list[Problem]]:
    types: dict[str, DType] = {}
    problems: list[Problem] = []
    for one in drafts:
        feature = one.declaration
        rows = arrow_schema(one.columns).empty_table() if one.columns else pa.table({"__row": pa.array([], pa.int64())})
        try:
            query = probe(one.expression, feature.name)
            if volatile := engine.volatile_parts(query):
                what = f"on-demand feature '{feature.name}'"
                problems.append(_volatile(feature.declared_at, what, volatile, dict(feature.inputs)))
                continue
            found = engine.schema(Query(query, {ROWS: rows})).field(0).type
        except QueryError as error:
            problems.append(Problem(feature.declared_at, f"on-demand feature '{feature.name}': {error}"))
            if isinstance(error, EngineTimeout):
                break
            continue
        if (dtype := dtype_of(found)) is None:
            what = f"on-demand feature '{feature.name}' is {found}, which a feature can not be"
            problems.append(Problem(feature.declared_at, what, f"CAST it to one of {OFFERED}"))
        else:
            types[feature.name] = dtype
    return types, problems
