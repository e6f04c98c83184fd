"""Small trees that several compilers build: columns, moments, types, and joins on keys."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from sqlglot import exp

from featurestore.graph.sql_text import DIALECT
from featurestore.graph.sql_types import sql_type
from featurestore.spec.dtypes import DType


def column(name: str, table: str | None = None) -> exp.Column:
    return exp.column(name, table=table, quoted=True)


def columns(names: Iterable[str], table: str | None = None) -> list[exp.Expr]:
    return [column(name, table) for name in names]


def named(tree: exp.Expr, name: str) -> exp.Expr:
    return exp.alias_(tree, name, quoted=True, copy=False)


def table(name: str, alias: str | None = None) -> exp.Table:
    return exp.Table(
        this=exp.to_identifier(name, quoted=True),
        alias=exp.TableAlias(this=exp.to_identifier(alias, quoted=True)) if alias else None,
    )


def cast(tree: exp.Expr, dtype: DType) -> exp.Expr:
    if dtype.is_scalar:
        return exp.cast(tree, sql_type(dtype), copy=False, dialect=DIALECT)
    # Not `exp.cast`: it leaves a cast out over one to another list, whose items may be of another type.
    return exp.Cast(this=tree, to=sql_type(dtype))


def cast_to(tree: exp.Expr, sql_type: str) -> exp.Expr:
    """Cast to a type that is no feature's: the inner types of tiles."""
    return exp.cast(tree, sql_type, copy=False, dialect=DIALECT)


def moment(value: datetime) -> exp.Expr:
    text = value.astimezone(UTC).isoformat(sep=" ", timespec="microseconds")
    return exp.cast(exp.Literal.string(text), "TIMESTAMPTZ", dialect=DIALECT)


def interval(duration: timedelta) -> exp.Expr:
    seconds = exp.Literal.string(str(duration // timedelta(seconds=1)))
    return exp.Interval(this=seconds, unit=exp.var("SECOND"))


def number(value: int) -> exp.Expr:
    return exp.Literal.number(value) if value >= 0 else exp.Neg(this=exp.Literal.number(-value))


def function(name: str, *arguments: exp.Expr) -> exp.Expr:
    return exp.func(name, *arguments, dialect=DIALECT)


def items_present(embedding: exp.Expr) -> exp.Expr:
    """How many items of an embedding are not null; null where it is null as a whole."""
    return function("LIST_COUNT", embedding)


def not_null(names: Iterable[str]) -> list[exp.Expr]:
    return [column(name).is_(exp.null()).not_() for name in names]
