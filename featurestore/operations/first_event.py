"""When a view's rows begin, asked of its query where its sources' statistics do not say it."""

from __future__ import annotations

from datetime import datetime

from featurestore.compiler.first_event import first_event_rows, is_dated_by_source
from featurestore.graph.resolved import ResolvedView
from featurestore.graph.written import EVENT_TIMESTAMP
from featurestore.operations.sides import OfflineSide
from featurestore.operations.source_rows import naming_view, source_relations
from featurestore.ports.engine import Query


def first_event(view: ResolvedView, offline: OfflineSide) -> datetime | None:
    """The view's earliest event timestamp; None where the sources know it, or there are no rows. Raises SourceError for
    rows that have none that others can be told."""
    if is_dated_by_source(view):
        return None
    query = Query(first_event_rows(view), source_relations(view, offline))
    with naming_view(view), offline.engine.stream(query) as rows:
        found: datetime | None = rows.read_all()[EVENT_TIMESTAMP][0].as_py()
    return found
