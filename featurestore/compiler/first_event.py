"""When a view's rows begin: known to its sources' statistics, unless the view's SQL says itself when rows happened."""

from __future__ import annotations

from sqlglot import exp

from featurestore.compiler.stored_rows import view_rows
from featurestore.compiler.trees import column, named
from featurestore.graph.resolved import ResolvedView
from featurestore.graph.written import EVENT_TIMESTAMP


def is_dated_by_source(view: ResolvedView) -> bool:
    """Whether the view's rows are those of one source, which happened when the source says."""
    return isinstance(view_rows(view).args["from_"].this, exp.Table)


def first_event_rows(view: ResolvedView) -> exp.Select:
    """The view's earliest event timestamp, in one row."""
    earliest = named(exp.Min(this=column(EVENT_TIMESTAMP)), EVENT_TIMESTAMP)
    return exp.select(earliest).from_(view_rows(view).subquery("view_rows"))
