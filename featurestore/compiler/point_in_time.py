"""A training set's query: for each row of a spine, the features as they were known at its moment.

The spine comes as the relation `spine` with a row number, the moment, the join columns and the request inputs; the
answer has the row number and the outputs, in the spine's order, each row exactly once.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlglot import exp

from featurestore.compiler.hops import hop_at, hop_of
from featurestore.compiler.on_demand import on_demand_columns
from featurestore.compiler.tiles import empty_value
from featurestore.compiler.trees import column, columns, function, interval, named, not_null, number, table
from featurestore.compiler.visibility import VISIBLE_FROM, alive, frontier
from featurestore.compiler.windows import HOP, window_values
from featurestore.graph.resolved import FeatureSet, ResolvedView, ViewUse
from featurestore.graph.written import EVENT_TIMESTAMP

SPINE = "spine"
ROW = "__row"
MOMENT = "__moment"
_FEATURES = "all rows"


def relation_of(view: ResolvedView) -> str:
    """The name under which a view's table is given to the query."""
    return view.table


def point_in_time(features: FeatureSet, answers_until: Mapping[str, datetime]) -> exp.Select:
    """The whole query: one join for each use of a view, then the on-demand features, in the spine's order.

    `answers_until` says, by view, the last moment that its table answers in full. Asked about later ones, a windowed
    view answers with its values at that moment, as the online store does that is filled so far.
    """
    joined = exp.select(column(ROW, SPINE), *(column(c.name, SPINE) for c in features.request_inputs)).from_(
        table(SPINE)
    )
    parts: dict[str, exp.Query] = {}
    for use in features.uses:
        rows = f"rows:{use.name}"  # no view can be called so: a view named like one of our relations does no harm
        parts[rows] = _use_rows(features.view(use.view), use, answers_until[use.view])
        joined.join(table(rows), on=column(ROW, SPINE).eq(column(ROW, rows)), join_type="left", copy=False)
        joined.select(*(column(use.column(feature), rows) for feature in use.features), copy=False)
    outputs = on_demand_columns(features)
    select = (
        exp.select(column(ROW), *outputs)
        .from_(table(_FEATURES))
        .order_by(exp.Ordered(this=column(ROW), nulls_first=False))
    )
    for name, tree in {**parts, _FEATURES: joined}.items():
        select.with_(exp.to_identifier(name, quoted=True), as_=tree, copy=False)
    return select


def _use_rows(view: ResolvedView, use: ViewUse, answers_until: datetime) -> exp.Select:
    """The row number of each spine row, and the features of one use of a view."""
    return _windowed_rows(view, use, answers_until) if view.is_windowed else _newest_rows(view, use)


def _newest_rows(view: ResolvedView, use: ViewUse) -> exp.Select:
    keys = _key_pairs(view, use)
    asof = exp.and_(*keys, column(MOMENT, SPINE) >= column(VISIBLE_FROM, "row"))
    valid = alive(column(EVENT_TIMESTAMP, "row"), column(MOMENT, SPINE), view.ttl)
    values = [
        named(exp.Case(ifs=[exp.If(this=valid.copy(), true=column(feature, "row"))]), use.column(feature))
        for feature in use.features
    ]
    join = exp.Join(
        this=frontier(view, use.features, rows=relation_of(view)).subquery("row"), method="ASOF", side="LEFT", on=asof
    )
    select = exp.select(column(ROW, SPINE), *values).from_(table(SPINE))
    select.append("joins", join)
    return select


def _windowed_rows(view: ResolvedView, use: ViewUse, answers_until: datetime) -> exp.Select:
    assert view.every is not None  # noqa: S101 - only windowed views come here
    published: exp.Expr = column(MOMENT)
    if view.publish_delay:
        published = exp.paren(exp.Sub(this=published, expression=interval(view.publish_delay)))
    last = number(hop_at(answers_until - view.publish_delay, view.every))
    hop = function("LEAST", hop_of(published, view.every), last)
    keyed = [named(column(join), key.name) for join, key in zip(use.join_columns, view.keys, strict=True)]
    asked = exp.select(column(ROW), *keyed, named(hop, HOP)).from_(table(SPINE))
    points = (
        exp.select(*columns(key.name for key in view.keys), column(HOP))
        .distinct()
        .from_(asked.copy().subquery("asked"))
        .where(*not_null([HOP, *(key.name for key in view.keys)]))
    )
    features = tuple(view.feature(name) for name in use.features)
    values = window_values(view, features, points=points, tiles=relation_of(view)).subquery("value")
    same = exp.and_(
        *(column(key.name, "asked").eq(column(key.name, "value")) for key in view.keys),
        column(HOP, "asked").eq(column(HOP, "value")),
    )
    return (
        exp.select(
            column(ROW, "asked"),
            *(
                named(_or_empty(column(feature.name, "value"), empty_value(feature)), use.column(feature.name))
                for feature in features
            ),
        )
        .from_(asked.subquery("asked"))
        .join(values, on=same, join_type="left")
    )


def _or_empty(value: exp.Expr, empty: int | None) -> exp.Expr:
    return value if empty is None else function("COALESCE", value, number(empty))


def _key_pairs(view: ResolvedView, use: ViewUse) -> list[exp.Expr]:
    return [
        column(join, SPINE).eq(column(key.name, "row")) for join, key in zip(use.join_columns, view.keys, strict=True)
    ]
