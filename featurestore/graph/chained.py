"""Chained views: what a view that is read by another one offers, what of it decides the other's values, and the source
columns behind it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from functools import lru_cache

import pyarrow as pa
from sqlglot import exp
from sqlglot.optimizer.pushdown_projections import pushdown_projections
from sqlglot.optimizer.scope import build_scope

from featurestore.graph.arrow_types import arrow_schema
from featurestore.graph.edges import Columns, Lineage, columns_read
from featurestore.graph.fingerprint import fingerprint, key_identity, rhythm_identity, source_identity
from featurestore.graph.resolved import Column, ResolvedSource, ResolvedView, SourceColumn
from featurestore.graph.sql_text import canonical_sql, parse_canonical, with_laterals, without_laterals
from featurestore.graph.upstream_view import UpstreamView
from featurestore.graph.written import EVENT_TIMESTAMP, KNOWN_AT
from featurestore.spec.dtypes import DType
from featurestore.spec.feature_view import FeatureView

_TIMES = (Column(EVENT_TIMESTAMP, DType.TIMESTAMP), Column(KNOWN_AT, DType.TIMESTAMP))


def upstream_view(view: FeatureView, resolved: ResolvedView | None) -> UpstreamView:
    """The view as others can read it."""
    says_itself = resolved is not None and resolved.delay is None
    known_after = resolved.delay if resolved is not None and resolved.delay is not None else timedelta(0)
    return UpstreamView(
        name=view.name,
        event_timestamp=EVENT_TIMESTAMP,
        known_at=KNOWN_AT if says_itself else None,
        delay=known_after + view.publish_delay,
        declared_at=view.declared_at,
        is_windowed=view.is_windowed,
        resolved=resolved,
    )


def stored_schema(view: ResolvedView) -> pa.Schema:
    """The columns that a row-level view offers to others."""
    return arrow_schema((*view.keys, *_TIMES, *view.stored_values))


def read_identity(sources: Iterable[ResolvedSource], upstreams: Iterable[ResolvedView], query: str) -> list[object]:
    """What decides the rows that `query` reads and when they count as known: its sources, and of each view which rows
    it has and the features that are read."""
    columns = columns_read(query) if (read := tuple(upstreams)) else frozenset()
    views = sorted(read, key=lambda view: view.name)
    return [*source_identity(sources), *(_upstream_identity(view, columns) for view in views)]


def behind(columns: Columns, upstreams: Iterable[ResolvedView]) -> Columns:
    """The columns, those of views replaced by the source columns that they are made of."""
    views = {view.name.lower(): view for view in upstreams}
    return frozenset().union(
        *(
            _made_of(views[column.source.lower()], column.column) if column.source.lower() in views else {column}
            for column in columns
        )
    )


def deciding(upstreams: Iterable[ResolvedView]) -> Columns:
    """The source columns that decide which rows the views have."""
    return frozenset().union(*(_deciding(view) for view in upstreams))


def _upstream_identity(view: ResolvedView, columns: Columns) -> list[object]:
    read = {column.column for column in columns if column.source == view.name.lower()}
    return [
        view.name,
        "view",
        _rows_identity(view),
        key_identity(view.keys),
        rhythm_identity(view.every, view.publish_delay),
        sorted([feature.name, feature.fingerprint] for feature in view.features if feature.name.lower() in read),
    ]


@lru_cache(maxsize=1024)
def _rows_identity(view: ResolvedView) -> str:
    """Which rows the view has, and when they happened and were known, whatever its features."""
    tree = parse_canonical(view.query)
    assert isinstance(tree, exp.Select)  # noqa: S101 - a resolved view's query is one that `view_query` made
    kept = {*(key.name for key in view.keys), EVENT_TIMESTAMP, KNOWN_AT}
    tree.set("expressions", [select for select in tree.selects if select.alias_or_name in kept])
    rows = canonical_sql(without_laterals(pushdown_projections(with_laterals(tree))))
    return fingerprint("rows of a view", rows, read_identity(view.sources, view.upstreams, rows))


def _made_of(view: ResolvedView, column: str) -> Columns:
    made_of, _ = _traced(view)
    return made_of.get(column.lower(), frozenset())


def _deciding(view: ResolvedView) -> Columns:
    made_of, indirect = _traced(view)
    always = (made_of[name.lower()] for name in (*(key.name for key in view.keys), EVENT_TIMESTAMP, KNOWN_AT))
    return indirect.union(deciding(view.upstreams), *always)


@lru_cache(maxsize=1024)
def _traced(view: ResolvedView) -> tuple[dict[str, Columns], Columns]:
    """For each column of the view's query, in small letters, the source columns it is made of; and those that decide
    which rows there are."""
    scope = build_scope(parse_canonical(view.query))
    assert scope is not None and isinstance(scope.expression, exp.Select)  # noqa: PT018, S101 - as above
    spelled = {
        SourceColumn(source.name.lower(), field.name.lower()): SourceColumn(source.name, field.name)
        for source in view.sources
        for field in source.fields
    }

    def sources_of(columns: Columns) -> Columns:
        found = behind(columns, view.upstreams)
        return frozenset(spelled.get(SourceColumn(c.source.lower(), c.column.lower()), c) for c in found)

    lineage = Lineage()
    made_of = {
        select.alias_or_name.lower(): sources_of(lineage.direct(scope, select)) for select in scope.expression.selects
    }
    return made_of, sources_of(lineage.indirect(scope))
