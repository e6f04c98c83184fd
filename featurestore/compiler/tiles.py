"""Tiles: what a windowed view stores. Per key, event hop and known hop, one mergeable state for each input.

A state is a few columns that merge by adding, or by taking the smaller or greater: whatever the order, the threads or
the increments, merging gives the same bits. Sums of floating-point numbers are therefore kept as fixed-point integers
with 60 binary digits after the point, in 128 bits, with NaN and the infinities counted apart
(docs/decisions/0004-exact-sums.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

from sqlglot import exp

from featurestore.compiler.hops import first_boundary_knowing, hop_of
from featurestore.compiler.trees import cast_to, column, columns, function, named, number
from featurestore.graph.resolved import ResolvedFeature, ResolvedView, TileInput
from featurestore.graph.written import EVENT_TIMESTAMP, KNOWN_AT
from featurestore.spec.aggregate import Function
from featurestore.spec.dtypes import DType

EVENT_HOP = "event_hop"
KNOWN_HOP = "known_hop"
"""The first boundary at which the tile's events are all over and known: from there on it counts."""
FRACTION_BITS = 60
_SPECIAL_BITS = 40
_DOUBLE_BITS = 53
"""Integers up to two to this power are doubles without rounding."""
_STORED_INTEGER = "DECIMAL(38, 0)"


class Merge(Enum):
    """How two states of a kind become one."""

    ADD = "SUM"
    LEAST = "MIN"
    GREATEST = "MAX"


class Part(Enum):
    """The kinds of column a state is made of."""

    COUNT = "count"
    SUM = "sum"
    SPECIAL = "special"
    MIN = "min"
    MAX = "max"


@dataclass(frozen=True, slots=True)
class StateColumn:
    """One column of a tile: a part of the state of one input."""

    input: TileInput
    part: Part

    @property
    def name(self) -> str:
        return f"{self.input.name}_{self.part.value}"

    @property
    def merge(self) -> Merge:
        match self.part:
            case Part.COUNT | Part.SUM | Part.SPECIAL:
                return Merge.ADD
            case Part.MIN:
                return Merge.LEAST
            case Part.MAX:
                return Merge.GREATEST


def state_columns(view: ResolvedView) -> tuple[StateColumn, ...]:
    """The state columns of a view's tiles: only what its functions need."""
    return tuple(StateColumn(entry, part) for entry in view.inputs for part in _parts(entry))


def tiles(view: ResolvedView, rows: exp.Select) -> exp.Select:
    """The tiles of `rows`, which have the view's keys, both times and inputs."""
    every = _every(view)
    keys = columns(key.name for key in view.keys)
    event_hop = hop_of(column(EVENT_TIMESTAMP), every)
    over = exp.Add(this=event_hop.copy(), expression=number(1))
    known_hop = function("GREATEST", over, first_boundary_knowing(column(KNOWN_AT), every))
    states = [named(_aggregated(state), state.name) for state in state_columns(view)]
    day = hop_day(column(EVENT_TIMESTAMP))
    grouped = [*keys, event_hop, known_hop, day]
    return (
        exp.select(*keys, named(event_hop, EVENT_HOP), named(known_hop, KNOWN_HOP), *states, named(day, "event_day"))
        .from_(rows.subquery("inside"))
        .group_by(*(part.copy() for part in grouped))
        .order_by(
            *(exp.Ordered(this=tree, nulls_first=False) for tree in [*keys, column(EVENT_HOP), column(KNOWN_HOP)])
        )
    )


def hop_day(moment: exp.Expr) -> exp.Expr:
    """The UTC day of a moment. Hops divide a day, so all events of a hop share theirs."""
    return cast_to(moment, "DATE")


def empty_value(feature: ResolvedFeature) -> int | None:
    """What a windowed feature is where its window holds nothing: a count is 0, everything else is null."""
    return 0 if feature.window is not None and feature.window.function is Function.COUNT else None


def merged_value(feature: ResolvedFeature, view: ResolvedView, state: dict[Part, exp.Expr]) -> exp.Expr:
    """The feature computed from its merged state: the one place where a state becomes a value."""
    assert feature.window is not None  # noqa: S101 - only windowed features have states
    dtype = _input(view, feature.window.input).dtype
    match feature.window.function:
        case Function.COUNT:
            return function("COALESCE", cast_to(state[Part.COUNT], "BIGINT"), number(0))
        case Function.SUM:
            total = _total(dtype, state)
            return _unless_empty(state, total if dtype.is_float else cast_to(total, "BIGINT"))
        case Function.MEAN:
            count = cast_to(state[Part.COUNT].copy(), "DOUBLE")
            total = _total(dtype, state)
            return _unless_empty(
                state, exp.Div(this=total if dtype.is_float else _nearest_double(total), expression=count)
            )
        case Function.MIN:
            return state[Part.MIN]
        case Function.MAX:
            return state[Part.MAX]


def parts_of(feature: ResolvedFeature, view: ResolvedView) -> tuple[StateColumn, ...]:
    """The state columns that a feature's value is computed from."""
    assert feature.window is not None  # noqa: S101 - only windowed features have states
    entry = _input(view, feature.window.input)
    return tuple(StateColumn(entry, part) for part in _needed(feature.window.function, entry.dtype))


def _every(view: ResolvedView) -> timedelta:
    assert view.every is not None  # noqa: S101 - a windowed view has a hop: FeatureView refuses anything else
    return view.every


def _input(view: ResolvedView, name: str) -> TileInput:
    return next(entry for entry in view.inputs if entry.name == name)


def _parts(entry: TileInput) -> tuple[Part, ...]:
    needed = {part for function in entry.functions for part in _needed(function, entry.dtype)}
    return tuple(part for part in Part if part in needed)


def _needed(function: Function, dtype: DType) -> tuple[Part, ...]:
    match function:
        case Function.COUNT:
            return (Part.COUNT,)
        case Function.SUM | Function.MEAN:
            return (Part.COUNT, Part.SUM, Part.SPECIAL) if dtype.is_float else (Part.COUNT, Part.SUM)
        case Function.MIN:
            return (Part.MIN,)
        case Function.MAX:
            return (Part.MAX,)


def _aggregated(state: StateColumn) -> exp.Expr:
    """The state of the events of one tile."""
    value, dtype = column(state.input.name), state.input.dtype
    match state.part:
        case Part.COUNT:
            return exp.Count(this=value)
        case Part.SUM:
            return cast_to(exp.Sum(this=_fixed_point(value) if dtype.is_float else _integer(value)), _STORED_INTEGER)
        case Part.SPECIAL:
            return cast_to(exp.Sum(this=_special(value)), _STORED_INTEGER)
        case Part.MIN:
            return exp.Min(this=_one_zero(value, dtype))
        case Part.MAX:
            return exp.Max(this=_one_zero(value, dtype))


def _integer(value: exp.Expr) -> exp.Expr:
    return cast_to(cast_to(value, "BIGINT"), "HUGEINT")


def _fixed_point(value: exp.Expr) -> exp.Expr:
    scaled = exp.Mul(this=cast_to(value, "DOUBLE"), expression=_power_of_two(FRACTION_BITS))
    whole = cast_to(function("ROUND", scaled), "HUGEINT")
    return exp.Case(ifs=[exp.If(this=function("ISFINITE", value.copy()), true=whole)])


def _special(value: exp.Expr) -> exp.Expr:
    """NaN, +inf and -inf counted in three fields of one integer."""
    counted = [
        exp.If(this=function("ISNAN", value.copy()), true=number(2 ** (2 * _SPECIAL_BITS))),
        exp.If(this=value.copy().eq(_constant("inf")), true=number(2**_SPECIAL_BITS)),
        exp.If(this=value.copy().eq(_constant("-inf")), true=number(1)),
    ]
    return cast_to(exp.Case(ifs=counted), "HUGEINT")


def _one_zero(value: exp.Expr, dtype: DType) -> exp.Expr:
    """-0.0 and 0.0 are equal, and either could be the smallest: adding 0.0 makes both 0.0."""
    return exp.Add(this=value, expression=cast_to(number(0), "REAL")) if dtype.is_float else value


def _total(dtype: DType, state: dict[Part, exp.Expr]) -> exp.Expr:
    """The sum as a DOUBLE for floating-point inputs, as a HUGEINT for the others."""
    if not dtype.is_float:
        return state[Part.SUM].copy()
    finite = exp.Div(this=exp.paren(_nearest_double(state[Part.SUM])), expression=_power_of_two(FRACTION_BITS))
    special = state[Part.SPECIAL]
    nan = exp.IntDiv(this=special.copy(), expression=number(2 ** (2 * _SPECIAL_BITS)))
    positive = exp.Mod(
        this=exp.paren(exp.IntDiv(this=special.copy(), expression=number(2**_SPECIAL_BITS))),
        expression=number(2**_SPECIAL_BITS),
    )
    negative = exp.Mod(this=special.copy(), expression=number(2**_SPECIAL_BITS))
    undefined = exp.or_(exp.paren(nan) > 0, exp.and_(exp.paren(positive) > 0, exp.paren(negative) > 0))
    return exp.Case(
        ifs=[
            exp.If(this=exp.func("COALESCE", special.copy(), number(0)).eq(number(0)), true=finite),
            exp.If(this=undefined, true=_constant("nan")),
            exp.If(this=exp.paren(positive.copy()) > 0, true=_constant("inf")),
        ],
        default=_constant("-inf"),
    )


def _nearest_double(whole: exp.Expr) -> exp.Expr:
    """The double nearest to a 128-bit integer. The engine's own cast rounds two halves one after the other and is off
    by one bit now and then. Below 2^106 both halves here are exact, and only their sum is rounded; beyond, digits are.
    """
    whole = function("COALESCE", whole.copy(), cast_to(number(0), "HUGEINT"))
    low_bits = cast_to(number(2**_DOUBLE_BITS - 1), "HUGEINT")
    upper = cast_to(exp.paren(exp.BitwiseRightShift(this=whole, expression=number(_DOUBLE_BITS))), "DOUBLE")
    lower = cast_to(exp.paren(exp.BitwiseAnd(this=whole.copy(), expression=low_bits)), "DOUBLE")
    halves = exp.Add(this=exp.Mul(this=upper, expression=_power_of_two(_DOUBLE_BITS)), expression=lower)
    small = exp.Between(this=whole.copy(), low=number(-(2 ** (2 * _DOUBLE_BITS))), high=number(2 ** (2 * _DOUBLE_BITS)))
    return exp.Case(ifs=[exp.If(this=small, true=halves)], default=cast_to(cast_to(whole.copy(), "VARCHAR"), "DOUBLE"))


def _power_of_two(exponent: int) -> exp.Expr:
    return cast_to(number(2**exponent), "DOUBLE")


def _constant(text: str) -> exp.Expr:
    return cast_to(exp.Literal.string(text), "DOUBLE")


def _unless_empty(state: dict[Part, exp.Expr], value: exp.Expr) -> exp.Expr:
    return exp.Case(ifs=[exp.If(this=exp.paren(state[Part.COUNT].copy()) > 0, true=value)])
