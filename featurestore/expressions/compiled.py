"""An expression as functions over Arrow arrays: which parts of SQL are evaluated directly, and what evaluates each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pyarrow as pa
from pyarrow import types
from sqlglot import exp

from featurestore.expressions import arithmetic, comparison, conditional, moments, texts
from featurestore.expressions.conversion import as_decimal, cast
from featurestore.expressions.questions import Draft, common, compared_values
from featurestore.expressions.terms import Evaluate, LeftToEngine, Scope, Term, is_constant, reading, sql_of
from featurestore.spec.dtypes import MOST_DIGITS

_FEW_ITEMS = 3


@dataclass(frozen=True, slots=True)
class Compiled:
    """An expression over columns, and over constants that the engine evaluates once."""

    evaluate: Evaluate
    constants: Mapping[str, exp.Expr]


def compiled(draft: Draft, to: pa.DataType, scope: Scope) -> Compiled:
    """The expression as the type. Raises LeftToEngine where Arrow is not known to give the engine's values."""
    return Compiled(cast(_term(draft.tree, scope), to), scope.constants)


def _term(tree: exp.Expr, scope: Scope) -> Term:
    if is_constant(tree):
        return _constant(tree, scope)
    if isinstance(tree, exp.Paren):
        return _term(tree.this, scope)
    if isinstance(tree, exp.Column):
        return Term(scope.columns[tree.name], reading(tree.name))
    compile_ = _COMPILERS.get(type(tree))
    if compile_ is None:
        raise LeftToEngine(sql_of(tree))
    to = scope.type_of(tree)
    return Term(to, compile_(tree, to, scope))


def _constant(tree: exp.Expr, scope: Scope) -> Term:
    def folded(to: pa.DataType) -> Evaluate:
        return scope.constant(tree, to)

    if isinstance(tree.unnest(), exp.Null):
        return Term(pa.null(), folded(pa.bool_()), folded=folded)
    own = scope.type_of(tree)
    return Term(own, folded(own), is_number=_is_number(tree), folded=folded)


def _is_number(tree: exp.Expr) -> bool:
    number = tree.unnest()
    number = number.this if isinstance(number, exp.Neg) else number
    return isinstance(number, exp.Literal) and not number.is_string


_Compile = Callable[[exp.Expr, pa.DataType, Scope], Evaluate]


def _sum(name: str) -> _Compile:
    return lambda tree, to, scope: arithmetic.sum_or_difference(*_sides(tree, scope), to, name)


def _sides(tree: exp.Expr, scope: Scope) -> tuple[Term, Term]:
    return _term(tree.this, scope), _term(tree.expression, scope)


def _with_sides(operation: Callable[[Term, Term, pa.DataType], Evaluate]) -> _Compile:
    return lambda tree, to, scope: operation(*_sides(tree, scope), to)


def _with_name(operation: Callable[[Term, pa.DataType, str], Evaluate], name: str) -> _Compile:
    return lambda tree, to, scope: operation(_term(tree.this, scope), to, name)


def _comparison(name: str) -> _Compile:
    def compare(tree: exp.Expr, _: pa.DataType, scope: Scope) -> Evaluate:
        return comparison.compared(*_sides(tree, scope), _common(tree, scope), name)

    return compare


def _common(tree: exp.Expr, scope: Scope) -> pa.DataType:
    """The type that values are compared as. Decimals for which 38 digits are too few have several."""
    values = compared_values(tree)
    found = scope.type_of(common(*values))
    if types.is_decimal(found) and found.precision == MOST_DIGITS:
        decimals = [as_decimal(scope.type_of(value)) for value in values]
        if max(one.precision - one.scale for one in decimals) + max(one.scale for one in decimals) > MOST_DIGITS:
            raise LeftToEngine(f"values compared as {found}")
    return found


def _same(tree: exp.Expr, _: pa.DataType, scope: Scope) -> Evaluate:
    return comparison.null_safe_equal(*_sides(tree, scope), _common(tree, scope))


def _not_same(tree: exp.Expr, to: pa.DataType, scope: Scope) -> Evaluate:
    return comparison.negated(Term(to, _same(tree, to, scope)))


def _between(tree: exp.Expr, _: pa.DataType, scope: Scope) -> Evaluate:
    value, low, high = (_term(one, scope) for one in compared_values(tree))
    return comparison.between(value, low, high, _common(tree, scope))


def _in(tree: exp.Expr, _: pa.DataType, scope: Scope) -> Evaluate:
    if {name for name, value in tree.args.items() if value} - {"this", "expressions"}:
        raise LeftToEngine(sql_of(tree))
    value, together = _term(tree.this, scope), _common(tree, scope)
    if len(tree.expressions) > _FEW_ITEMS and all(is_constant(item) for item in tree.expressions):
        items = exp.Array(expressions=[item.copy() for item in tree.expressions])
        return comparison.one_of_constants(value, scope.constant(items, pa.list_(together)), together)
    return comparison.one_of(value, [_term(item, scope) for item in tree.expressions], together)


def _is(tree: exp.Expr, _: pa.DataType, scope: Scope) -> Evaluate:
    term = _term(tree.this, scope)
    match tree.expression:
        case exp.Null():
            return comparison.is_null(term)
        case exp.Boolean(this=wanted):
            return comparison.is_truth(term, wanted)
        case _:
            raise LeftToEngine(sql_of(tree))


def _joined(join: Callable[[list[Term]], Evaluate]) -> _Compile:
    return lambda tree, _, scope: join(list(_sides(tree, scope)))


def _not(tree: exp.Expr, _: pa.DataType, scope: Scope) -> Evaluate:
    return comparison.negated(_term(tree.this, scope))


def _case(tree: exp.Expr, to: pa.DataType, scope: Scope) -> Evaluate:
    base, default = tree.this, tree.args.get("default")
    branches = []
    for branch in tree.args["ifs"]:
        condition = _term(branch.this, scope)
        if base is not None:
            equal = comparison.compared(_term(base, scope), condition, _common(tree, scope), "equal")
            condition = Term(pa.bool_(), equal)
        branches.append((condition, _term(branch.args["true"], scope)))
    return conditional.chosen(branches, None if default is None else _term(default, scope), to)


def _coalesce(tree: exp.Expr, to: pa.DataType, scope: Scope) -> Evaluate:
    return conditional.first_present(_arguments(tree, scope), to)


def _null_if(tree: exp.Expr, to: pa.DataType, scope: Scope) -> Evaluate:
    return conditional.null_if(*_sides(tree, scope), _common(tree, scope), to)


def _extreme(name: str) -> _Compile:
    return lambda tree, to, scope: conditional.extreme(_arguments(tree, scope), to, name)


def _arguments(tree: exp.Expr, scope: Scope) -> list[Term]:
    first = [] if tree.this is None else [tree.this]
    return [_term(argument, scope) for argument in (*first, *tree.expressions)]


def _cast(tree: exp.Expr, to: pa.DataType, scope: Scope) -> Evaluate:
    return cast(_term(tree.this, scope), to)


def _round(tree: exp.Expr, to: pa.DataType, scope: Scope) -> Evaluate:
    decimals = tree.args.get("decimals")
    return arithmetic.rounded(_term(tree.this, scope), to, None if decimals is None else _integer(decimals))


def _log(tree: exp.Expr, to: pa.DataType, scope: Scope) -> Evaluate:
    if tree.expression is None:
        return arithmetic.of_libm(_term(tree.this, scope), to, "log10")
    base, value = _sides(tree, scope)
    return arithmetic.logarithm(value, base, to)


def _square_root(tree: exp.Expr, to: pa.DataType, scope: Scope) -> Evaluate:
    undefined = scope.constant(exp.Sqrt(this=exp.Neg(this=exp.Literal.number(1))), to)
    return arithmetic.square_root(_term(tree.this, scope), to, undefined)


def _float_kind(name: str) -> _Compile:
    return lambda tree, _, scope: arithmetic.kind_of_float(_term(tree.this, scope), name)


def _length(tree: exp.Expr, _: pa.DataType, scope: Scope) -> Evaluate:
    return texts.length(_term(tree.this, scope))


def _in_case(name: str) -> _Compile:
    return lambda tree, _, scope: texts.in_case(_term(tree.this, scope), name)


def _pipes(tree: exp.Expr, _: pa.DataType, scope: Scope) -> Evaluate:
    return texts.piped(_sides(tree, scope))


def _concat(tree: exp.Expr, _: pa.DataType, scope: Scope) -> Evaluate:
    return texts.joined(_arguments(tree, scope))


def _matches(name: str) -> _Compile:
    return lambda tree, _, scope: texts.matches(_term(tree.this, scope), name, _string(tree.expression))


def _substring(tree: exp.Expr, _: pa.DataType, scope: Scope) -> Evaluate:
    count = tree.args.get("length")
    if count is None:
        raise LeftToEngine(sql_of(tree))
    return texts.part(_term(tree.this, scope), _integer(tree.args["start"]), _integer(count))


def _left(tree: exp.Expr, _: pa.DataType, scope: Scope) -> Evaluate:
    return texts.part(_term(tree.this, scope), 1, _integer(tree.expression))


def _trim(tree: exp.Expr, _: pa.DataType, scope: Scope) -> Evaluate:
    if {name for name, value in tree.args.items() if value} != {"this"}:
        raise LeftToEngine(sql_of(tree))
    return texts.trimmed(_term(tree.this, scope))


def _part(unit: str) -> _Compile:
    return lambda tree, _, scope: moments.part(_term(tree.this, scope), unit)


def _extract(tree: exp.Expr, _: pa.DataType, scope: Scope) -> Evaluate:
    term, unit = _term(tree.expression, scope), tree.this.name.upper()
    return moments.seconds_since_1970(term) if unit == "EPOCH" else moments.part(term, unit)


def _epoch(tree: exp.Expr, to: pa.DataType, scope: Scope) -> Evaluate:
    if to != pa.float64():
        raise LeftToEngine(sql_of(tree))
    return moments.seconds_since_1970(_term(tree.this, scope))


def _difference(tree: exp.Expr, _: pa.DataType, scope: Scope) -> Evaluate:
    return moments.difference(_term(tree.expression, scope), _term(tree.this, scope), tree.args["unit"].name.upper())


def _truncated(tree: exp.Expr, to: pa.DataType, scope: Scope) -> Evaluate:
    return moments.truncated(_term(tree.this, scope), to, tree.args["unit"].name.upper())


def _function(tree: exp.Expr, to: pa.DataType, scope: Scope) -> Evaluate:
    """A function that the parser has no name for."""
    match tree.name.upper(), tree.expressions:
        case "DATE_PART", [unit, value]:
            named = exp.Extract(this=exp.var(_string(unit).upper()), expression=value)
            return _extract(named, to, scope)
        case "WEEKDAY", [value]:
            return moments.part(_term(value, scope), "DAYOFWEEK")
        case "ISFINITE", [value]:
            return arithmetic.kind_of_float(_term(value, scope), "is_finite")
        case _:
            raise LeftToEngine(sql_of(tree))


def _integer(tree: exp.Expr) -> int:
    if not isinstance(tree, exp.Literal) or tree.is_string or not tree.name.isdigit():
        raise LeftToEngine(sql_of(tree))
    return int(tree.name)


def _string(tree: exp.Expr) -> str:
    if not isinstance(tree, exp.Literal) or not tree.is_string:
        raise LeftToEngine(sql_of(tree))
    return tree.name


_COMPILERS: dict[type[exp.Expr], _Compile] = {
    exp.Add: _sum("add"),
    exp.Sub: _sum("subtract"),
    exp.Mul: _with_sides(arithmetic.product),
    exp.Div: _with_sides(arithmetic.quotient),
    exp.IntDiv: _with_sides(arithmetic.whole_quotient),
    exp.Mod: _with_sides(arithmetic.remainder),
    exp.Pow: _with_sides(arithmetic.power),
    exp.Neg: _with_name(arithmetic.of_one, "negate"),
    exp.Abs: _with_name(arithmetic.of_one, "abs"),
    exp.Ceil: _with_name(arithmetic.in_steps, "ceil"),
    exp.Floor: _with_name(arithmetic.in_steps, "floor"),
    exp.Round: _round,
    exp.Sqrt: _square_root,
    exp.Ln: _with_name(arithmetic.of_libm, "ln"),
    exp.Exp: _with_name(arithmetic.of_libm, "exp"),
    exp.Log: _log,
    exp.IsNan: _float_kind("is_nan"),
    exp.IsInf: _float_kind("is_inf"),
    exp.EQ: _comparison("equal"),
    exp.NEQ: _comparison("not_equal"),
    exp.LT: _comparison("less"),
    exp.LTE: _comparison("less_equal"),
    exp.GT: _comparison("greater"),
    exp.GTE: _comparison("greater_equal"),
    exp.NullSafeEQ: _same,
    exp.NullSafeNEQ: _not_same,
    exp.Between: _between,
    exp.In: _in,
    exp.Is: _is,
    exp.And: _joined(comparison.every),
    exp.Or: _joined(comparison.some),
    exp.Not: _not,
    exp.Case: _case,
    exp.Coalesce: _coalesce,
    exp.Nullif: _null_if,
    exp.Greatest: _extreme("greater"),
    exp.Least: _extreme("less"),
    exp.Cast: _cast,
    exp.TryCast: _cast,
    exp.Length: _length,
    exp.Upper: _in_case("utf8_upper"),
    exp.Lower: _in_case("utf8_lower"),
    exp.DPipe: _pipes,
    exp.Concat: _concat,
    exp.Contains: _matches("match_substring"),
    exp.StartsWith: _matches("starts_with"),
    exp.EndsWith: _matches("ends_with"),
    exp.Substring: _substring,
    exp.Left: _left,
    exp.Trim: _trim,
    exp.Year: _part("YEAR"),
    exp.Quarter: _part("QUARTER"),
    exp.Month: _part("MONTH"),
    exp.Week: _part("WEEK"),
    exp.Day: _part("DAY"),
    exp.DayOfYear: _part("DAYOFYEAR"),
    exp.DayOfWeek: _part("DAYOFWEEK"),
    exp.DayOfWeekIso: _part("ISODOW"),
    exp.Hour: _part("HOUR"),
    exp.Minute: _part("MINUTE"),
    exp.Second: _part("SECOND"),
    exp.Extract: _extract,
    exp.TimeToUnix: _epoch,
    exp.DateDiff: _difference,
    exp.TimestampTrunc: _truncated,
    exp.Anonymous: _function,
}  # fmt: skip
