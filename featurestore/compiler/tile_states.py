"""The states that tiles are made of, one column each, as expressions over the events of a tile.

Sums are exact integers (docs/decisions/0004-exact-sums.md), lists come in an order of the data alone: whatever the
files, threads or increments, the same events give the same state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from sqlglot import exp

from featurestore.compiler.trees import cast_to, column, function, number
from featurestore.graph.resolved import TileInput
from featurestore.graph.written import EVENT_TIMESTAMP, KNOWN_AT
from featurestore.spec.aggregate import Function
from featurestore.spec.dtypes import MOST_DIGITS, DType, Kind

FRACTION_BITS = 60
SPECIAL_BITS = 40
"""NaN, inf and -inf are counted in three fields of so many binary digits."""
SQUARE_SHIFTS = (192, 144, 96, 48, 0)
"""What the parts of a sum of squares count, as powers of two."""
_SQUARE_BITS = 48
_STORED_INTEGER = "DECIMAL(38, 0)"


class Part(Enum):
    """The kinds of column a state is made of."""

    COUNT = "count"
    SUM = "sum"
    SPECIAL = "special"
    MIN = "min"
    MAX = "max"
    SQUARES_192 = "squares_192"
    """Parts of the exact sum of squares: this one counts 2**192 times."""
    SQUARES_144 = "squares_144"
    SQUARES_96 = "squares_96"
    SQUARES_48 = "squares_48"
    SQUARES_0 = "squares_0"
    FIRST_AT = "first_at"
    FIRST_KNOWN = "first_known"
    FIRST = "first"
    LAST_AT = "last_at"
    LAST_KNOWN = "last_known"
    LAST = "last"
    RECENT_AT = "recent_at"
    """The times of the last few values, as lists, the latest last."""
    RECENT_KNOWN = "recent_known"
    RECENT = "recent"
    DISTINCT = "distinct"
    """The different values, as a sorted list."""
    VALUES = "values"


@dataclass(frozen=True, slots=True)
class StateColumn:
    """One column of a tile: a part of the state of one input."""

    input: TileInput
    part: Part

    @property
    def name(self) -> str:
        return f"{self.input.name}_{self.part.value}"


def squares_of() -> tuple[Part, ...]:
    """The parts of a sum of squares, in the order of SQUARE_SHIFTS."""
    return (Part.SQUARES_192, Part.SQUARES_144, Part.SQUARES_96, Part.SQUARES_48, Part.SQUARES_0)


def needed_parts(function: Function, dtype: DType) -> tuple[Part, ...]:
    """What a function's value is computed from."""
    return tuple(part for part in _NEEDED[function] if part is not Part.SPECIAL or dtype.is_float)


_ADDED = (Part.COUNT, Part.SUM, Part.SPECIAL)
_NEEDED: Mapping[Function, tuple[Part, ...]] = {
    Function.COUNT: (Part.COUNT,),
    Function.COUNT_DISTINCT: (Part.DISTINCT,),
    Function.SUM: _ADDED,
    Function.MEAN: _ADDED,
    Function.STD: (*_ADDED, *squares_of()),
    Function.VAR: (*_ADDED, *squares_of()),
    Function.MIN: (Part.MIN,),
    Function.MAX: (Part.MAX,),
    Function.FIRST: (Part.FIRST_AT, Part.FIRST_KNOWN, Part.FIRST),
    Function.LAST: (Part.LAST_AT, Part.LAST_KNOWN, Part.LAST),
    Function.LAST_N: (Part.RECENT_AT, Part.RECENT_KNOWN, Part.RECENT),
    Function.PERCENTILE: (Part.VALUES,),
}


def aggregated(state: StateColumn) -> exp.Expr:
    """The state of the events of one tile."""
    return _AGGREGATED[state.part](state)


def columns_read(state: StateColumn) -> tuple[str, ...]:
    """The columns of events that a state is made of."""
    timed = state.part in _TIMED
    return (EVENT_TIMESTAMP, KNOWN_AT, state.input.name) if timed else (state.input.name,)


def _count(state: StateColumn) -> exp.Expr:
    return exp.Count(this=column(state.input.name))


def _sum(state: StateColumn) -> exp.Expr:
    dtype = state.input.dtype
    if dtype.kind is Kind.DECIMAL:
        digits = f"DECIMAL({MOST_DIGITS}, {dtype.scale})"
        return cast_to(exp.Sum(this=cast_to(column(state.input.name), digits)), digits)
    return cast_to(exp.Sum(this=_whole(state)), _STORED_INTEGER)


def _specials(state: StateColumn) -> exp.Expr:
    return cast_to(exp.Sum(this=_special(column(state.input.name))), _STORED_INTEGER)


def _least(state: StateColumn) -> exp.Expr:
    return exp.Min(this=_one_zero(state))


def _greatest(state: StateColumn) -> exp.Expr:
    return exp.Max(this=_one_zero(state))


def _squares(state: StateColumn) -> exp.Expr:
    return cast_to(exp.Sum(this=_square_part(_whole(state), state.part)), _STORED_INTEGER)


def _first(state: StateColumn) -> exp.Expr:
    return function("LIST_EXTRACT", _in_order(state), number(1))


def _last(state: StateColumn) -> exp.Expr:
    return function("LIST_EXTRACT", _in_order(state), number(-1))


def _recent(state: StateColumn) -> exp.Expr:
    return function("LIST_SLICE", _in_order(state), number(-state.input.recent), number(-1))


def _distinct(state: StateColumn) -> exp.Expr:
    listed = _listed(exp.Distinct(expressions=[_one_zero(state)]), column(state.input.name))
    return function("LIST_SORT", listed)


def _values(state: StateColumn) -> exp.Expr:
    return function("LIST_SORT", _listed(cast_to(_one_zero(state), "DOUBLE"), column(state.input.name)))


_TIMED = frozenset(part for function in (Function.FIRST, Function.LAST, Function.LAST_N) for part in _NEEDED[function])
_AGGREGATED: Mapping[Part, Callable[[StateColumn], exp.Expr]] = {
    Part.COUNT: _count,
    Part.SUM: _sum,
    Part.SPECIAL: _specials,
    Part.MIN: _least,
    Part.MAX: _greatest,
    **dict.fromkeys(squares_of(), _squares),
    **dict.fromkeys((Part.FIRST_AT, Part.FIRST_KNOWN, Part.FIRST), _first),
    **dict.fromkeys((Part.LAST_AT, Part.LAST_KNOWN, Part.LAST), _last),
    **dict.fromkeys((Part.RECENT_AT, Part.RECENT_KNOWN, Part.RECENT), _recent),
    Part.DISTINCT: _distinct,
    Part.VALUES: _values,
}


def _in_order(state: StateColumn) -> exp.Expr:
    """The times or values of the events of a tile, as a list in the order of their times, then values; of two zeros,
    -0.0 comes first. (The engine's arg_max would be enough for one of them, but gives back -0.0 as 0.0.)"""
    value = column(state.input.name)
    order: list[exp.Expr] = [column(EVENT_TIMESTAMP), column(KNOWN_AT), value]
    if state.input.dtype.is_float:
        order.append(function("SIGNBIT", value.copy()).not_())
    wanted = {
        Part.FIRST_AT: EVENT_TIMESTAMP,
        Part.LAST_AT: EVENT_TIMESTAMP,
        Part.RECENT_AT: EVENT_TIMESTAMP,
        Part.FIRST_KNOWN: KNOWN_AT,
        Part.LAST_KNOWN: KNOWN_AT,
        Part.RECENT_KNOWN: KNOWN_AT,
    }.get(state.part, state.input.name)
    ordered = [exp.Ordered(this=tree.copy(), nulls_first=False) for tree in order]
    return _listed(exp.Order(this=column(wanted), expressions=ordered), value)


def _listed(values: exp.Expr, value: exp.Expr) -> exp.Expr:
    present = exp.Where(this=value.copy().is_(exp.null()).not_())
    return exp.Filter(this=exp.Anonymous(this="LIST", expressions=[values]), expression=present)


def _whole(state: StateColumn) -> exp.Expr:
    """A value as a 128-bit integer: floating-point numbers times two to the power of FRACTION_BITS."""
    value = column(state.input.name)
    return _fixed_point(value) if state.input.dtype.is_float else _integer(value)


def _square_part(whole: exp.Expr, part: Part) -> exp.Expr:
    """With x = a * 2^96 + b * 2^48 + c, the square is a^2 2^192 + 2ab 2^144 + (2ac + b^2) 2^96 + 2bc 2^48 + c^2: each
    part fits 128 bits, and so does its sum over a billion events."""
    mask = cast_to(number(2**_SQUARE_BITS - 1), "HUGEINT")

    def digits(place: int) -> exp.Expr:
        shifted = exp.paren(
            exp.BitwiseRightShift(this=exp.paren(whole.copy()), expression=number(place * _SQUARE_BITS))
        )
        return shifted if place == 2 else exp.paren(exp.BitwiseAnd(this=shifted, expression=mask.copy()))

    def product(left: int, right: int) -> exp.Expr:
        return exp.Mul(this=digits(left), expression=digits(right))

    def twice(left: int, right: int) -> exp.Expr:
        return exp.Mul(this=product(left, right), expression=number(2))

    match part:
        case Part.SQUARES_192:
            return product(2, 2)
        case Part.SQUARES_144:
            return twice(2, 1)
        case Part.SQUARES_96:
            return exp.Add(this=twice(2, 0), expression=product(1, 1))
        case Part.SQUARES_48:
            return twice(1, 0)
        case _:
            return product(0, 0)


def _integer(value: exp.Expr) -> exp.Expr:
    return cast_to(cast_to(value, "BIGINT"), "HUGEINT")


def _fixed_point(value: exp.Expr) -> exp.Expr:
    scaled = exp.Mul(this=cast_to(value, "DOUBLE"), expression=_power_of_two(FRACTION_BITS))
    whole = cast_to(function("ROUND", scaled), "HUGEINT")
    return exp.Case(ifs=[exp.If(this=function("ISFINITE", value.copy()), true=whole)])


def _special(value: exp.Expr) -> exp.Expr:
    """NaN, +inf and -inf counted in three fields of one integer."""
    counted = [
        exp.If(this=function("ISNAN", value.copy()), true=number(2 ** (2 * SPECIAL_BITS))),
        exp.If(this=value.copy().eq(_constant("inf")), true=number(2**SPECIAL_BITS)),
        exp.If(this=value.copy().eq(_constant("-inf")), true=number(1)),
    ]
    return cast_to(exp.Case(ifs=counted), "HUGEINT")


def _one_zero(state: StateColumn) -> exp.Expr:
    """-0.0 and 0.0 are equal, and either could be the smallest: adding 0.0 makes both 0.0."""
    value = column(state.input.name)
    return exp.Add(this=value, expression=cast_to(number(0), "REAL")) if state.input.dtype.is_float else value


def _power_of_two(exponent: int) -> exp.Expr:
    return cast_to(number(2**exponent), "DOUBLE")


def _constant(text: str) -> exp.Expr:
    return cast_to(exp.Literal.string(text), "DOUBLE")
