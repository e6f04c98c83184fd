"""What a backfill writes: the rows of a view's table for an interval of event time.

A row-level view stores its rows, one for each key, event timestamp and known timestamp. A windowed view stores tiles.
"""

from __future__ import annotations

from sqlglot import exp

from featurestore.compiler.stored_values import refused, stored_value, unlike_a_moment
from featurestore.compiler.tiles import tiles
from featurestore.compiler.trees import (
    cast,
    cast_to,
    column,
    columns,
    function,
    interval,
    moment,
    named,
    not_null,
    table,
)
from featurestore.graph.resolved import ResolvedView
from featurestore.graph.sql_text import read_query
from featurestore.graph.written import EVENT_TIMESTAMP, KNOWN_AT
from featurestore.intervals import Interval
from featurestore.spec.dtypes import DType

EVENT_DAY = "event_day"
REMOVED = "__removed"
"""The column that says of a row that there is none any more, in the tables of views that keep removed rows."""
_SOURCE_ROWS = "__source_rows"


def stored_rows(view: ResolvedView, inside: Interval) -> exp.Select:
    """The rows of the interval `inside`, with the partition column, sorted by key and time.

    Rows without an event timestamp, a known timestamp or a key are left out: `rejected_rows` counts them. A value that
    its column can not store fails the query, which then says where and which.
    """
    keys = [key.name for key in view.keys]
    within = exp.and_(
        column(EVENT_TIMESTAMP) >= moment(inside.start),
        column(EVENT_TIMESTAMP) < moment(inside.end),
        *not_null([KNOWN_AT, *keys]),
    )
    values = [*view.keys, *(view.inputs if view.is_windowed else view.stored_values)]
    stored = (stored_value(view, value.name, value.dtype) for value in values)
    selected = [column(EVENT_TIMESTAMP), _known(view), *stored]
    rows = _source_rows(view, exp.select(*selected).from_(table(_SOURCE_ROWS)).where(within))
    return tiles(view, rows) if view.is_windowed else _distinct_rows(view, rows)


def rejected_rows(view: ResolvedView) -> exp.Select:
    """How many of the source's rows can not be stored, by reason: columns `no_event_timestamp`, `no_known_at` and
    `no_key`, in one row."""
    counted = {
        "no_event_timestamp": column(EVENT_TIMESTAMP).is_(exp.null()),
        "no_known_at": column(KNOWN_AT).is_(exp.null()),
        "no_key": exp.or_(*(column(key.name).is_(exp.null()) for key in view.keys)) if view.keys else exp.false(),
    }
    selects = [named(function("COUNT_IF", condition), name) for name, condition in counted.items()]
    return _source_rows(view, exp.select(*selects).from_(table(_SOURCE_ROWS)))


def view_rows(view: ResolvedView) -> exp.Query:
    """The view's own query, as a tree over what it reads."""
    return read_query(view.query)


def readable_rows(view: ResolvedView) -> exp.Query:
    """The view's rows as an engine reads them: what is stored of a view that it reads is known to others only after
    that view's publish delay."""
    tree = view_rows(view)
    delayed = {upstream.name: upstream.publish_delay for upstream in view.upstreams if upstream.publish_delay}
    for read in list(tree.find_all(exp.Table)) if delayed else ():
        if read.name in delayed:
            known = named(exp.Add(this=column(KNOWN_AT), expression=interval(delayed[read.name])), KNOWN_AT)
            rows = exp.select(exp.Star(replace=[known])).from_(table(read.name))
            read.replace(rows.subquery(exp.to_identifier(read.alias_or_name, quoted=True)))
    return tree


def _source_rows(view: ResolvedView, select: exp.Select) -> exp.Select:
    return select.with_(exp.to_identifier(_SOURCE_ROWS, quoted=True), as_=readable_rows(view))


def _known(view: ResolvedView) -> exp.Expr:
    """When a row was known, which has to be a moment that others can be told."""
    known = column(KNOWN_AT)
    failing = exp.If(this=unlike_a_moment(known), true=refused(view, KNOWN_AT, known.copy(), DType.TIMESTAMP))
    return named(exp.Case(ifs=[failing], default=known), KNOWN_AT)


def value_order(view: ResolvedView) -> list[exp.Ordered]:
    """Which of several rows of one key, event and known timestamp stays: the first in this order, which is one of the
    data alone, whatever the files and threads. A zero's sign is part of it, since -0.0 = 0.0: also within lists, whose
    text has it."""
    signs = [function("SIGNBIT", column(value.name)) for value in view.stored_values if value.dtype.is_float]
    signs += [cast(column(value.name), DType.STRING) for value in view.stored_values if value.dtype.holds_floats]
    names = [value.name for value in view.stored_values]
    order = [exp.Ordered(this=column(name), desc=True, nulls_first=False) for name in names]
    return order + [exp.Ordered(this=sign, nulls_first=False) for sign in signs]


def _distinct_rows(view: ResolvedView, rows: exp.Select) -> exp.Select:
    """One row for each key, event and known timestamp."""
    keys = [key.name for key in view.keys]
    identity = columns([*keys, EVENT_TIMESTAMP, KNOWN_AT])
    names = [value.name for value in view.stored_values]
    order = value_order(view)
    ranked = exp.Window(
        this=exp.RowNumber(), partition_by=identity, order=exp.Order(expressions=order) if order else None
    )
    day = named(cast_to(column(EVENT_TIMESTAMP), "DATE"), EVENT_DAY)
    removed = [named(exp.false(), REMOVED)] if view.keeps_removed else []
    return (
        exp.select(*columns([*keys, EVENT_TIMESTAMP, KNOWN_AT, *names]), *removed, day)
        .from_(rows.subquery("inside"))
        .qualify(ranked.eq(exp.Literal.number(1)))
        .order_by(*(exp.Ordered(this=tree, nulls_first=False) for tree in columns([*keys, EVENT_TIMESTAMP, KNOWN_AT])))
    )
