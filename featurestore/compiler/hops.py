"""The edge rule of windows, stated once.

Time is cut into hops of length `every`, aligned to the Unix epoch in UTC and numbered from it. Hop *n* is
`[n * every, (n + 1) * every)`, so an event exactly on a boundary belongs to the hop that begins there. The value asked
for at a moment *t* is the value at boundary *T*, the greatest boundary not after `t - publish_delay`, and is made of
the events with `T - window <= event < T` that were known at *T*: those of hops `T - window/every` to `T - 1`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlglot import exp

from featurestore.graph.resolved import ResolvedFeature, ResolvedView
from featurestore.graph.sql_text import DIALECT
from featurestore.intervals import EPOCH

HOP = "__hop"
"""The column of points that says at which boundary they ask: the first moment of this hop."""
MICROSECOND = timedelta(microseconds=1)


def hop_at(moment: datetime, every: timedelta) -> int:
    """The number of the hop that holds `moment`, which is also the number of the last boundary not after it."""
    return (moment - EPOCH) // every


def boundary(hop: int, every: timedelta) -> datetime:
    """The moment at which hop `hop` begins."""
    return EPOCH + hop * every


def hops_in(window: timedelta, every: timedelta) -> int:
    return window // every


def feature_hops(view: ResolvedView, feature: ResolvedFeature) -> int | None:
    """The length of a windowed feature's window; None for a lifetime."""
    assert feature.window is not None and view.every is not None  # noqa: S101, PT018 - only windowed views come here
    return None if feature.window.window is None else hops_in(feature.window.window, view.every)


def longest_window(view: ResolvedView, features: Iterable[ResolvedFeature] | None = None) -> int | None:
    """How many hops before a boundary an event can still count for some features (by default, for any); None where one
    counts for ever, and for a row-level view."""
    if view.every is None:
        return None
    lengths = [feature_hops(view, feature) for feature in (view.features if features is None else features)]
    return max((length for length in lengths if length is not None), default=0) if None not in lengths else None


def hop_of(moment: exp.Expr, every: timedelta) -> exp.Expr:
    """`hop_at` as a tree. Integer division rounds toward zero, so the remainder is taken off first: moments before
    1970 count too."""
    length = _microseconds(every)
    micros = exp.UnixMicros(this=moment.copy())
    remainder = exp.Mod(
        this=exp.paren(
            exp.Add(this=exp.paren(exp.Mod(this=micros.copy(), expression=length)), expression=length.copy())
        ),
        expression=length.copy(),
    )
    return exp.IntDiv(this=exp.paren(exp.Sub(this=micros, expression=exp.paren(remainder))), expression=length.copy())


def boundary_of(hop: exp.Expr, every: timedelta) -> exp.Expr:
    """`boundary` as a tree."""
    micros = exp.Mul(this=hop.copy(), expression=_microseconds(every))
    return exp.func("MAKE_TIMESTAMPTZ", micros, dialect=DIALECT)


def first_boundary_knowing(moment: exp.Expr, every: timedelta) -> exp.Expr:
    """The number of the first boundary that is not before `moment`: the first at which something known then counts."""
    before = exp.Sub(
        this=moment.copy(), expression=exp.Interval(this=exp.Literal.string("1"), unit=exp.var("MICROSECOND"))
    )
    return exp.Add(this=hop_of(exp.paren(before), every), expression=exp.Literal.number(1))


def _microseconds(duration: timedelta) -> exp.Expr:
    return exp.Literal.number(duration // MICROSECOND)
