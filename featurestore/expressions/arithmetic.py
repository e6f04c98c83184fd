"""Arithmetic: integers that overflow are refused, as the engine refuses them; floats are IEEE's."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from featurestore.expressions.calendar_years import within
from featurestore.expressions.conversion import as_decimal, converted
from featurestore.expressions.terms import Datum, Evaluate, LeftToEngine, Term, cast_kernel, kernel
from featurestore.spec.dtypes import MOST_DIGITS

_MOST_DECIMALS = 15
"""So that the power of ten, and so what the engine multiplies with, is exact."""
_if_else, _equal, _less = kernel("if_else"), kernel("equal"), kernel("less")
_divide, _multiply, _is_finite = kernel("divide"), kernel("multiply"), kernel("is_finite")
_LARGEST_BELOW_HALF = {pa.float64(): 0.49999999999999994, pa.float32(): 0.4999999701976776}


def sum_or_difference(left: Term, right: Term, to: pa.DataType, name: str) -> Evaluate:
    """`name` is Arrow's: add or subtract."""
    if types.is_date(left.type) or types.is_date(right.type):
        return _days_between(left, right, to, name)
    if types.is_decimal(to):
        if to.precision == MOST_DIGITS or to.scale != max(_scale(left), _scale(right)):
            raise LeftToEngine(f"a sum as {to}")
        return _of_two(converted(left, to), converted(right, to), _then_as(kernel(name), to))
    return _of_two(converted(left, _number(to)), converted(right, to), _checked(name, to))


def product(left: Term, right: Term, to: pa.DataType) -> Evaluate:
    if not types.is_decimal(to):
        return _of_two(converted(left, _number(to)), converted(right, to), _checked("multiply", to))
    factors = [_as_decimal(term) for term in (left, right)]
    digits = sum(factor.type.precision for factor in factors)
    if digits >= MOST_DIGITS or to.scale != sum(factor.type.scale for factor in factors):
        raise LeftToEngine(f"a product as {to}")
    return _of_two(factors[0].evaluate, factors[1].evaluate, _then_as(kernel("multiply"), to))


def quotient(left: Term, right: Term, to: pa.DataType) -> Evaluate:
    """`/`: of floats always."""
    if not types.is_floating(to):
        raise LeftToEngine(f"a quotient as {to}")
    return _of_two(converted(left, to), converted(right, to), _divide)


def whole_quotient(left: Term, right: Term, to: pa.DataType) -> Evaluate:
    """`//` of integers, towards zero. By zero the engine refuses it."""
    return _of_two(converted(left, _integer(to)), converted(right, to), kernel("divide_checked"))


def remainder(left: Term, right: Term, to: pa.DataType) -> Evaluate:
    """`%` of integers, with the sign of the left."""
    divide, subtract = kernel("divide_checked"), kernel("subtract")

    def rest(value: Datum, by: Datum) -> Datum:
        return subtract(value, _multiply(divide(value, by), by))

    return _of_two(converted(left, _integer(to)), converted(right, to), rest)


def of_one(term: Term, to: pa.DataType, name: str) -> Evaluate:
    """`name` is Arrow's: negate or abs."""
    if types.is_decimal(to):
        return _of_one(converted(term, to), kernel(name))
    return _of_one(converted(term, _number(to)), _checked(name, to))


def in_steps(term: Term, to: pa.DataType, name: str) -> Evaluate:
    """`name` is Arrow's: ceil, floor or trunc."""
    return _of_one(converted(term, _float(to)), kernel(name))


def rounded(term: Term, to: pa.DataType, decimals: int | None) -> Evaluate:
    """Halves away from zero. `decimals` is how many digits stay after the point, None where nothing is said."""
    if types.is_integer(to) and decimals is None:
        return converted(term, to)
    if decimals is None:
        return _of_one(converted(term, _float(to)), _nearest(to))
    if not 0 <= decimals <= _MOST_DECIMALS:
        raise LeftToEngine(f"round to {decimals} digits")
    return _of_one(converted(term, _float(to)), _nearest_at(to, decimals))


def of_libm(term: Term, to: pa.DataType, name: str) -> Evaluate:
    """`name` is Arrow's: ln, log10 or exp. Both sides call the C library's."""
    return _of_one(converted(term, _double(to)), kernel(name))


def logarithm(term: Term, base: Term, to: pa.DataType) -> Evaluate:
    log10 = kernel("log10")

    def of_base(value: Datum, of: Datum) -> Datum:
        return _divide(log10(value), log10(of))

    return _of_two(converted(term, _double(to)), converted(base, to), of_base)


def power(left: Term, right: Term, to: pa.DataType) -> Evaluate:
    return _of_two(converted(left, _double(to)), converted(right, to), kernel("power"))


def square_root(term: Term, to: pa.DataType, undefined: Evaluate) -> Evaluate:
    """`undefined` is the engine's NaN for a negative number: it has the processor's sign, and Arrow's has none."""
    value, root, zero = converted(term, _double(to)), kernel("sqrt"), pa.scalar(0.0)

    def rooted(row: Mapping[str, Datum]) -> Datum:
        given = value(row)
        return _if_else(_less(given, zero), undefined(row), root(given))

    return rooted


def kind_of_float(term: Term, name: str) -> Evaluate:
    """`name` is Arrow's: is_nan, is_inf or is_finite."""
    _float(term.type)
    return _of_one(term.evaluate, kernel(name))


def _nearest(to: pa.DataType) -> Callable[[Datum], Datum]:
    """Arrow 26 takes the greatest float below one half for a half, where it is negative."""
    round_, below_half = kernel("round", pc.RoundOptions(0, "half_towards_infinity")), _LARGEST_BELOW_HALF[to]
    trap, negative_zero = pa.scalar(-below_half, to), pa.scalar(-0.0, to)
    return lambda value: _if_else(_equal(value, trap), negative_zero, round_(value))


def _nearest_at(to: pa.DataType, decimals: int) -> Callable[[Datum], Datum]:
    """The engine multiplies, rounds and divides, in doubles, and keeps what is not finite then."""
    nearest, factor = _nearest(pa.float64()), pa.scalar(10.0**decimals)
    wide, narrow = cast_kernel(pa.float64()), cast_kernel(to, safe=False)

    def at(value: Datum) -> Datum:
        found = _divide(nearest(_multiply(wide(value), factor)), factor)
        return _if_else(_is_finite(found), narrow(found), value)

    def at_double(value: Datum) -> Datum:
        found = _divide(nearest(_multiply(value, factor)), factor)
        return _if_else(_is_finite(found), found, value)

    return at_double if types.is_float64(to) else at


def _days_between(left: Term, right: Term, to: pa.DataType, name: str) -> Evaluate:
    if name != "subtract" or left.type != right.type or not types.is_int64(to):
        raise LeftToEngine("dates and numbers together")
    days, wide, subtract, guard = (
        cast_kernel(pa.int32()),
        cast_kernel(pa.int64()),
        kernel("subtract"),
        within(left.type),
    )

    def between(end: Datum, start: Datum) -> Datum:
        guard(end)
        guard(start)
        return subtract(wide(days(end)), wide(days(start)))

    return _of_two(left.evaluate, right.evaluate, between)


def _checked(name: str, to: pa.DataType) -> Callable[..., Datum]:
    return kernel(f"{name}_checked" if types.is_integer(to) else name)


def _then_as(operation: Callable[..., Datum], to: pa.DataType) -> Callable[..., Datum]:
    """Arrow's decimals grow by a digit with each operation; the engine's keep to their type or are refused."""
    fitted = cast_kernel(to)
    return lambda left, right: fitted(operation(left, right))


def _as_decimal(term: Term) -> Term:
    to = as_decimal(term.type)
    return Term(to, converted(term, to))


def _scale(term: Term) -> int:
    return int(term.type.scale) if types.is_decimal(term.type) else 0


def _number(to: pa.DataType) -> pa.DataType:
    return to if types.is_integer(to) else _float(to)


def _integer(to: pa.DataType) -> pa.DataType:
    if not types.is_integer(to):
        raise LeftToEngine(f"whole numbers as {to}")
    return to


def _float(to: pa.DataType) -> pa.DataType:
    if not types.is_floating(to):
        raise LeftToEngine(f"arithmetic of {to}")
    return to


def _double(to: pa.DataType) -> pa.DataType:
    if not types.is_float64(to):
        raise LeftToEngine(f"a function of doubles as {to}")
    return to


def _of_one(value: Evaluate, operation: Callable[[Datum], Datum]) -> Evaluate:
    return lambda row: operation(value(row))


def _of_two(left: Evaluate, right: Evaluate, operation: Callable[[Datum, Datum], Datum]) -> Evaluate:
    return lambda row: operation(left(row), right(row))
