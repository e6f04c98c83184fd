"""Definitions to a resolved graph: load, read the sources' columns, ask the engine for types, settle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from featurestore.compiler.on_demand import ROWS, probe
from featurestore.errors import DefinitionsError, KnownatError, Problem, QueryError
from featurestore.graph.arrow_types import arrow_schema, dtype_of
from featurestore.graph.draft import Draft, complete, draft
from featurestore.graph.resolved import Graph
from featurestore.graph.services import DraftOnDemand, draft_on_demand, settle_services
from featurestore.graph.settle import settle_views
from featurestore.plan.build import SourceSpan
from featurestore.ports.definitions import DefinitionsReader
from featurestore.ports.engine import Engine, Query
from featurestore.ports.source_reader import SourceReader, SourceSnapshot
from featurestore.spec.declarations import Declarations
from featurestore.spec.dtypes import DType


@dataclass(frozen=True, slots=True)
class Resolved:
    """A folder's graph, and what its sources hold now."""

    graph: Graph
    spans: Mapping[str, SourceSpan]


def resolve_definitions(definitions: DefinitionsReader, sources: SourceReader, engine: Engine) -> Resolved:
    """Everything the definitions mean together. Raises DefinitionsError with every problem that one pass can find."""
    declarations, problems = complete(definitions.load())
    snapshots, unreadable = _read_sources(declarations, sources)
    drafted, wrong = draft(declarations, {name: snapshot.schema for name, snapshot in snapshots.items()})
    schemas, refused = _view_schemas(drafted, engine)
    graph, untyped = settle_views(drafted, schemas)
    on_demand, misread = draft_on_demand(declarations, graph)
    types, odd = _on_demand_types(on_demand, engine)
    if found := [*problems, *unreadable, *wrong, *refused, *untyped, *misread, *odd]:
        raise DefinitionsError(found)
    graph = settle_services(declarations, graph, on_demand, types)
    spans = {name: SourceSpan(one.rows, one.first, one.last) for name, one in snapshots.items()}
    return Resolved(graph, spans)


def _read_sources(declarations: Declarations, reader: SourceReader) -> tuple[dict[str, SourceSnapshot], list[Problem]]:
    snapshots: dict[str, SourceSnapshot] = {}
    problems: list[Problem] = []
    for source in declarations.sources:
        try:
            snapshots[source.name] = reader.read(source)
        except KnownatError as error:
            problems.append(Problem(source.declared_at, error.message))
    return snapshots, problems


def _view_schemas(drafted: Draft, engine: Engine) -> tuple[dict[str, pa.Schema], list[Problem]]:
    empty = {name: schema.empty_table() for name, schema in drafted.schemas.items()}
    schemas: dict[str, pa.Schema] = {}
    problems: list[Problem] = []
    for view in drafted.views:
        name = view.declaration.name
        try:
            schemas[name] = engine.schema(Query(view.query.tree, empty))
        except QueryError as error:
            problems.append(Problem(view.declaration.declared_at, f"view '{name}': {error}"))
    return schemas, problems


def _on_demand_types(drafts: tuple[DraftOnDemand, ...], engine: Engine) -> tuple[dict[str, DType], list[Problem]]:
    types: dict[str, DType] = {}
    problems: list[Problem] = []
    for one in drafts:
        feature = one.declaration
        rows = arrow_schema(one.columns).empty_table() if one.columns else pa.table({"__row": pa.array([], pa.int64())})
        try:
            found = engine.schema(Query(probe(one.expression, feature.name), {ROWS: rows})).field(0).type
        except QueryError as error:
            problems.append(Problem(feature.declared_at, f"on-demand feature '{feature.name}': {error}"))
            continue
        if (dtype := dtype_of(found)) is None:
            what = f"on-demand feature '{feature.name}' is {found}, which a feature can not be"
            problems.append(Problem(feature.declared_at, what, "CAST it to a type such as DOUBLE"))
        else:
            types[feature.name] = dtype
    return types, problems
