"""When a row-level view's rows become visible."""

from __future__ import annotations

from sqlglot import exp

from featurestore.compiler.trees import column, function, interval
from featurestore.graph.resolved import ResolvedView
from featurestore.graph.written import EVENT_TIMESTAMP, KNOWN_AT

VISIBLE_FROM = "__visible_from"


def visible_from(view: ResolvedView) -> exp.Expr:
    """The moment from which a row is online: it has happened, was known, and has been published."""
    known: exp.Expr = column(KNOWN_AT)
    if view.publish_delay:
        known = exp.Add(this=known, expression=interval(view.publish_delay))
    return function("GREATEST", column(EVENT_TIMESTAMP), known)
