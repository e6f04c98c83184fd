"""Which source columns a projected column is made of, read from a qualified tree.

A direct edge is a column that the value is computed from. An indirect edge is one that decides which rows count: in a
filter, a join, a grouping, an ordering, or where rows are told apart or multiplied by their values. `COUNT(*)` has
indirect edges only. Where SQL mixes the columns of a query so that none can be followed by itself (a recursive query, a
pivot), each column is taken to be made of all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sqlglot import exp
from sqlglot.optimizer.pushdown_projections import GROUPING_CONSTRUCTS
from sqlglot.optimizer.scope import Scope, find_in_scope, traverse_scope, walk_in_scope

from featurestore.graph.resolved import ColumnEdge, EdgeKind, SourceColumn
from featurestore.graph.sql_text import read_query, with_laterals

_ROW_CLAUSES = ("where", "group", "having", "qualify", "order", "limit", "offset")
_MULTIPLYING = (exp.Unnest, exp.Explode)
"""Functions of a SELECT that make several rows of one."""

Columns = frozenset[SourceColumn]
_NONE: Columns = frozenset()


def columns_read(canonical: str) -> Columns:
    """The columns of sources, and of views, that a canonical query needs, all in small letters."""
    return columns_named(read_query(canonical))


def columns_named(tree: exp.Query) -> Columns:
    """The columns of sources, and of views, that a qualified tree names anywhere, all in small letters."""
    return frozenset(
        SourceColumn(table.name.lower(), column.name.lower())
        for scope in traverse_scope(with_laterals(tree))
        for column in scope.columns
        if isinstance(table := source_of(scope, column), exp.Table)
    )


def edges(direct: Iterable[SourceColumn], indirect: Iterable[SourceColumn]) -> tuple[ColumnEdge, ...]:
    """Both kinds as edges in a fixed order; a column that is both is direct."""
    made_of = set(direct)
    return tuple(
        [ColumnEdge(column, EdgeKind.DIRECT) for column in sorted(made_of)]
        + [ColumnEdge(column, EdgeKind.INDIRECT) for column in sorted(set(indirect) - made_of)]
    )


class Lineage:
    """Follows the columns of one tree down to its sources, each part of the tree once."""

    def __init__(self) -> None:
        self._projections: dict[tuple[Scope, str], Columns] = {}
        self._deciding: dict[Scope, Columns] = {}

    def direct(self, scope: Scope, expression: exp.Expr) -> Columns:
        """The source columns that `expression`, standing in `scope`, computes with."""
        return _union(self._read_by(scope, node) for node in walk_in_scope(expression))

    def indirect(self, scope: Scope) -> Columns:
        """The source columns that decide which rows `scope` yields, in it and in everything below it."""
        if scope not in self._deciding:
            self._deciding[scope] = self._indirect(scope)
        return self._deciding[scope]

    def _indirect(self, scope: Scope) -> Columns:
        query = scope.expression
        clauses = [part for name in _ROW_CLAUSES if isinstance(part := query.args.get(name), exp.Expr)]
        for join in scope.find_all(exp.Join):
            clauses += [part for part in (join.args.get("on"), *(join.args.get("using") or ())) if part is not None]
        return _union(
            (
                *(self.direct(scope, clause) for clause in (*clauses, *_telling_apart(query))),
                *(self.indirect(below) for below in (*_read_scopes(scope), *scope.set_operation_scopes)),
                *(self._everything(lateral) for lateral in scope.udtf_scopes),
                *(self._pivoted(scope, node) for _, node in scope.references if node.args.get("pivots")),
                self._outputs(scope) if _compares_rows(query) else _NONE,
            )
        )

    def _read_by(self, scope: Scope, node: exp.Expr) -> Columns:
        match node:
            case exp.Column():
                return self._behind(scope, node)
            case exp.Window():
                return _union(self.direct(scope, window) for window in _named_windows(scope, node))
            case exp.Query():
                return _union(self._everything(inner) for inner in scope.subquery_scopes if inner.expression is node)
            case _:
                return _NONE

    def _behind(self, scope: Scope, column: exp.Column) -> Columns:
        if not column.table:
            return _NONE if is_selected(scope, column) else self._projected(scope, column.name)
        if pivoted := _pivot_named(scope, column.table):
            return self._pivoted(*pivoted)
        source = source_of(scope, column)
        if isinstance(source, exp.Table):
            return frozenset({SourceColumn(source.name, column.name)})
        return self._projected(source, column.name) if source is not None else _NONE

    def _projected(self, scope: Scope, name: str) -> Columns:
        """What the column of that name, one of those that `scope` yields, is made of."""
        if (scope, name) not in self._projections:
            self._projections[scope, name] = self._made_of(scope, name)
        return self._projections[scope, name]

    def _made_of(self, scope: Scope, name: str) -> Columns:
        query = scope.expression
        if isinstance(query, exp.Lateral) and scope.subquery_scopes and not query.alias_column_names:
            return self._projected(scope.subquery_scopes[0], name)
        if not isinstance(query, exp.Select | exp.SetOperation) or _is_recursive(scope):
            return self._everything(scope)
        if isinstance(query, exp.Select):
            named = (select for select in query.selects if select.alias_or_name == name)
            return _union(self.direct(scope, select.unalias()) for select in named)
        if query.args.get("by_name"):
            return _union(self._projected(branch, name) for branch in scope.set_operation_scopes)
        positions = [position for position, selected in enumerate(by_name_columns(scope)) if selected == name]
        return _union(self._at(branch, position) for branch in scope.set_operation_scopes for position in positions)

    def _at(self, scope: Scope, position: int) -> Columns:
        query = scope.expression
        if isinstance(query, exp.SetOperation) and not query.args.get("by_name"):
            return _union(self._at(branch, position) for branch in scope.set_operation_scopes)
        if isinstance(query, exp.SetOperation):
            return self._projected(scope, by_name_columns(scope)[position])
        return self.direct(scope, query.selects[position]) if isinstance(query, exp.Select) else self._everything(scope)

    def _everything(self, scope: Scope) -> Columns:
        """All that a query computes with, and all that decides about its rows."""
        return self._outputs(scope) | self.indirect(scope)

    def _outputs(self, scope: Scope) -> Columns:
        query = scope.expression
        if isinstance(query, exp.SetOperation):
            return _union(self._outputs(branch) for branch in scope.set_operation_scopes)
        made_of = query.selects if isinstance(query, exp.Select) else [query]
        return _union(self.direct(scope, select) for select in made_of)

    def _pivoted(self, scope: Scope, node: exp.Expr) -> Columns:
        """What the columns of a pivoted subquery are made of: all that it has, and what is named there."""
        below = scope.sources.get(node.alias_or_name)
        made_of = self._everything(below) if isinstance(below, Scope) else _NONE
        return made_of | _union(self.direct(scope, pivot) for pivot in node.args["pivots"])


def source_of(scope: Scope, column: exp.Column) -> exp.Table | Scope | None:
    """What a qualified column is read from: what its own query selects from, or else a query around it."""
    home: Scope | None = scope
    while home is not None:
        if any(name == column.table for name, _ in home.references) or column.table in home.lateral_sources:
            return home.sources.get(column.table)
        home = home.parent
    return None


def by_name_columns(scope: Scope) -> list[str]:
    """The columns that a scope yields, in order: those of all sides where they are put together BY NAME."""
    query = scope.expression
    if isinstance(query, exp.SetOperation) and query.args.get("by_name"):
        return list(dict.fromkeys(name for branch in scope.set_operation_scopes for name in by_name_columns(branch)))
    if isinstance(query, exp.SetOperation):
        return by_name_columns(scope.set_operation_scopes[0])
    return query.named_selects if isinstance(query, exp.Query) else []


def is_selected(scope: Scope, column: exp.Expr) -> bool:
    """Whether a column stands in what the query selects: without a table it is then the variable of a lambda, and
    elsewhere it names what is selected, as in an ordering."""
    node: exp.Expr | None = column
    while node is not None and node.parent is not scope.expression:
        node = node.parent
    return node is None or node.arg_key == "expressions"


def group_places(query: exp.Select) -> list[exp.Literal]:
    """The numbers in GROUP BY that stand for what is selected there. Qualifying leaves those of constants, which have
    no other name, and those in ROLLUP and the like."""
    group = query.args.get("group")
    literals = group.find_all(exp.Literal) if group is not None else ()
    return [one for one in literals if one.is_int and isinstance(one.parent, (exp.Group, *GROUPING_CONSTRUCTS))]


def _telling_apart(query: exp.Expr) -> Iterator[exp.Expr]:
    """Selected expressions that decide which rows there are, although no clause names them."""
    if not isinstance(query, exp.Select):
        return
    distinct, group, order = (query.args.get(name) for name in ("distinct", "group", "order"))
    if distinct is not None and distinct.args.get("on") is not None:
        yield distinct.args["on"]
    places = {int(place.this) for place in group_places(query)}
    for position, select in enumerate(query.selects, 1):
        if (
            position in places
            or (distinct is not None and distinct.args.get("on") is None)
            or (group is not None and group.args.get("all") and not find_in_scope(select, exp.AggFunc))
            or (order is not None and any(ordered.this.name.upper() == "ALL" for ordered in order.expressions))
            or find_in_scope(select, *_MULTIPLYING)
        ):
            yield select


def _compares_rows(query: exp.Expr) -> bool:
    """Whether a set operation compares rows with each other: all but UNION ALL do."""
    return isinstance(query, exp.SetOperation) and not (isinstance(query, exp.Union) and not query.args.get("distinct"))


def _read_scopes(scope: Scope) -> list[Scope]:
    """The queries that `scope` selects from."""
    read = (scope.sources.get(name) for name, _ in scope.references)
    return [source for source in read if isinstance(source, Scope) and not source.is_udtf]


def _is_recursive(scope: Scope) -> bool:
    cte = scope.expression.parent
    return isinstance(cte, exp.CTE) and any(
        table.name == cte.alias and not table.db for table in scope.expression.find_all(exp.Table)
    )


def _named_windows(scope: Scope, window: exp.Window) -> Iterator[exp.Window]:
    """The windows of the query's WINDOW clause that `window` goes by, and those that they go by."""
    declared = {one.name: one for one in scope.expression.args.get("windows") or ()}
    named = window.alias if not isinstance(window.this, exp.Identifier) else ""
    while named in declared:
        found = declared.pop(named)
        yield found
        named = found.alias


def _pivot_named(scope: Scope, name: str) -> tuple[Scope, exp.Expr] | None:
    home: Scope | None = scope
    while home is not None:
        for _, node in home.references:
            if any(pivot.alias == name for pivot in node.args.get("pivots") or ()):
                return home, node
        home = home.parent
    return None


def _union(found: Iterable[Columns]) -> Columns:
    return frozenset().union(*found)
