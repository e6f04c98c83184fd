"""What has to be known of an expression before it is compiled: the types of its parts, which only the engine knows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sqlglot import exp, parse_one

from featurestore.compiler.trees import named, table
from featurestore.expressions.terms import LeftToEngine, is_constant, sql_of
from featurestore.graph.sql_text import DIALECT

_MOST_PARTS = 400
"""Compiled expressions are as deep as their trees, and recursion must end before Python's does."""

_COMPARISONS = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.NullSafeEQ, exp.NullSafeNEQ, exp.Nullif)
_NOT_VALUES = (exp.DataType, exp.Identifier, exp.Interval, exp.Var, exp.Star)


@dataclass(frozen=True, slots=True)
class Draft:
    """An expression that is read, and by their SQL the subexpressions whose types have to be known: also one for each
    common type that values are compared as."""

    tree: exp.Expr
    parts: Mapping[str, exp.Expr]


def drafted(expression: str) -> Draft:
    """From canonical SQL. Raises LeftToEngine for an expression that is too large to be walked for each row."""
    tree: exp.Expr = parse_one(expression, dialect=DIALECT)
    if sum(1 for _ in tree.walk()) > _MOST_PARTS:
        raise LeftToEngine("a large expression")
    return Draft(tree, {sql_of(part): part for part in _parts(tree)})


def types_query(draft: Draft, rows: str) -> exp.Select:
    """The engine's names of the types, a column for each part, in one row for each row of the relation."""
    asked = (named(exp.func("typeof", part.copy()), str(place)) for place, part in enumerate(draft.parts.values()))
    return exp.select(*asked).from_(table(rows), copy=False)


def constants_query(constants: Mapping[str, exp.Expr]) -> exp.Select:
    """Their values, a column for each, in one row."""
    return exp.select(*(named(tree.copy(), str(place)) for place, tree in enumerate(constants.values())))


def common(*trees: exp.Expr) -> exp.Expr:
    """An expression of the type that these have together."""
    ifs = [exp.If(this=exp.Boolean(this=False), true=tree.copy()) for tree in trees[:-1]]
    return exp.Case(ifs=ifs, default=trees[-1].copy())


def compared_values(tree: exp.Expr) -> tuple[exp.Expr, ...]:
    """What an expression compares with one another; nothing where it compares nothing."""
    match tree:
        case exp.Between():
            return (tree.this, tree.args["low"], tree.args["high"])
        case exp.In():
            return (tree.this, *tree.expressions)
        case exp.Case() if tree.this is not None:
            return (tree.this, *(branch.this for branch in tree.args["ifs"]))
        case _:
            return (tree.this, tree.expression) if isinstance(tree, _COMPARISONS) else ()


def _is_one_constant(tree: exp.Expr) -> bool:
    """The branch of a CASE is two."""
    return is_constant(tree) and not isinstance(tree, exp.If)


def _parts(tree: exp.Expr) -> Iterator[exp.Expr]:
    for part in tree.walk(bfs=False, prune=_is_one_constant):
        if isinstance(part, (*_NOT_VALUES, exp.Column, exp.If)):
            continue
        yield part
        if values := compared_values(part):
            yield common(*values)
