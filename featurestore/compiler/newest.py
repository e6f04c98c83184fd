"""What materialize copies: per key, the row that the online store answers with from a moment on."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache

from sqlglot import exp

from featurestore.compiler.hops import HOP, boundary, hop_at, hops_in, longest_window
from featurestore.compiler.standing_rows import standing_rows
from featurestore.compiler.stored_rows import REMOVED
from featurestore.compiler.tiles import EVENT_HOP, KNOWN_HOP
from featurestore.compiler.trees import cast, column, columns, function, named, number, table
from featurestore.compiler.visibility import VISIBLE_FROM, visible_from
from featurestore.graph.resolved import ResolvedView
from featurestore.graph.written import EVENT_TIMESTAMP, KNOWN_AT
from featurestore.intervals import DAY, Interval, floor_to
from featurestore.spec.dtypes import DType

CHANGED_HOP = "__changed_hop"
"""The last boundary at which a tile of the key came into one of the view's windows or left one."""
_SINCE, _UNTIL = "since", "until"


@lru_cache(maxsize=256)
def newest_rows(view: ResolvedView, *, resuming: bool, rows: str) -> exp.Select:
    """Of a row-level view: the keys, both times and the values of each key whose answer changed from `since` to `until`
    (of each key, if not `resuming`), as it is at `until`. Both ends are included: writing a row twice is harmless, and
    a row exactly on an end is never lost.

    The moments are parameters (`newest_parameters`) and the tree is kept: building and rendering it anew took half the
    time of an hourly materialization. Do not change it.
    """
    return _row_level(view, [value.name for value in view.stored_values], resuming, rows)


@lru_cache(maxsize=256)
def changed_keys(view: ResolvedView, *, resuming: bool, rows: str) -> exp.Select:
    """Of a windowed view: each key whose values changed after `since` and not after `until` (each that has any, if not
    `resuming`), the hop of `until`, and CHANGED_HOP. What is said of `newest_rows` goes for this, too."""
    keys, longest = [key.name for key in view.keys], longest_window(view)
    has_any: exp.Expr = exp.Count(this=exp.Star()) > number(0)  # without keys there is a group, whatever there is
    if not resuming and longest is not None:
        has_any = exp.Max(this=column(EVENT_HOP)) >= exp.Sub(this=_hop(_UNTIL), expression=number(longest))
    select = exp.select(
        *columns(keys), named(_hop(_UNTIL), HOP), named(exp.Max(this=_last_change(view)), CHANGED_HOP)
    ).from_(table(rows))
    return select.where(_changed(view) if resuming else _came(view)).group_by(*columns(keys)).having(has_any)


def newest_parameters(view: ResolvedView, *, since: datetime | None, until: datetime) -> dict[str, int | str]:
    """The parameters of `newest_rows` and `changed_keys`, resuming if `since` is not None."""
    moments = {_UNTIL: until} if since is None else {_SINCE: since, _UNTIL: until}
    if view.every is None:
        return {name: value.isoformat() for name, value in moments.items()}
    return {name: hop_at(value - view.publish_delay, view.every) for name, value in moments.items()}


@lru_cache(maxsize=256)
def next_visible_rows(view: ResolvedView, *, rows: str) -> exp.Select:
    """Of a row-level view: when the first of the rows becomes visible that is not by `since`, in one row."""
    visible = exp.select(named(visible_from(view), VISIBLE_FROM)).from_(table(rows))
    earliest = named(exp.Min(this=column(VISIBLE_FROM)), VISIBLE_FROM)
    return exp.select(earliest).from_(visible.subquery("visible")).where(column(VISIBLE_FROM) > _moment(_SINCE))


def next_visible_since(since: datetime) -> dict[str, int | str]:
    """The parameter of `next_visible_rows`."""
    return {_SINCE: since.isoformat()}


def days_read(view: ResolvedView, *, since: datetime | None, until: datetime) -> Interval | None:
    """The days of event time that a materialization needs of a windowed view; None: all of them."""
    longest = longest_window(view)
    if view.every is None or longest is None:
        return None
    last = hop_at(until - view.publish_delay, view.every)
    # Of a key whose newest tile counts, the last change may be that one left which came a longest window before it.
    first = last - longest if since is None else hop_at(since - view.publish_delay, view.every)
    start = floor_to(boundary(first - longest, view.every), DAY)
    return Interval(start, max(boundary(last, view.every), start + DAY))


def _row_level(view: ResolvedView, names: list[str], resuming: bool, rows: str) -> exp.Select:
    keys = [key.name for key in view.keys]
    became = column(VISIBLE_FROM)
    inside: exp.Expr = became <= _moment(_UNTIL)
    if resuming:
        inside = exp.and_(inside, became.copy() >= _moment(_SINCE))
    if view.keeps_removed:
        visible, inside = standing_rows(view, rows=rows), exp.and_(inside, column(REMOVED).not_())
    else:
        times = [EVENT_TIMESTAMP, KNOWN_AT]
        visible = exp.select(named(visible_from(view), VISIBLE_FROM), *columns([*keys, *times, *names])).from_(
            table(rows)
        )
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


def _came(view: ResolvedView) -> exp.Expr:
    """Whether a tile has come into a window by `until`. What is known so late that it had left them all never does."""
    known, event, longest = column(KNOWN_HOP), column(EVENT_HOP), longest_window(view)
    came: exp.Expr = known <= _hop(_UNTIL)
    return came if longest is None else exp.and_(came, known.copy() <= exp.Add(this=event, expression=number(longest)))


def _changed(view: ResolvedView) -> exp.Expr:
    """Whether a tile changed its key's values after the boundary of `since` and not after that of `until`: by coming
    into the windows, or by leaving one of them. Leaving counts: a window that empties is a change. What came at `since`
    itself is taken again, since it may not have been filled yet when that was copied."""
    came = exp.and_(_came(view), column(KNOWN_HOP) >= _hop(_SINCE))
    event = column(EVENT_HOP)
    left = [
        exp.and_(event >= exp.Sub(this=_hop(_SINCE), expression=number(hops)), _left(hops))
        for hops in _window_lengths(view)
    ]
    return exp.or_(came, *left)


def _last_change(view: ResolvedView) -> exp.Expr:
    """Of a tile that has come into a window: the last boundary not after `until` at which it came into one or left one.

    The greatest of its key is when the key's values last changed: the row's event timestamp and known timestamp. It
    follows from the tiles and `until` alone, whoever copies them, and never goes back as `until` goes on. A tile comes
    into all the windows that it ever counts in at once, when it is known, and leaves the longest one last.
    """
    left = [
        exp.If(this=_left(hops), true=exp.Add(this=column(EVENT_HOP), expression=number(hops + 1)))
        for hops in reversed(_window_lengths(view))
    ]
    return exp.Case(ifs=left, default=column(KNOWN_HOP)) if left else column(KNOWN_HOP)


def _left(hops: int) -> exp.Expr:
    """Whether a tile has counted in windows of this length, and does so no more at `until`."""
    known, event = column(KNOWN_HOP), column(EVENT_HOP)
    has_counted = known <= exp.Add(this=event, expression=number(hops))
    return exp.and_(has_counted, event.copy() < exp.Sub(this=_hop(_UNTIL), expression=number(hops)))


def _window_lengths(view: ResolvedView) -> list[int]:
    """The windows' lengths in hops, shortest first, without a lifetime."""
    windows = {f.window.window for f in view.features if f.window is not None and f.window.window is not None}
    return sorted(hops_in(window, view.every) for window in windows if view.every is not None)


def _moment(parameter: str) -> exp.Expr:
    return cast(exp.Placeholder(this=parameter), DType.TIMESTAMP)


def _hop(parameter: str) -> exp.Expr:
    return cast(exp.Placeholder(this=parameter), DType.INT64)


def sampled_keys(view: ResolvedView, count: int, *, rows: str) -> exp.Select:
    """Up to `count` distinct keys of the view's table, chosen by a hash of the key: the same ones each time."""
    keys = [key.name for key in view.keys]
    distinct = exp.select(*columns(keys)).distinct().from_(table(rows))
    select = exp.select(*columns(keys)).from_(distinct.subquery("known"))
    if not keys:
        return exp.select("*").from_(table(rows)).limit(0)
    return select.order_by(function("HASH", *columns(keys)), *columns(keys)).limit(count)
