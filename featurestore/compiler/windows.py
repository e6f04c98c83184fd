"""*value(key, T)*: the one compiled expression that merges tiles into a windowed view's features.

Training sets, materialization, audit and rebuild all go through `window_values`; there is no second implementation of
a window. A state is merged over a window in one of three ways, and the outcome is the same bits as adding up event by
event, because states are exact:

- What is added up (counts, sums) is a difference of two running totals, each found by an as-of join.
- A smallest or greatest value comes from a frame over points and tiles laid on one time line per key.
- Tiles that became known after their hop was over can not be found by event time alone. They are joined to the points
  they count for, and merged with the rest.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlglot import exp

from featurestore.compiler.hops import hops_in
from featurestore.compiler.tiles import (
    EVENT_HOP,
    KNOWN_HOP,
    Merge,
    Part,
    StateColumn,
    merged_value,
    parts_of,
)
from featurestore.compiler.trees import cast, cast_to, column, columns, function, named, number, same_keys, table
from featurestore.graph.resolved import ResolvedFeature, ResolvedView

HOP = "__hop"
POINTS = "points"
_RUNNING, _TIMELINE, _FRAMED, _LATE, _IS_POINT = "running", "timeline", "framed", "late_tiles", "__is_point"


@dataclass(frozen=True, slots=True)
class _Windowed:
    """A state column merged over a window of so many hops."""

    state: StateColumn
    hops: int

    @property
    def name(self) -> str:
        return f"{self.state.name}_over_{self.hops}"


@dataclass(frozen=True, slots=True)
class _Plan:
    """What has to be merged for some features of a view."""

    view: ResolvedView
    keys: tuple[str, ...]
    windowed: tuple[_Windowed, ...]
    tiles: str

    @property
    def added(self) -> tuple[StateColumn, ...]:
        return _distinct(part.state for part in self.windowed if part.state.merge is Merge.ADD)

    @property
    def framed(self) -> tuple[_Windowed, ...]:
        return tuple(part for part in self.windowed if part.state.merge is not Merge.ADD)

    @property
    def lengths(self) -> tuple[int, ...]:
        """The windows over which something is added up, in hops."""
        return tuple(sorted({part.hops for part in self.windowed if part.state.merge is Merge.ADD}))


def window_values(
    view: ResolvedView, features: tuple[ResolvedFeature, ...], *, points: exp.Query, tiles: str
) -> exp.Select:
    """For each row of `points` (the keys and `hop`, distinct, no nulls): the keys, `hop`, and the features at the
    boundary that begins hop `hop`, merged from the table named `tiles`."""
    plan = _Plan(view, tuple(key.name for key in view.keys), _windowed(view, features), tiles)
    merged = _merged_states(plan)
    values = [named(cast(_value(view, feature), feature.dtype), feature.name) for feature in features]
    select = exp.select(*columns([*plan.keys, HOP]), *values, copy=False).from_(merged.subquery("merged"), copy=False)
    parts = {POINTS: points, _LATE: _late(plan)}
    if plan.added:
        parts[_RUNNING] = _running_totals(plan)
    if plan.framed:
        parts[_TIMELINE], parts[_FRAMED] = _timeline(plan), _frames(plan)
    for name, tree in parts.items():
        select.with_(exp.to_identifier(name, quoted=True), as_=tree, copy=False)
    return select


def longest_window(view: ResolvedView) -> int:
    """How many hops before a boundary an event can still count."""
    return max(hops_in(feature.window.window, view.every) for feature in view.features if feature.window and view.every)


def _windowed(view: ResolvedView, features: tuple[ResolvedFeature, ...]) -> tuple[_Windowed, ...]:
    found = {
        part.name: part
        for feature in features
        for state in parts_of(feature, view)
        for part in [_Windowed(state, _hops(view, feature))]
    }
    return tuple(found.values())


def _hops(view: ResolvedView, feature: ResolvedFeature) -> int:
    assert feature.window is not None  # noqa: S101 - only windowed views come here
    assert view.every is not None  # noqa: S101
    return hops_in(feature.window.window, view.every)


def _running_totals(plan: _Plan) -> exp.Select:
    """For each key and hop with tiles, the totals of everything up to and with that hop."""
    totals = [
        named(
            exp.Window(
                this=exp.Sum(this=_mergeable(state, column(state.name))),
                partition_by=columns(plan.keys),
                order=exp.Order(expressions=[exp.Ordered(this=column(EVENT_HOP), nulls_first=False)]),
                spec=exp.WindowSpec(
                    kind="ROWS", start="UNBOUNDED", start_side="PRECEDING", end="CURRENT ROW", end_side=None
                ),
            ),
            state.name,
        )
        for state in plan.added
    ]
    return exp.select(*columns([*plan.keys, EVENT_HOP]), *totals).from_(table(plan.tiles)).where(_on_time())


def _join_totals(select: exp.Select, plan: _Plan) -> None:
    """Join the totals before the boundary, and before each window: `T - hops` to `T - 1` is the edge rule of
    `featurestore.compiler.hops`."""
    for hops in (0, *plan.lengths):
        start = exp.Sub(this=column(HOP, "at"), expression=number(hops))
        on = exp.and_(
            *same_keys(plan.view.keys, "at", _before(hops)), exp.paren(start) > column(EVENT_HOP, _before(hops))
        )
        select.append("joins", exp.Join(this=table(_RUNNING, _before(hops)), method="ASOF", side="LEFT", on=on))


def _before(hops: int) -> str:
    return f"before_{hops}"


def _timeline(plan: _Plan) -> exp.Query:
    """Tiles that were known as soon as they were over, and points, as rows of one shape."""
    states = _distinct(part.state for part in plan.framed)
    tile_rows = (
        exp.select(
            *columns(plan.keys),
            named(column(EVENT_HOP), HOP),
            *columns(state.name for state in states),
            named(exp.false(), _IS_POINT),
        )
        .from_(table(plan.tiles))
        .where(_on_time())
    )
    point_rows = exp.select(
        *columns([*plan.keys, HOP]), *(named(exp.null(), state.name) for state in states), named(exp.true(), _IS_POINT)
    ).from_(table(POINTS))
    return exp.union(tile_rows, point_rows, distinct=False, copy=False)


def _frames(plan: _Plan) -> exp.Select:
    merged = [
        named(
            exp.Window(
                this=function(part.state.merge.value, column(part.state.name)),
                partition_by=columns(plan.keys),
                order=exp.Order(expressions=[exp.Ordered(this=column(HOP), nulls_first=False)]),
                spec=exp.WindowSpec(
                    kind="RANGE", start=number(part.hops), start_side="PRECEDING", end=number(1), end_side="PRECEDING"
                ),
            ),
            part.name,
        )
        for part in plan.framed
    ]
    rows = exp.select(*columns([*plan.keys, HOP, _IS_POINT]), *merged).from_(table(_TIMELINE))
    return exp.select("*").from_(rows.subquery("placed")).where(column(_IS_POINT))


def _late(plan: _Plan) -> exp.Select:
    """For each point, the tiles that count for it and became known late, merged."""
    hop, event_hop, known_hop = column(HOP, "point"), column(EVENT_HOP, "tile"), column(KNOWN_HOP, "tile")
    longest = max(part.hops for part in plan.windowed)
    counts = exp.and_(
        *same_keys(plan.view.keys, "point", "tile"),
        known_hop > exp.Add(this=event_hop.copy(), expression=number(1)),
        known_hop.copy() <= hop,
        event_hop < hop.copy(),
        event_hop.copy() >= exp.Sub(this=hop.copy(), expression=number(longest)),
    )
    merged = []
    for part in plan.windowed:
        inside = column(EVENT_HOP, "tile") >= exp.Sub(this=column(HOP, "point"), expression=number(part.hops))
        state = function(part.state.merge.value, _mergeable(part.state, column(part.state.name, "tile")))
        merged.append(named(exp.Filter(this=state, expression=exp.Where(this=inside)), part.name))
    grouped = columns([*plan.keys, HOP], "point")
    return (
        exp.select(*grouped, *merged)
        .from_(table(POINTS, "point"))
        .join(table(plan.tiles, "tile"), on=counts)
        .group_by(*(tree.copy() for tree in grouped))
    )


def _merged_states(plan: _Plan) -> exp.Select:
    """For each point, every state merged over its window: a column each."""
    states = [named(_merged(part), part.name) for part in plan.windowed]
    select = exp.select(*columns([*plan.keys, HOP], "at"), *states, copy=False).from_(table(POINTS, "at"), copy=False)
    if plan.added:
        _join_totals(select, plan)
    if plan.framed:
        select.join(table(_FRAMED), on=_same_point(plan.view, _FRAMED), join_type="left", copy=False)
    return select.join(table(_LATE, "late"), on=_same_point(plan.view, "late"), join_type="left", copy=False)


def _merged(part: _Windowed) -> exp.Expr:
    late = column(part.name, "late")
    match part.state.merge:
        case Merge.ADD:
            upto = _or_zero(column(part.state.name, _before(0)))
            before = _or_zero(column(part.state.name, _before(part.hops)))
            return exp.Add(this=exp.Sub(this=upto, expression=before), expression=_or_zero(late))
        case Merge.LEAST:
            return function("LEAST", column(part.name, _FRAMED), late)
        case Merge.GREATEST:
            return function("GREATEST", column(part.name, _FRAMED), late)


def _value(view: ResolvedView, feature: ResolvedFeature) -> exp.Expr:
    hops = _hops(view, feature)
    state: dict[Part, exp.Expr] = {part.part: column(_Windowed(part, hops).name) for part in parts_of(feature, view)}
    return merged_value(feature, view, state)


def _same_point(view: ResolvedView, other: str) -> exp.Expr:
    return exp.and_(*same_keys(view.keys, "at", other), column(HOP, "at").eq(column(HOP, other)))


def _on_time() -> exp.Expr:
    """Whether a tile was known as soon as its hop was over. There is at most one such tile for each key and hop."""
    return column(KNOWN_HOP).eq(exp.Add(this=column(EVENT_HOP), expression=number(1)))


def _or_zero(tree: exp.Expr) -> exp.Expr:
    return function("COALESCE", tree, number(0))


def _mergeable(state: StateColumn, tree: exp.Expr) -> exp.Expr:
    """Sums are stored as decimals and added as 128-bit integers."""
    return cast_to(tree, "HUGEINT") if state.part in (Part.SUM, Part.SPECIAL) else tree


def _distinct(states: Iterable[StateColumn]) -> tuple[StateColumn, ...]:
    return tuple({state.name: state for state in states}.values())
