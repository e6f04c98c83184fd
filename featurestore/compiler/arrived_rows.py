"""Rows that arrive one push at a time, beside the rows that a row-level view's table holds already.

A table has one row for each key, event and known timestamp, whichever way its rows came: of an arrived row and a stored
one the same stays that a backfill of both would keep.
"""

from __future__ import annotations

from functools import lru_cache

from sqlglot import exp

from featurestore.compiler.stored_rows import EVENT_DAY, stored_rows, value_order
from featurestore.compiler.trees import cast_to, column, columns, named, number, table
from featurestore.graph.resolved import ResolvedView
from featurestore.graph.written import EVENT_TIMESTAMP, KNOWN_AT
from featurestore.intervals import FIRST_MOMENT, LAST_MOMENT, Interval

STANDING = "__standing"
"""1 where the table had a row of this key and these times before, else 0."""
ARRIVED = "__arrived"
"""1 where the row is the one that arrived, 0 where it is the one that the table had."""

_EVER = Interval(FIRST_MOMENT, LAST_MOMENT)


@lru_cache(maxsize=256)
def arrived_rows(view: ResolvedView) -> exp.Select:
    """What rows of the view's source lead to, whenever they happened, as a backfill would store it. The tree is kept,
    since every push needs it: do not change it."""
    return stored_rows(view, _EVER)


@lru_cache(maxsize=256)
def settled_rows(view: ResolvedView, *, arrived: str, stored: str) -> exp.Select:
    """The rows of `arrived`, each as the table `stored` has to hold it afterwards, with its day and what became of it:
    `STANDING` and `ARRIVED`. What is said of `arrived_rows` goes for this, too."""
    names, identity = _names(view), _identity(view)
    came, had = "arrived_rows", "standing_rows"
    same = exp.and_(*(column(name, came).eq(column(name, had)) for name in identity))
    met = exp.Exists(this=exp.select(number(1)).from_(table(arrived, came)).where(same))
    standing = exp.select(*columns(names, had), named(number(0), ARRIVED)).from_(table(stored, had)).where(met)
    coming = exp.select(*columns(names), named(number(1), ARRIVED)).from_(table(arrived))
    both = exp.union(coming, standing, distinct=False)
    of_one = columns(identity)
    first = exp.Window(this=exp.RowNumber(), partition_by=of_one, order=exp.Order(expressions=_order(view, ARRIVED)))
    least = exp.Window(this=exp.Min(this=column(ARRIVED)), partition_by=[one.copy() for one in of_one])
    return (
        exp.select(*columns(names), _day(), column(ARRIVED), named(exp.Sub(this=number(1), expression=least), STANDING))
        .from_(both.subquery("both"))
        .qualify(first.eq(number(1)))
        .order_by(*_by_key(view))
    )


@lru_cache(maxsize=256)
def rewritten_rows(view: ResolvedView, *, stored: str, arrived: str) -> exp.Select:
    """The rows of both relations as one content of their days, with the day, sorted by key and time."""
    names = _names(view)
    rows = [exp.select(*columns(names)).from_(table(relation)) for relation in (stored, arrived)]
    both = exp.union(*rows, distinct=False)
    first = exp.Window(
        this=exp.RowNumber(), partition_by=columns(_identity(view)), order=exp.Order(expressions=_order(view))
    )
    return (
        exp.select(*columns(names), _day())
        .from_(both.subquery("both"))
        .qualify(first.eq(number(1)))
        .order_by(*_by_key(view))
    )


def _order(view: ResolvedView, *last: str) -> list[exp.Expr]:
    order: list[exp.Expr] = [*value_order(view), *(exp.Ordered(this=column(name), nulls_first=False) for name in last)]
    return order or [number(1)]


def _by_key(view: ResolvedView) -> list[exp.Ordered]:
    return [exp.Ordered(this=name, nulls_first=False) for name in columns(_identity(view))]


def _identity(view: ResolvedView) -> list[str]:
    return [*(key.name for key in view.keys), EVENT_TIMESTAMP, KNOWN_AT]


def _names(view: ResolvedView) -> list[str]:
    return [*_identity(view), *(value.name for value in view.stored_values)]


def _day() -> exp.Expr:
    return named(cast_to(column(EVENT_TIMESTAMP), "DATE"), EVENT_DAY)
