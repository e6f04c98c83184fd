"""When a row-level view's rows become visible, and which of them ever matter."""

from __future__ import annotations

from datetime import timedelta

from sqlglot import exp

from featurestore.compiler.trees import column, columns, function, interval, named, table
from featurestore.graph.resolved import ResolvedView
from featurestore.graph.written import EVENT_TIMESTAMP, KNOWN_AT

VISIBLE_FROM = "__visible_from"


def visible_from(view: ResolvedView) -> exp.Expr:
    """The moment from which a row is online: it has happened, was known, and has been published."""
    known: exp.Expr = column(KNOWN_AT)
    if view.publish_delay:
        known = exp.Add(this=known, expression=interval(view.publish_delay))
    return function("GREATEST", column(EVENT_TIMESTAMP), known)


def frontier(view: ResolvedView, features: tuple[str, ...], *, rows: str) -> exp.Select:
    """The rows that are the newest of their key from some moment on: the keys, `visible_from`, `event_timestamp`, the
    features.

    A row that becomes visible after one with a greater event timestamp (or the same, and a greater known timestamp) is
    never the answer, whatever the TTL: the other is younger and stays. What is left has one row for each key and
    moment, and in it event time only grows, so an as-of join over `visible_from` has no ties.
    """
    keys = columns(key.name for key in view.keys)
    newest_first = [
        exp.Ordered(this=column(name), desc=True, nulls_first=False) for name in (EVENT_TIMESTAMP, KNOWN_AT)
    ]
    one_each = exp.Window(
        this=exp.RowNumber(), partition_by=[*keys, column(VISIBLE_FROM)], order=exp.Order(expressions=newest_first)
    )
    visible = exp.select(
        *keys, named(visible_from(view), VISIBLE_FROM), *columns([EVENT_TIMESTAMP, KNOWN_AT, *features])
    ).from_(table(rows))
    single = exp.select("*").from_(visible.subquery("visible")).qualify(one_each.eq(exp.Literal.number(1)))
    rank = function("ROW", column(EVENT_TIMESTAMP), column(KNOWN_AT))
    best_before = exp.Window(
        this=exp.Max(this=rank),
        partition_by=[key.copy() for key in keys],
        order=exp.Order(expressions=[exp.Ordered(this=column(VISIBLE_FROM), nulls_first=False)]),
        spec=exp.WindowSpec(
            kind="ROWS", start="UNBOUNDED", start_side="PRECEDING", end=exp.Literal.number(1), end_side="PRECEDING"
        ),
    )
    return (
        exp.select(*(key.copy() for key in keys), *columns([VISIBLE_FROM, EVENT_TIMESTAMP, *features]))
        .from_(single.subquery("single"))
        .qualify(function("COALESCE", rank.copy() > best_before, exp.true()))
    )


def alive(event_timestamp: exp.Expr, moment: exp.Expr, ttl: timedelta | None) -> exp.Expr:
    """Whether a row is still valid at `moment`: younger than the TTL, exactly the TTL being too old."""
    if ttl is None:
        return event_timestamp.is_(exp.null()).not_()
    return event_timestamp > exp.paren(exp.Sub(this=moment, expression=interval(ttl)))
