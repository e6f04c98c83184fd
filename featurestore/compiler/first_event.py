"""When a view's rows begin, and go on: sources' statistics say it, unless the view's SQL does that itself."""

from __future__ import annotations

from datetime import datetime

from sqlglot import exp

from featurestore.compiler.stored_rows import readable_rows, view_rows
from featurestore.compiler.stored_values import refused, unlike_a_moment
from featurestore.compiler.trees import column, moment, named, not_null
from featurestore.graph.resolved import ResolvedView
from featurestore.graph.written import EVENT_TIMESTAMP, KNOWN_AT
from featurestore.intervals import END_OF_TIME
from featurestore.spec.dtypes import DType


def is_dated_by_source(view: ResolvedView) -> bool:
    """Whether the view's rows are those of one source (or view), and happened when the source says."""
    rows = view_rows(view)
    timestamps = [*(source.event_timestamp for source in view.sources), *(EVENT_TIMESTAMP for _ in view.upstreams)]
    if not isinstance(rows.args["from_"].this, exp.Table) or len(timestamps) != 1:
        return False
    happened = next(select for select in rows.selects if select.alias_or_name == EVENT_TIMESTAMP)
    return [column.name.lower() for column in happened.find_all(exp.Column)] == [timestamps[0].lower()]


def first_event_rows(view: ResolvedView) -> exp.Select:
    """The view's earliest event timestamp, in one row. Fails where one of them is in no year that others can be told:
    such a row would be in no interval, and nobody would notice."""
    edges = [exp.Min(this=column(EVENT_TIMESTAMP)), exp.Max(this=column(EVENT_TIMESTAMP))]
    failing = [
        exp.If(this=unlike_a_moment(edge), true=refused(view, EVENT_TIMESTAMP, edge.copy(), DType.TIMESTAMP))
        for edge in edges
    ]
    earliest = named(exp.Case(ifs=failing, default=edges[0].copy()), EVENT_TIMESTAMP)
    return exp.select(earliest).from_(readable_rows(view).subquery("view_rows"))


def next_event_rows(view: ResolvedView, *, since: datetime) -> exp.Select:
    """The earliest event timestamp at or after `since` of the view's rows that can be stored, in one row."""
    earliest = named(exp.Min(this=column(EVENT_TIMESTAMP)), EVENT_TIMESTAMP)
    counts = exp.and_(
        column(EVENT_TIMESTAMP) >= moment(since),
        column(EVENT_TIMESTAMP) < moment(END_OF_TIME),
        *not_null([KNOWN_AT, *(key.name for key in view.keys)]),
    )
    return exp.select(earliest).from_(readable_rows(view).subquery("view_rows")).where(counts)
