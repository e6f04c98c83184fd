"""Declarations checked against each other and against their sources, before types are known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeVar

import pyarrow as pa

from featurestore.errors import Problem
from featurestore.graph.sql_text import UnreadableSql
from featurestore.graph.upstream_view import Readable, UpstreamView
from featurestore.graph.view_query import ViewQuery, view_query
from featurestore.graph.written import WrittenView, read_view, tables, view_problems
from featurestore.spec.declarations import Declaration, Declarations
from featurestore.spec.entity import Entity
from featurestore.spec.feature_service import FeatureService
from featurestore.spec.feature_view import FeatureView, ViewSelection
from featurestore.spec.on_demand import OnDemandFeature
from featurestore.spec.source import Source

T = TypeVar("T")
D = TypeVar("D", Entity, Source, FeatureView, OnDemandFeature, FeatureService)


@dataclass(frozen=True, slots=True)
class DraftView:
    """A view whose every column is found, and whose types are not known yet."""

    declaration: FeatureView
    written: WrittenView
    query: ViewQuery


@dataclass(frozen=True, slots=True)
class Draft:
    """A whole folder's declarations with their views as queries."""

    declarations: Declarations
    views: tuple[DraftView, ...]
    schemas: Mapping[str, pa.Schema]


def complete(declarations: Declarations) -> tuple[Declarations, list[Problem]]:
    """The declarations with those that others refer to, though no module holds them under a name of their own.

    Of two declarations of a kind that share a name, the second is a problem and left out.
    """
    services = declarations.services
    selections = [m for service in services for m in service.features if isinstance(m, ViewSelection)]
    on_demand = _distinct(
        declarations.on_demand, (m for s in services for m in s.features if not isinstance(m, ViewSelection))
    )
    views = _distinct(declarations.views, (selection.view for selection in selections))
    sources = _distinct(declarations.sources, (view.source for view in views if view.source is not None))
    entities = _distinct(declarations.entities, (view.entity for view in views if view.entity is not None))
    completed = Declarations(entities, sources, views, on_demand, services)
    single = Declarations(
        _first_of_each_name(entities),
        _first_of_each_name(sources),
        _first_of_each_name(views),
        _first_of_each_name(on_demand),
        _first_of_each_name(services),
    )
    return single, list(_duplicates(completed))


def draft(
    declarations: Declarations,
    schemas: Mapping[str, pa.Schema],
    upstreams: Mapping[str, UpstreamView] = MappingProxyType({}),
) -> tuple[Draft, list[Problem]]:
    """Every view as a query, and what is wrong with those that are none. `schemas` are the columns of the sources and
    of the views that can be read; views over one that could not be read are left out without a word: that problem has
    been told. A source goes before a view of its name."""
    found: list[Problem] = []
    sources: dict[str, Readable] = {**upstreams, **{source.name: source for source in declarations.sources}}
    drafts = []
    for view in declarations.views:
        drafted = _draft_view(view, sources, schemas)
        if isinstance(drafted, DraftView):
            drafts.append(drafted)
        else:
            found += drafted
    return Draft(declarations, tuple(drafts), schemas), found


def _draft_view(
    view: FeatureView, sources: Mapping[str, Readable], schemas: Mapping[str, pa.Schema]
) -> DraftView | tuple[Problem, ...]:
    try:
        written = read_view(view, sources, schemas)
    except UnreadableSql as error:
        return (Problem(view.declared_at, f"view '{view.name}': {error}"),)
    if problems := tuple(view_problems(view, written, sources, schemas)):
        return problems
    if any(table not in schemas for table in tables(written.base)):
        return ()
    query = view_query(view, written, schemas)
    return DraftView(view, written, query) if isinstance(query, ViewQuery) else query


def _distinct(declared: Iterable[T], referred: Iterable[T]) -> tuple[T, ...]:
    return tuple({id(item): item for item in (*declared, *referred)}.values())


def _first_of_each_name(items: tuple[D, ...]) -> tuple[D, ...]:
    first: dict[str, D] = {}
    for item in items:
        first.setdefault(item.name.lower(), item)
    return tuple(first.values())


def _duplicates(declarations: Declarations) -> Iterator[Problem]:
    kinds: tuple[tuple[str, tuple[Declaration, ...]], ...] = (
        ("entity", declarations.entities),
        ("source", declarations.sources),
        ("feature view", declarations.views),
        ("on-demand feature", declarations.on_demand),
        ("feature service", declarations.services),
    )
    for kind, items in kinds:
        first: dict[str, Declaration] = {}
        for item in items:
            if (earlier := first.setdefault(item.name.lower(), item)) is not item:
                what = f"{kind} '{item.name}' is declared twice"
                yield Problem(item.declared_at, what, f"the first is at {earlier.declared_at}; rename or remove one")
