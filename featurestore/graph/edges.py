"""Which source columns a projected column is made of, read from a qualified tree.

A direct edge is a column that the value is computed from. An indirect edge is one that decides which rows count: in a
filter, a join, a grouping or an ordering. `COUNT(*)` has indirect edges only.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlglot import exp
from sqlglot.optimizer.scope import Scope, traverse_scope

from featurestore.graph.resolved import ColumnEdge, EdgeKind, SourceColumn
from featurestore.graph.sql_text import read_query

_ROW_CLAUSES = ("where", "group", "having", "qualify", "order", "distinct")

Columns = frozenset[SourceColumn]


def direct_columns(scope: Scope, expression: exp.Expr) -> Columns:
    """The source columns that `expression`, standing in `scope`, computes with."""
    found: set[SourceColumn] = set()
    for column in expression.find_all(exp.Column):
        found |= _behind(scope, column)
    return frozenset(found)


def indirect_columns(scope: Scope) -> Columns:
    """The source columns that decide which rows `scope` yields, in it and in everything below it."""
    found: set[SourceColumn] = set()
    for clause in _ROW_CLAUSES:
        if isinstance(part := scope.expression.args.get(clause), exp.Expr):
            found |= direct_columns(scope, part)
    for join in scope.expression.args.get("joins") or ():
        for part in (join.args.get("on"), *(join.args.get("using") or ())):
            if part is not None:
                found |= direct_columns(scope, part)
    for below in _below(scope):
        found |= indirect_columns(below)
    return frozenset(found)


def columns_read(canonical: str) -> Columns:
    """The columns of sources, and of views, that a canonical query needs, all in small letters."""
    return frozenset(
        SourceColumn(table.name.lower(), column.name.lower())
        for scope in traverse_scope(read_query(canonical))
        for column in scope.columns
        if isinstance(table := scope.sources.get(column.table), exp.Table)
    )


def edges(direct: Iterable[SourceColumn], indirect: Iterable[SourceColumn]) -> tuple[ColumnEdge, ...]:
    """Both kinds as edges in a fixed order; a column that is both is direct."""
    made_of = set(direct)
    return tuple(
        [ColumnEdge(column, EdgeKind.DIRECT) for column in sorted(made_of)]
        + [ColumnEdge(column, EdgeKind.INDIRECT) for column in sorted(set(indirect) - made_of)]
    )


def _behind(scope: Scope, column: exp.Column) -> Columns:
    home: Scope | None = scope
    while home is not None:
        source = home.sources.get(column.table)
        if isinstance(source, exp.Table):
            return frozenset({SourceColumn(source.name, column.name)})
        if isinstance(source, Scope):
            return _projected(source, column.name)
        home = home.parent
    return frozenset().union(
        *(_behind(inner, column) for inner in scope.subquery_scopes if column.table in inner.sources)
    )


def _projected(scope: Scope, name: str) -> Columns:
    if scope.set_operation_scopes:
        position = _selects(scope.set_operation_scopes[0]).index(name)
        return frozenset().union(*(_at(branch, position) for branch in scope.set_operation_scopes))
    names = _selects(scope)
    return _at(scope, names.index(name)) if name in names else frozenset()


def _at(scope: Scope, position: int) -> Columns:
    if scope.set_operation_scopes:
        return frozenset().union(*(_at(branch, position) for branch in scope.set_operation_scopes))
    query = scope.expression
    return direct_columns(scope, query.selects[position]) if isinstance(query, exp.Query) else frozenset()


def _selects(scope: Scope) -> list[str]:
    return scope.expression.named_selects if isinstance(scope.expression, exp.Query) else []


def _below(scope: Scope) -> list[Scope]:
    selected = [source for _, source in scope.selected_sources.values() if isinstance(source, Scope)]
    return [*selected, *scope.set_operation_scopes, *scope.subquery_scopes]
