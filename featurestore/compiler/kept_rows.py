"""Kept rows: what a table holds of days whose sources change in place, once their rows have been captured again.

A row that is stored stays as it was known. One with other values than the last that is known at its key and event
timestamp is a further version, known from when it was captured; one whose source row is gone is followed by a
*tombstone*, a row without values that says from when on there is none. Rows that nobody has seen before are known from
when their source says, or, where it does not say and their time was filled without them, from the capture on.

Capturing the same rows again adds nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlglot import exp

from featurestore.compiler.stored_rows import EVENT_DAY, REMOVED
from featurestore.compiler.trees import cast_to, column, columns, function, moment, named, number, table
from featurestore.graph.resolved import ResolvedView
from featurestore.graph.written import EVENT_TIMESTAMP, KNOWN_AT
from featurestore.intervals import Interval, IntervalSet

_IS_NEW, _HAD_KNOWN, _HAS_KNOWN, _LATEST = "__is_new", "__had_known", "__has_known", "__latest"


@dataclass(frozen=True, slots=True)
class Capture:
    """When the sources' rows of an interval were read, and what was filled of it before."""

    inside: Interval
    at: datetime
    filled: IntervalSet


def kept_rows(view: ResolvedView, capture: Capture, *, stored: str, computed: str) -> exp.Query:
    """The rows of `stored`, and those that the capture adds when the sources lead to the rows of `computed`: the whole
    content of their days, with the partition column, sorted by key and times."""
    every = _columns(view)
    steps = {
        "told": _told(view, capture, stored, computed),
        "moved": _moved(view, capture),
        "gone": _gone(view, capture),
        "added": _added(view),
    }
    had = exp.select(*columns(every)).from_(table(stored))
    both = exp.union(had, exp.select(*columns(every)).from_(table("added")), distinct=False)
    day = named(cast_to(column(EVENT_TIMESTAMP), "DATE"), EVENT_DAY)
    content = exp.select(*columns(every), day).from_(both.subquery("both"))
    for name, step in steps.items():
        content = content.with_(exp.to_identifier(name, quoted=True), as_=step)
    return content.order_by(*(exp.Ordered(this=name, nulls_first=False) for name in columns([*_place(view), KNOWN_AT])))


def _told(view: ResolvedView, capture: Capture, stored: str, computed: str) -> exp.Query:
    """Of each key and event timestamp the last version that is stored, and all that there are now; each with the last
    known timestamps of both, and the earliest at which something that was seen now can be known."""
    last = exp.Window(
        this=exp.RowNumber(), partition_by=columns(_place(view)),
        order=exp.Order(expressions=[exp.Ordered(this=column(KNOWN_AT), desc=True, nulls_first=False)]),
    )  # fmt: skip
    every = columns(_columns(view))
    had = exp.select(*every, named(number(0), _IS_NEW)).from_(table(stored)).qualify(last.eq(number(1)))
    has = exp.select(*columns(_columns(view)), named(number(1), _IS_NEW)).from_(table(computed))

    def greatest_known(is_new: int) -> exp.Expr:
        known = exp.Case(ifs=[exp.If(this=column(_IS_NEW).eq(number(is_new)), true=column(KNOWN_AT))])
        return exp.Window(this=exp.Max(this=known), partition_by=columns(_place(view)))

    after = exp.Add(
        this=greatest_known(0), expression=exp.Interval(this=exp.Literal.string("1"), unit=exp.var("MICROSECOND"))
    )
    return exp.select(
        exp.Star(), named(greatest_known(0), _HAD_KNOWN), named(greatest_known(1), _HAS_KNOWN),
        named(function("GREATEST", moment(capture.at), after), _LATEST),
    ).from_(exp.union(had, has, distinct=False).subquery("both"))  # fmt: skip


def _moved(view: ResolvedView, capture: Capture) -> exp.Select:
    """The last stored versions, and those of now that could follow them, at the moments from which they can be known.
    What was known before the last stored version is not told again, but for the newest: the source says so now."""
    known = column(KNOWN_AT)
    unseen = known.copy() if view.source_delay is None else _if_filled(capture, known)
    moved = exp.Case(
        ifs=[
            exp.If(this=column(_IS_NEW).eq(number(0)), true=known.copy()),
            exp.If(this=column(_HAD_KNOWN).is_(exp.null()), true=unseen),
            exp.If(this=known.copy() > column(_HAD_KNOWN), true=known.copy()),
        ],
        default=column(_LATEST),
    )
    follows = exp.or_(
        column(_IS_NEW).eq(number(0)),
        column(_HAD_KNOWN).is_(exp.null()),
        known.copy() > column(_HAD_KNOWN),
        known.copy().eq(column(_HAS_KNOWN)),
    )
    others = columns([*_place(view), REMOVED, *_values(view), _IS_NEW])
    return exp.select(*others, named(moved, KNOWN_AT)).from_(table("told")).where(follows)


def _gone(view: ResolvedView, capture: Capture) -> exp.Select:
    """A tombstone after each last stored version of which there is none now."""
    happened = column(EVENT_TIMESTAMP)
    values = [named(exp.null(), name) for name in _values(view)]
    place = columns(_place(view))
    return (
        exp.select(
            *place, named(exp.true(), REMOVED), *values, named(number(1), _IS_NEW), named(column(_LATEST), KNOWN_AT)
        )
        .from_(table("told"))
        .where(
            column(_IS_NEW).eq(number(0)),
            column(_HAS_KNOWN).is_(exp.null()),
            column(REMOVED).not_(),
            happened >= moment(capture.inside.start),
            happened.copy() < moment(capture.inside.end),
        )
    )


def _added(view: ResolvedView) -> exp.Select:
    """What is new and another than the version before it."""

    def before(name: str) -> exp.Expr:
        order = exp.Order(expressions=[exp.Ordered(this=column(KNOWN_AT), nulls_first=False)])
        return exp.Window(this=exp.Lag(this=column(name)), partition_by=columns(_place(view)), order=order)

    differs = [exp.NullSafeNEQ(this=column(name), expression=before(name)) for name in (REMOVED, *_values(view))]
    is_another = exp.or_(before(_IS_NEW).is_(exp.null()), *differs)
    names = [*_place(view), REMOVED, *_values(view), _IS_NEW, KNOWN_AT]
    chain = exp.union(
        exp.select(*columns(names)).from_(table("moved")),
        exp.select(*columns(names)).from_(table("gone")),
        distinct=False,
    )
    return (
        exp.select(*columns(_columns(view)))
        .from_(chain.subquery("chain"))
        .qualify(exp.and_(column(_IS_NEW).eq(number(1)), is_another))
    )


def _if_filled(capture: Capture, known: exp.Expr) -> exp.Expr:
    """`known`, or the capture, if that is later and the time was filled before."""
    happened = column(EVENT_TIMESTAMP)
    pieces = [
        exp.and_(happened.copy() >= moment(piece.start), happened.copy() < moment(piece.end))
        for piece in capture.filled
    ]
    if not pieces:
        return known.copy()
    later = function("GREATEST", known.copy(), moment(capture.at))
    return exp.Case(ifs=[exp.If(this=exp.or_(*pieces), true=later)], default=known.copy())


def _place(view: ResolvedView) -> list[str]:
    return [*(key.name for key in view.keys), EVENT_TIMESTAMP]


def _values(view: ResolvedView) -> list[str]:
    return [value.name for value in view.stored_values]


def _columns(view: ResolvedView) -> list[str]:
    return [*_place(view), KNOWN_AT, *_values(view), REMOVED]
