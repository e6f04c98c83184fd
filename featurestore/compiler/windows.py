"""*value(key, T)*: the one compiled expression that merges tiles into a windowed view's features.

Training sets, materialization, audit and rebuild all go through `window_values`; there is no second implementation of
a window. Points and tiles are laid on one time line per key, and a frame over it merges each point's tiles in one pass.
Tiles that became known after their hop was over can not be found by a frame over event time alone; they are joined to
the points they count for, and both states are merged.
"""

from __future__ import annotations

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

HOP = "hop"
POINTS = "points"
_TIMELINE, _FRAMED, _LATE, _IS_POINT = "timeline", "framed", "late_tiles", "is_point"


@dataclass(frozen=True, slots=True)
class _Framed:
    """A state column merged over a window of so many hops."""

    state: StateColumn
    hops: int

    @property
    def name(self) -> str:
        return f"{self.state.name}_over_{self.hops}"


def window_values(
    view: ResolvedView, features: tuple[ResolvedFeature, ...], *, points: exp.Query, tiles: str
) -> exp.Select:
    """For each row of `points` (the keys and `hop`, distinct, no nulls): the keys, `hop`, and the features at the
    boundary that begins hop `hop`, merged from the table named `tiles`."""
    keys = [key.name for key in view.keys]
    framed = _framed(view, features)
    joined = same_keys(view.keys, "at", "late")
    values = [named(cast(_value(view, feature), feature.dtype), feature.name) for feature in features]
    select = (
        exp.select(*columns([*keys, HOP], "at"), *values)
        .from_(exp.select("*").from_(table(_FRAMED)).where(column(_IS_POINT)).subquery("at"))
        .join(table(_LATE, "late"), on=exp.and_(*joined, column(HOP, "at").eq(column(HOP, "late"))), join_type="left")
    )
    parts = {
        POINTS: points,
        _TIMELINE: _timeline(keys, framed, tiles),
        _FRAMED: _frames(keys, framed),
        _LATE: _late(view, framed, tiles),
    }
    for name, tree in parts.items():
        select = select.with_(exp.to_identifier(name, quoted=True), as_=tree)
    return select


def longest_window(view: ResolvedView) -> int:
    """How many hops before a boundary an event can still count."""
    return max(hops_in(feature.window.window, view.every) for feature in view.features if feature.window and view.every)


def _framed(view: ResolvedView, features: tuple[ResolvedFeature, ...]) -> tuple[_Framed, ...]:
    found = {
        framed.name: framed
        for feature in features
        for state in parts_of(feature, view)
        for framed in [_Framed(state, _hops(view, feature))]
    }
    return tuple(found.values())


def _hops(view: ResolvedView, feature: ResolvedFeature) -> int:
    assert feature.window is not None  # noqa: S101 - only windowed views come here
    assert view.every is not None  # noqa: S101
    return hops_in(feature.window.window, view.every)


def _timeline(keys: list[str], framed: tuple[_Framed, ...], tiles: str) -> exp.Query:
    """Tiles that were known as soon as they were over, and points, as rows of one shape."""
    states = _states(framed)
    on_time = column(KNOWN_HOP).eq(exp.Add(this=column(EVENT_HOP), expression=number(1)))
    tile_rows = (
        exp.select(
            *columns(keys),
            named(column(EVENT_HOP), HOP),
            *(named(_mergeable(state, column(state.name)), state.name) for state in states),
            named(exp.false(), _IS_POINT),
        )
        .from_(table(tiles))
        .where(on_time)
    )
    point_rows = exp.select(
        *columns([*keys, HOP]), *(named(exp.null(), state.name) for state in states), named(exp.true(), _IS_POINT)
    ).from_(table(POINTS))
    return exp.union(tile_rows, point_rows, distinct=False)


def _frames(keys: list[str], framed: tuple[_Framed, ...]) -> exp.Select:
    merged = [
        named(
            exp.Window(
                this=function(part.state.merge.value, column(part.state.name)),
                partition_by=columns(keys),
                order=exp.Order(expressions=[exp.Ordered(this=column(HOP), nulls_first=False)]),
                spec=_frame(part.hops),
            ),
            part.name,
        )
        for part in framed
    ]
    return exp.select(*columns([*keys, HOP, _IS_POINT]), *merged).from_(table(_TIMELINE))


def _frame(hops: int) -> exp.WindowSpec:
    """The hops `T - hops` to `T - 1`: the edge rule of `featurestore.compiler.hops`."""
    return exp.WindowSpec(kind="RANGE", start=number(hops), start_side="PRECEDING", end=number(1), end_side="PRECEDING")


def _late(view: ResolvedView, framed: tuple[_Framed, ...], tiles: str) -> exp.Select:
    """For each point, the tiles that count for it and became known late, merged."""
    keys = [key.name for key in view.keys]
    hop, event_hop, known_hop = column(HOP, "point"), column(EVENT_HOP, "tile"), column(KNOWN_HOP, "tile")
    longest = max(part.hops for part in framed)
    counts = exp.and_(
        *same_keys(view.keys, "point", "tile"),
        known_hop > exp.Add(this=event_hop.copy(), expression=number(1)),
        known_hop.copy() <= hop,
        event_hop < hop.copy(),
        event_hop.copy() >= exp.Sub(this=hop.copy(), expression=number(longest)),
    )
    merged = []
    for part in framed:
        inside = column(EVENT_HOP, "tile") >= exp.Sub(this=column(HOP, "point"), expression=number(part.hops))
        state = function(part.state.merge.value, _mergeable(part.state, column(part.state.name, "tile")))
        merged.append(named(exp.Filter(this=state, expression=exp.Where(this=inside)), part.name))
    grouped = columns([*keys, HOP], "point")
    return (
        exp.select(*grouped, *merged)
        .from_(table(POINTS, "point"))
        .join(table(tiles, "tile"), on=counts)
        .group_by(*(tree.copy() for tree in grouped))
    )


def _value(view: ResolvedView, feature: ResolvedFeature) -> exp.Expr:
    hops = _hops(view, feature)
    state: dict[Part, exp.Expr] = {}
    for part in parts_of(feature, view):
        name = _Framed(part, hops).name
        state[part.part] = _merged(part.merge, column(name, "at"), column(name, "late"))
    return merged_value(feature, view, state)


def _merged(merge: Merge, left: exp.Expr, right: exp.Expr) -> exp.Expr:
    match merge:
        case Merge.ADD:
            zero = number(0)
            return exp.paren(
                exp.Add(
                    this=function("COALESCE", left, zero.copy()), expression=function("COALESCE", right, zero.copy())
                )
            )
        case Merge.LEAST:
            return function("LEAST", left, right)
        case Merge.GREATEST:
            return function("GREATEST", left, right)


def _mergeable(state: StateColumn, tree: exp.Expr) -> exp.Expr:
    """Sums are stored as decimals and added as 128-bit integers."""
    return cast_to(tree, "HUGEINT") if state.part in (Part.SUM, Part.SPECIAL) else tree


def _states(framed: tuple[_Framed, ...]) -> tuple[StateColumn, ...]:
    return tuple({part.state.name: part.state for part in framed}.values())
