"""Casts between types, where Arrow gives the engine's values: those that the engine makes by itself to bring operands
to one type, and those that are written."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from featurestore.expressions.calendar_years import within
from featurestore.expressions.terms import Datum, Evaluate, LeftToEngine, Term, cast_kernel, kernel
from featurestore.spec.dtypes import MOST_DIGITS

Convert: TypeAlias = Callable[[Datum], Datum]

_EXACT_DIGITS = 15
"""So many digits are always an integer that a double holds."""
_INTEGER_DIGITS = 18
"""So many digits are always an integer of 64 bits."""
_LARGEST_EXACT = 1 << 53


def converted(term: Term, to: pa.DataType) -> Evaluate:
    """The term as the engine brings it to the common type of an operation."""
    if term.type == to:
        return term.evaluate
    if term.folded is not None:
        return term.folded(to)
    return _then(term, _widening(term.type, to), to)


def cast(term: Term, to: pa.DataType) -> Evaluate:
    """The term as a written CAST gives it. Where the cast fails Arrow refuses too, and the engine decides."""
    if term.type == to:
        return term.evaluate
    return _then(term, _widening(term.type, to) or _written(term.type, to), to)


def _then(term: Term, convert: Convert | None, to: pa.DataType) -> Evaluate:
    if convert is None:
        raise LeftToEngine(f"{term.type} as {to}")
    evaluate = term.evaluate
    return lambda row: convert(evaluate(row))


def _widening(found: pa.DataType, to: pa.DataType) -> Convert | None:  # noqa: PLR0911 - one answer for each pair
    """Casts that only fail where a decimal has too few digits."""
    if types.is_integer(found) and types.is_integer(to) and to.bit_width > found.bit_width:
        return cast_kernel(to)
    if types.is_integer(found) and types.is_floating(to):
        return cast_kernel(to, safe=False)  # the nearest float, as the processor gives it
    if types.is_integer(found) and types.is_decimal(to):
        whole = as_decimal(found)
        first, second = cast_kernel(whole), _rescaled(whole, to)
        return None if second is None else lambda value: second(first(value))
    if types.is_decimal(found) and types.is_decimal(to):
        return _rescaled(found, to)
    if types.is_float32(found) and types.is_float64(to):
        return cast_kernel(to)
    if types.is_decimal(found) and types.is_float64(to) and found.precision <= _INTEGER_DIGITS:
        return _decimal_to_double(found)
    if types.is_date(found) and types.is_timestamp(to):
        return _guarded(cast_kernel(to), found)
    return None


def as_decimal(found: pa.DataType) -> pa.DataType:
    """The type itself, or the decimal that holds every integer of the type."""
    if types.is_integer(found):
        return pa.decimal128({8: 3, 16: 5, 32: 10, 64: 19}[found.bit_width], 0)
    if types.is_decimal(found):
        return found
    raise LeftToEngine(f"{found} as a decimal")


def _rescaled(found: pa.DataType, to: pa.DataType) -> Convert | None:
    """With more digits after the point. Arrow 26 does not see that they are too many for 128 bits."""
    more = to.scale - found.scale
    return cast_kernel(to) if more >= 0 and found.precision + more <= MOST_DIGITS else None


def _written(found: pa.DataType, to: pa.DataType) -> Convert | None:
    if types.is_integer(found) and (types.is_integer(to) or types.is_boolean(to) or types.is_string(to)):
        return cast_kernel(to)
    if types.is_boolean(found) and (types.is_integer(to) or types.is_floating(to) or types.is_string(to)):
        return cast_kernel(to)
    if types.is_floating(found) and types.is_integer(to):
        nearest, integer = kernel("round", pc.RoundOptions(0, "half_to_even")), cast_kernel(to)
        return lambda value: integer(nearest(value))
    if types.is_float64(found) and types.is_float32(to):
        return _narrowed
    if types.is_timestamp(found) and types.is_date(to):
        return _guarded(cast_kernel(to, safe=False), found)  # the day that the moment lies in
    return None


_to_float32 = cast_kernel(pa.float32(), safe=False)
_to_double = cast_kernel(pa.float64(), safe=False)
_to_int64 = cast_kernel(pa.int64())
_is_finite = kernel("is_finite")
_is_inf = kernel("is_inf")
_and = kernel("and")
_any = kernel("any")
_add, _divide, _multiply, _subtract = kernel("add"), kernel("divide"), kernel("multiply"), kernel("subtract")
_greater, _abs, _if_else = kernel("greater"), kernel("abs"), kernel("if_else")


def _guarded(convert: Convert, moments: pa.DataType) -> Convert:
    guard = within(moments)

    def guarded(value: Datum) -> Datum:
        guard(value)
        return convert(value)

    return guarded


def _narrowed(value: Datum) -> Datum:
    """A double as a float; the engine refuses those that are beyond every float."""
    narrow = _to_float32(value)
    if _any(_and(_is_inf(narrow), _is_finite(value))).as_py():
        raise pa.ArrowInvalid("a double is beyond every float")
    return narrow


def _decimal_to_double(found: pa.DataType) -> Convert:
    """The engine divides the digits by the power of ten, and where a double does not hold the digits, the digits before
    and after the point apart. Arrow's own cast rounds in another way."""
    power = 10**found.scale
    scalar, divisor = pa.scalar(power, pa.int64()), pa.scalar(float(power))

    def exactly(digits: Datum) -> Datum:
        return _divide(_to_double(digits), divisor)

    def apart(digits: Datum) -> Datum:
        whole = _divide(digits, scalar)
        rest = _subtract(digits, _multiply(whole, scalar))
        halves = _add(_to_double(whole), _divide(_to_double(rest), divisor))
        return _if_else(_greater(_abs(digits), pa.scalar(_LARGEST_EXACT)), halves, exactly(digits))

    convert = exactly if found.precision <= _EXACT_DIGITS or not found.scale else apart
    return lambda value: convert(_digits(value))


def _digits(value: Datum) -> Datum:
    """A decimal's digits without the point, as integers: the same bytes, read with scale 0."""
    whole = pa.decimal128(value.type.precision, 0)
    if isinstance(value, pa.Scalar):
        return _to_int64(_digits(pa.array([value.as_py()], value.type)))[0]
    return _to_int64(pa.Array.from_buffers(whole, len(value), value.buffers(), value.null_count, value.offset))
