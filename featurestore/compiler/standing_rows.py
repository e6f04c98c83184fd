"""Standing rows of a view that keeps removed rows: of each key and event timestamp the version that is known last."""

from __future__ import annotations

from functools import lru_cache

from sqlglot import exp

from featurestore.compiler.stored_rows import REMOVED
from featurestore.compiler.trees import cast, column, columns, named, number, table
from featurestore.compiler.visibility import VISIBLE_FROM, visible_from
from featurestore.graph.resolved import ResolvedView
from featurestore.graph.written import EVENT_TIMESTAMP, KNOWN_AT
from featurestore.spec.dtypes import DType

UNTIL, AFTER = "until", "after"
"""Parameters: the moment that is asked about, and one before it."""


def standing_rows(view: ResolvedView, *, rows: str) -> exp.Select:
    """All columns of what stands at `UNTIL`, tombstones too, and from when on each was visible."""
    names = [*(key.name for key in view.keys), EVENT_TIMESTAMP, KNOWN_AT, *(value.name for value in view.stored_values)]
    visible = exp.select(named(visible_from(view), VISIBLE_FROM), *columns([*names, REMOVED])).from_(table(rows))
    last = exp.Window(
        this=exp.RowNumber(), partition_by=columns([*(key.name for key in view.keys), EVENT_TIMESTAMP]),
        order=exp.Order(expressions=[exp.Ordered(this=column(KNOWN_AT), desc=True, nulls_first=False)]),
    )  # fmt: skip
    return (
        exp.select(*columns([VISIBLE_FROM, *names, REMOVED]))
        .from_(visible.subquery("visible"))
        .where(column(VISIBLE_FROM) <= cast(exp.Placeholder(this=UNTIL), DType.TIMESTAMP))
        .qualify(last.eq(number(1)))
    )


@lru_cache(maxsize=256)
def taken_back(view: ResolvedView, *, rows: str) -> exp.Select:
    """One row if the answer for some key became an older row, or none, after `AFTER` and not after `UNTIL`. The tree is
    kept: do not change it."""
    keys = [key.name for key in view.keys]
    is_gone = exp.and_(column(REMOVED), column(VISIBLE_FROM) > cast(exp.Placeholder(this=AFTER), DType.TIMESTAMP))
    last = exp.select(
        *columns(keys), named(_last_event(column(REMOVED).not_()), "standing"), named(_last_event(is_gone), "gone")
    ).from_(standing_rows(view, rows=rows).subquery("rows"))
    last = last.group_by(*columns(keys)) if keys else last
    is_gone, is_last = column("gone").is_(exp.null()).not_(), column("standing").is_(exp.null())
    went_back = exp.and_(is_gone, exp.or_(is_last, column("standing") < column("gone")))
    return exp.select(number(1)).from_(last.subquery("last")).where(went_back).limit(1)


def _last_event(condition: exp.Expr) -> exp.Expr:
    return exp.Max(this=exp.Case(ifs=[exp.If(this=condition, true=column(EVENT_TIMESTAMP))]))
