"""What materialize copies: per key, the row that the online store answers with from a moment on."""

from __future__ import annotations

from datetime import datetime

from sqlglot import exp

from featurestore.compiler.hops import boundary, hop_at, hops_in
from featurestore.compiler.tiles import EVENT_HOP, KNOWN_HOP
from featurestore.compiler.trees import column, columns, function, moment, named, number, table
from featurestore.compiler.visibility import VISIBLE_FROM, visible_from
from featurestore.compiler.windows import HOP, longest_window, window_values
from featurestore.graph.resolved import ResolvedView
from featurestore.graph.written import EVENT_TIMESTAMP, KNOWN_AT
from featurestore.intervals import DAY, Interval, floor_to


def newest_rows(view: ResolvedView, *, since: datetime | None, until: datetime, rows: str) -> exp.Select:
    """The keys, both times and the values of each key whose answer changed after `since` (None: ever), as it is at
    `until`. Both ends are included: writing a row twice is harmless, and a row exactly on an end is never lost."""
    names = [value.name for value in view.stored_values]
    return (
        _windowed(view, names, since, until, rows) if view.is_windowed else _row_level(view, names, since, until, rows)
    )


def days_read(view: ResolvedView, *, since: datetime | None, until: datetime) -> Interval | None:
    """The days of event time that `newest_rows` needs of a windowed view; None: all of them."""
    if view.every is None:
        return None
    last = hop_at(until - view.publish_delay, view.every)
    first = last if since is None else hop_at(since - view.publish_delay, view.every)
    start = floor_to(boundary(first - longest_window(view), view.every), DAY)
    return Interval(start, max(boundary(last, view.every), start + DAY))


def _row_level(view: ResolvedView, names: list[str], since: datetime | None, until: datetime, rows: str) -> exp.Select:
    keys = [key.name for key in view.keys]
    became = column(VISIBLE_FROM)
    inside: exp.Expr = became <= moment(until)
    if since is not None:
        inside = exp.and_(inside, became.copy() >= moment(since))
    visible = exp.select(
        named(visible_from(view), VISIBLE_FROM), *columns([*keys, EVENT_TIMESTAMP, KNOWN_AT, *names])
    ).from_(table(rows))
    newest_first = [
        exp.Ordered(this=column(name), desc=True, nulls_first=False) for name in (EVENT_TIMESTAMP, KNOWN_AT)
    ]
    rank = exp.Window(this=exp.RowNumber(), partition_by=columns(keys), order=exp.Order(expressions=newest_first))
    return (
        exp.select(*columns([*keys, EVENT_TIMESTAMP, KNOWN_AT, *names]))
        .from_(visible.subquery("visible"))
        .where(inside)
        .qualify(rank.eq(exp.Literal.number(1)))
    )


def _windowed(view: ResolvedView, names: list[str], since: datetime | None, until: datetime, rows: str) -> exp.Select:
    assert view.every is not None  # noqa: S101 - only windowed views come here
    last = hop_at(until - view.publish_delay, view.every)
    first = None if since is None else hop_at(since - view.publish_delay, view.every)
    keys = [key.name for key in view.keys]
    points = (
        exp.select(*columns(keys), named(number(last), HOP))
        .distinct()
        .from_(table(rows))
        .where(_changed(view, first, last))
    )
    values = window_values(view, tuple(view.feature(name) for name in names), points=points, tiles=rows)
    at = moment(boundary(last, view.every))
    return exp.select(*columns(keys), named(at, EVENT_TIMESTAMP), named(at.copy(), KNOWN_AT), *columns(names)).from_(
        values.subquery("value")
    )


def _changed(view: ResolvedView, first: int | None, last: int) -> exp.Expr:
    """Whether a tile changed its key's values after boundary `first` and not after `last`: by coming into the windows,
    or by leaving one of them. Leaving counts: a window that empties is a change. What came at `first` itself is taken
    again, since it may not have been filled yet when `first` was copied."""
    known, event = column(KNOWN_HOP), column(EVENT_HOP)
    if first is None:
        inside = event >= number(last - longest_window(view))
        return exp.and_(known <= number(last), inside)
    came = exp.and_(known >= number(first), known.copy() <= number(last))
    lengths = sorted({hops_in(f.window.window, view.every) for f in view.features if f.window and view.every})
    left = [
        exp.and_(event.copy() >= number(first - hops), event.copy() < number(last - hops), known.copy() <= number(last))
        for hops in lengths
    ]
    return exp.or_(came, *left)


def sampled_keys(view: ResolvedView, count: int, *, rows: str) -> exp.Select:
    """Up to `count` distinct keys of the view's table, chosen by a hash of the key: the same ones each time."""
    keys = [key.name for key in view.keys]
    distinct = exp.select(*columns(keys)).distinct().from_(table(rows))
    select = exp.select(*columns(keys)).from_(distinct.subquery("known"))
    if not keys:
        return exp.select("*").from_(table(rows)).limit(0)
    return select.order_by(function("HASH", *columns(keys)), *columns(keys)).limit(count)
