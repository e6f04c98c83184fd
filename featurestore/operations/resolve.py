"""Definitions to a resolved graph: load, read the sources' columns, ask the engine for types, settle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import pyarrow as pa

from featurestore.errors import DefinitionsError, KnownatError, Problem
from featurestore.graph.chain_order import in_levels
from featurestore.graph.chained import stored_schema, upstream_view
from featurestore.graph.declared import view_keys
from featurestore.graph.draft import Draft, complete, draft
from featurestore.graph.drift import drifts
from featurestore.graph.resolved import Graph, ResolvedView
from featurestore.graph.services import draft_on_demand, settle_services
from featurestore.graph.settle import settle_views
from featurestore.graph.upstream_view import UpstreamView
from featurestore.operations.drift import present_fields
from featurestore.operations.typed import typed_on_demand, typed_views
from featurestore.plan.build import SourceSpan
from featurestore.plan.stages import CanFail
from featurestore.ports.definitions import DefinitionsReader
from featurestore.ports.engine import Engine
from featurestore.ports.plan_memory import NOTHING, Remembered, Tried
from featurestore.ports.source_reader import SourceReader, SourceSnapshot
from featurestore.spec.declarations import Declarations

CanFailures: TypeAlias = tuple[CanFail, ...]


@dataclass(frozen=True, slots=True)
class Resolved:
    """A folder's graph, and what its sources hold now."""

    graph: Graph
    spans: Mapping[str, SourceSpan]
    versions: Mapping[str, str]
    """Which version of its data each source holds now."""
    views: Mapping[str, ResolvedView] = field(default_factory=dict)
    """The graph's views by the keys of their declarations: what the next resolving may know already."""
    can_fail: Mapping[str, CanFailures] = field(default_factory=dict)
    """By the same keys, what of the views fails on some values; views of which nothing does are not in it."""
    on_demand: Mapping[str, Tried] = field(default_factory=dict)
    """What was found of on-demand features, by keys that cover what it follows from."""


def resolve_definitions(
    definitions: DefinitionsReader,
    sources: SourceReader,
    engine: Engine,
    known: Remembered = NOTHING,
) -> Resolved:
    """Everything the definitions mean together. Raises DefinitionsError with every problem that one pass can find.

    What is `known` from before is not found out again.
    """
    declarations, problems = complete(definitions.load())
    snapshots, unreadable = _read_sources(declarations, sources)
    schemas = {name: snapshot.schema for name, snapshot in snapshots.items()}
    keys = view_keys(declarations, schemas)
    before = {name: known.views[key] for name, key in keys.items() if key in known.views}
    graph, can_fail, wrong = _resolve_views(declarations, schemas, engine, before)
    on_demand, misread = draft_on_demand(declarations, graph)
    typed, odd = typed_on_demand(on_demand, engine, known.on_demand)
    mixed = _mixed_columns(declarations, graph, snapshots)
    if found := [*problems, *unreadable, *wrong, *misread, *odd, *mixed]:
        raise DefinitionsError(found)
    graph = settle_services(declarations, graph, on_demand, typed.dtypes)
    spans = {name: SourceSpan(one.rows, one.first, one.last) for name, one in snapshots.items()}
    versions = {name: one.version for name, one in snapshots.items()}
    views = {keys[view.name]: view for view in graph.views if view.name in keys}
    fails = {key: known.can_fail[key] for key in views if key in known.can_fail}
    fails |= {keys[name]: found for name, found in can_fail.items() if name in keys}
    return Resolved(graph, spans, versions, views, fails, typed.tried)


def _resolve_views(
    declarations: Declarations, schemas: Mapping[str, pa.Schema], engine: Engine, before: Mapping[str, ResolvedView]
) -> tuple[Graph, dict[str, CanFailures], list[Problem]]:
    """Entities, sources and views; those that are known from before stand in their places. A view is resolved after
    those that it reads. With what was found to fail on some values, by the names of the views."""
    graph, _ = settle_views(Draft(declarations, (), schemas), {})
    levels, problems = in_levels(declarations, before)
    settled = dict(before)
    can_fail: dict[str, CanFailures] = {}
    for level in levels:
        fresh = replace(declarations, views=tuple(view for view in level if view.name not in settled))
        if fresh.views:
            found, failing, wrong = _resolve_level(fresh, schemas, engine, _readable(declarations, settled))
            settled |= {view.name: view for view in found}
            can_fail |= failing
            problems += wrong
    views = tuple(settled[view.name] for view in declarations.views if view.name in settled)
    return replace(graph, views=views), can_fail, problems


def _readable(declarations: Declarations, settled: Mapping[str, ResolvedView]) -> dict[str, UpstreamView]:
    return {view.name: upstream_view(view, settled.get(view.name)) for view in declarations.views}


def _resolve_level(
    fresh: Declarations, schemas: Mapping[str, pa.Schema], engine: Engine, upstreams: Mapping[str, UpstreamView]
) -> tuple[tuple[ResolvedView, ...], dict[str, CanFailures], list[Problem]]:
    """Views that read only sources and views that are resolved already."""
    offered = {
        name: stored_schema(one.resolved)
        for name, one in upstreams.items()
        if one.resolved is not None and not one.is_windowed
    }
    drafted, wrong = draft(fresh, {**offered, **schemas}, upstreams)
    typed, refused = typed_views(drafted, engine)
    graph, untyped = settle_views(drafted, typed.schemas)
    return graph.views, typed.can_fail, [*wrong, *refused, *untyped]


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
