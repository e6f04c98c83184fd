"""Comparisons and the logic over them. To the engine NaN equals NaN and is greater than everything; to Arrow it is
neither."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from featurestore.expressions.conversion import converted
from featurestore.expressions.terms import FALSE, NEITHER, TRUE, Datum, Evaluate, LeftToEngine, Term, kernel

_and, _or, _not = kernel("and_kleene"), kernel("or_kleene"), kernel("invert")
_is_nan, _is_null, _coalesce, _if_else = kernel("is_nan"), kernel("is_null"), kernel("coalesce"), kernel("if_else")

Compare = Callable[[Datum, Datum], Datum]


def compared(left: Term, right: Term, common: pa.DataType, name: str) -> Evaluate:
    """`name` is Arrow's: equal, not_equal, less, less_equal, greater or greater_equal."""
    one, other = converted(left, _comparable(common)), converted(right, common)
    compare = _compare(common, name, left.is_number, right.is_number)
    return lambda row: compare(one(row), other(row))


def between(value: Term, low: Term, high: Term, common: pa.DataType) -> Evaluate:
    """BETWEEN, with the value evaluated once."""
    one = converted(value, _comparable(common))
    least, greatest = converted(low, common), converted(high, common)
    above = _compare(common, "greater_equal", value.is_number, low.is_number)
    below = _compare(common, "less_equal", value.is_number, high.is_number)

    def lies_between(row: Mapping[str, Datum]) -> Datum:
        given = one(row)
        return _and(above(given, least(row)), below(given, greatest(row)))

    return lies_between


def null_safe_equal(left: Term, right: Term, common: pa.DataType) -> Evaluate:
    """IS NOT DISTINCT FROM: null is as null, and as nothing else."""
    one, other = converted(left, _comparable(common)), converted(right, common)
    equal = _compare(common, "equal", left.is_number, right.is_number)

    def same(row: Mapping[str, Datum]) -> Datum:
        first, second = one(row), other(row)
        return _coalesce(equal(first, second), _and(_is_null(first), _is_null(second)))

    return same


def one_of(value: Term, items: Sequence[Term], common: pa.DataType) -> Evaluate:
    """IN: null where nothing is equal and something is null."""
    equal = [compared(value, item, common, "equal") for item in items]
    return lambda row: reduce(_or, [one(row) for one in equal])


def one_of_constants(value: Term, items: Evaluate, common: pa.DataType) -> Evaluate:
    """IN a list that is written down, of a type without NaN and -0.0. `items` gives the list."""
    if types.is_floating(common) or types.is_decimal(common):
        raise LeftToEngine("a long list of such numbers")
    evaluate, is_in, is_valid = converted(value, _comparable(common)), pc.get_function("is_in"), kernel("is_valid")

    def found(row: Mapping[str, Datum]) -> Datum:
        given, listed = evaluate(row), items(row).values
        among = is_in.call([given], pc.SetLookupOptions(value_set=listed, skip_nulls=True))
        if listed.null_count:
            return _if_else(_and(is_valid(given), among), TRUE, NEITHER)
        return _if_else(is_valid(given), among, NEITHER)

    return found


def every(terms: Sequence[Term]) -> Evaluate:
    return _joined(terms, _and)


def some(terms: Sequence[Term]) -> Evaluate:
    return _joined(terms, _or)


def negated(term: Term) -> Evaluate:
    value = truth(term)
    return lambda row: _not(value(row))


def is_null(term: Term) -> Evaluate:
    value = term.evaluate
    return lambda row: _is_null(value(row))


def is_truth(term: Term, wanted: bool) -> Evaluate:
    """IS TRUE and IS FALSE, which are never null."""
    value = truth(term) if wanted else negated(term)
    return lambda row: _coalesce(value(row), FALSE)


def truth(term: Term) -> Evaluate:
    if not types.is_boolean(term.type):
        raise LeftToEngine(f"{term.type} as a condition")
    return term.evaluate


def _joined(terms: Sequence[Term], join: Compare) -> Evaluate:
    values = [truth(term) for term in terms]
    return lambda row: reduce(join, [value(row) for value in values])


def _comparable(common: pa.DataType) -> pa.DataType:
    if types.is_nested(common):
        raise LeftToEngine(f"comparing {common}")
    return common


def _compare(common: pa.DataType, name: str, left_is_number: bool, right_is_number: bool) -> Compare:
    """Two kernels are enough where one side is known to be a number, and so no NaN."""
    if not types.is_floating(common):
        return kernel(name)
    if name in ("equal", "not_equal"):
        equal = _equal(either_is_number=left_is_number or right_is_number)
        return equal if name == "equal" else lambda left, right: _not(equal(left, right))
    greater, less = _greater(left_is_number, right_is_number), _greater(right_is_number, left_is_number)
    comparisons: dict[str, Compare] = {
        "greater": greater,
        "less": lambda left, right: less(right, left),
        "less_equal": lambda left, right: _not(greater(left, right)),
        "greater_equal": lambda left, right: _not(less(right, left)),
    }
    return comparisons[name]


def _equal(*, either_is_number: bool) -> Compare:
    plain = kernel("equal")
    if either_is_number:
        return plain
    return lambda left, right: _or(plain(left, right), _and(_is_nan(left), _is_nan(right)))


def _greater(left_is_number: bool, right_is_number: bool) -> Compare:
    plain = kernel("greater")
    if left_is_number:
        return plain  # a number is greater than no NaN
    if right_is_number:
        return lambda left, right: _or(plain(left, right), _is_nan(left))
    return lambda left, right: _or(plain(left, right), _and(_is_nan(left), _not(_is_nan(right))))
