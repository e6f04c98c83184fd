"""Rows that a table holds and its sources hold no more: which they are, and what their days hold when they stay.

A stored row is gone when nothing that is computed now has its key, event and known timestamp; other values there are a
correction. A tile is gone when there is none of its key and hops now, or when its states tell that events are missing
from it: there are fewer, or the first or the last is not there any more. Of the least, the greatest and the different
values nobody can tell a lost event from a corrected one, so those count only on days that have fewer rows than before.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

from sqlglot import exp

from featurestore.compiler.hops import boundary_of
from featurestore.compiler.late_rows import ROWS
from featurestore.compiler.stored_rows import EVENT_DAY
from featurestore.compiler.tile_states import Part, StateColumn
from featurestore.compiler.tiles import EVENT_HOP, KNOWN_HOP, state_columns
from featurestore.compiler.trees import cast_to, column, columns, function, moment, named, number, table
from featurestore.graph.resolved import ResolvedView
from featurestore.graph.written import EVENT_TIMESTAMP, KNOWN_AT
from featurestore.intervals import Interval

_HAD, _HAS, _GONE = "had", "has", "gone_rows"
_COUNTING = (Part.COUNT, Part.VALUES)
_AMBIGUOUS = (Part.MIN, Part.MAX, Part.DISTINCT)


def needs_day_counts(view: ResolvedView) -> bool:
    """Whether there are tiles whose states alone do not tell that events are gone."""
    parts: dict[str, set[Part]] = {}
    for state in state_columns(view) if view.is_windowed else ():
        parts.setdefault(state.input.name, set()).add(state.part)
    return any(found.intersection(_AMBIGUOUS) and not found.intersection(_COUNTING) for found in parts.values())


def gone_rows_of_days(
    view: ResolvedView, inside: Interval, *, stored: str, computed: str, fewer: Collection[date] = ()
) -> exp.Select:
    """How many rows (tiles) each day of `stored` has that are gone from `computed`: columns `event_day` and `rows`. No
    others than those of the interval are looked at. `fewer`: the days that have fewer rows of the sources than before.
    """
    gone = _gone(view, inside, (stored, computed), fewer)
    return (
        exp.select(column(EVENT_DAY), named(exp.Count(this=exp.Star()), ROWS))
        .from_(gone.subquery(_GONE))
        .group_by(column(EVENT_DAY))
    )


def rows_with_gone(
    view: ResolvedView, inside: Interval, *, stored: str, computed: str, fewer: Collection[date] = ()
) -> exp.Query:
    """All rows (tiles) of `computed`, those instead that are gone from it, and the partition column. Sorted as a fill
    sorts them."""
    names, identity = _names(view), _identity(view)
    same = exp.and_(*(column(name, _HAS).eq(column(name, _GONE)) for name in identity))
    met = exp.Exists(this=exp.select(number(1)).from_(table(_GONE)).where(same))
    staying = exp.select(*columns(names, _HAS), named(_day(view, _HAS), EVENT_DAY)).from_(table(computed, _HAS))
    gone = exp.select(*columns(names), column(EVENT_DAY)).from_(table(_GONE))
    both = exp.union(staying.where(met.not_()), gone, distinct=False)
    return (
        exp.select(*columns([*names, EVENT_DAY]))
        .from_(both.subquery("both"))
        .with_(exp.to_identifier(_GONE, quoted=True), as_=_gone(view, inside, (stored, computed), fewer))
        .order_by(*(exp.Ordered(this=name, nulls_first=False) for name in columns(identity)))
    )


def _gone(view: ResolvedView, inside: Interval, relations: tuple[str, str], fewer: Collection[date]) -> exp.Select:
    stored, computed = relations
    happened = boundary_of(column(EVENT_HOP, _HAD), view.every) if view.every else column(EVENT_TIMESTAMP, _HAD)
    within = exp.and_(happened >= moment(inside.start), happened.copy() < moment(inside.end))
    same = exp.and_(*(column(name, _HAS).eq(column(name, _HAD)) for name in _identity(view)))
    # A join that finds one row at most, which the engine hashes; an EXISTS over more than equal columns it does not.
    missing = column(_identity(view)[-1], _HAS).is_(exp.null())
    return (
        exp.select(*columns(_names(view), _HAD), named(_day(view, _HAD), EVENT_DAY))
        .from_(table(stored, _HAD))
        .join(table(computed, _HAS), on=same, join_type="LEFT")
        .where(within, exp.or_(missing, *map(_told, _losses(view, fewer))))
    )


def _losses(view: ResolvedView, fewer: Collection[date]) -> list[exp.Expr]:
    """What tells that a tile has lost events, each of which may be null."""
    losses = [(state.part, _loss(state)) for state in state_columns(view)] if view.is_windowed else []
    certain = [lost for part, lost in losses if lost is not None and part not in _AMBIGUOUS]
    if not fewer:
        return certain
    days = [cast_to(exp.Literal.string(day.isoformat()), "DATE") for day in fewer]
    is_fewer = exp.In(this=_day(view, _HAD), expressions=days)
    possible = [lost for part, lost in losses if lost is not None and part in _AMBIGUOUS]
    return [*certain, *(exp.and_(is_fewer.copy(), _told(lost)) for lost in possible)]


def _loss(state: StateColumn) -> exp.Expr | None:
    """What a state says of events that it had. What is merged beside one of these says no more than that."""
    had, has = column(state.name, _HAD), column(state.name, _HAS)
    match state.part:
        case Part.COUNT:
            return has < had
        case Part.VALUES | Part.RECENT_AT:
            return _length(has) < _length(had)
        case Part.FIRST_AT | Part.MIN:
            return _missing_or(has, had, has > had)
        case Part.LAST_AT | Part.MAX:
            return _missing_or(has, had, has < had)
        case Part.DISTINCT:
            return _missing_or(has, had, function("LIST_HAS_ALL", has, had).not_())
        case _:
            return None


def _missing_or(has: exp.Expr, had: exp.Expr, lost: exp.Expr) -> exp.Expr:
    return exp.and_(had.copy().is_(exp.null()).not_(), exp.or_(has.copy().is_(exp.null()), lost))


def _told(lost: exp.Expr) -> exp.Expr:
    return function("COALESCE", exp.paren(lost), exp.false())


def _length(values: exp.Expr) -> exp.Expr:
    return function("COALESCE", function("ARRAY_LENGTH", values), number(0))


def _identity(view: ResolvedView) -> list[str]:
    times = [EVENT_HOP, KNOWN_HOP] if view.is_windowed else [EVENT_TIMESTAMP, KNOWN_AT]
    return [*(key.name for key in view.keys), *times]


def _names(view: ResolvedView) -> list[str]:
    values = state_columns(view) if view.is_windowed else view.stored_values
    return [*_identity(view), *(value.name for value in values)]


def _day(view: ResolvedView, relation: str) -> exp.Expr:
    if view.every is not None:
        return cast_to(boundary_of(column(EVENT_HOP, relation), view.every), "DATE")
    return cast_to(column(EVENT_TIMESTAMP, relation), "DATE")
