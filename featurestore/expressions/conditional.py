"""Choices between values: CASE, COALESCE, NULLIF, GREATEST, LEAST.

Every branch is evaluated. Where Arrow refuses one that is not chosen, the engine, which never looks at it, decides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pyarrow as pa
from pyarrow import types

from featurestore.expressions.comparison import compared, truth
from featurestore.expressions.conversion import converted
from featurestore.expressions.terms import FALSE, Datum, Evaluate, LeftToEngine, Term, kernel

_coalesce, _if_else = kernel("coalesce"), kernel("if_else")


def chosen(branches: Sequence[tuple[Term, Term]], otherwise: Term | None, to: pa.DataType) -> Evaluate:
    """CASE WHEN: the value of the first condition that is true. A null condition is not."""
    conditions = [(truth(condition), converted(value, to)) for condition, value in reversed(branches)]
    null = pa.scalar(None, to)
    last: Evaluate = (lambda _: null) if otherwise is None else converted(otherwise, to)

    def choose(row: Mapping[str, Datum]) -> Datum:
        result = last(row)
        for condition, value in conditions:
            result = _if_else(_coalesce(condition(row), FALSE), value(row), result)
        return result

    return choose


def first_present(terms: Sequence[Term], to: pa.DataType) -> Evaluate:
    values = [converted(term, to) for term in terms]
    return lambda row: _coalesce(*[value(row) for value in values])


def null_if(value: Term, other: Term, common: pa.DataType, to: pa.DataType) -> Evaluate:
    equal, kept, null = compared(value, other, common, "equal"), converted(value, to), pa.scalar(None, to)
    return lambda row: _if_else(_coalesce(equal(row), FALSE), null, kept(row))


def extreme(terms: Sequence[Term], to: pa.DataType, name: str) -> Evaluate:
    """The greatest (`name` is Arrow's: greater) or the least (less) that is not null; of equal ones the first."""
    if types.is_nested(to):
        raise LeftToEngine(f"the greatest {to}")
    values = [converted(term, to) for term in terms]
    beats = _beats(to, name)

    def pick(row: Mapping[str, Datum]) -> Datum:
        best = values[0](row)
        for value in values[1:]:
            next_ = value(row)
            best = _coalesce(_if_else(beats(next_, best), next_, best), best, next_)
        return best

    return pick


def _beats(to: pa.DataType, name: str) -> Callable[[Datum, Datum], Datum]:
    compare = compared(_side(to, "left"), _side(to, "right"), to, name)
    return lambda left, right: compare({"left": left, "right": right})


def _side(to: pa.DataType, name: str) -> Term:
    return Term(to, lambda row: row[name])
