"""Which sources' rows stay on their day: where a row of a source can only touch the view's rows of its own event day.
A view that is read is a source in this.

This decides how much is filled again when a part of a source changes. A source that is not proven to be so here is
taken to touch everything its view holds, which is always enough.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from sqlglot import exp
from sqlglot.optimizer.scope import Scope, build_scope

from featurestore.compiler.stored_rows import view_rows
from featurestore.graph.resolved import ResolvedView
from featurestore.graph.written import EVENT_TIMESTAMP

_PLAIN_CLAUSES = {"expressions", "from_", "joins", "where", "with_", "kind", "hint"}
"""Clauses that take each row by itself. Grouping, DISTINCT, LIMIT and the like let one row decide about another.
(Aggregates without grouping need no look: there is no event timestamp beside them.)"""
_PLAIN_JOINS = ("", "ASOF")
"""Joins that take each row of their left side by itself."""


@lru_cache(maxsize=1024)
def dated_sources(view: ResolvedView) -> frozenset[str]:
    """The sources whose rows lead to rows of the view on their own event day only: none, or the one that the view's
    rows are read from, whatever is joined to it.

    Proven for queries in which the event timestamp is that source's own, unchanged, on a path of plain SELECTs, each
    of which reads it first, joins others to it, and is read once.
    """
    tree = view_rows(view)
    scope = build_scope(tree)
    path = None if scope is None else _path_down(scope, EVENT_TIMESTAMP)
    if path is None:
        return frozenset()
    read = [table.name.lower() for table in tree.find_all(exp.Table)]
    if any(read.count(name) != 1 for name in path.tables):
        return frozenset()
    happened = {source.name: source.event_timestamp for source in view.sources}
    happened |= {upstream.name: EVENT_TIMESTAMP for upstream in view.upstreams}
    return frozenset(
        name for name, column in happened.items() if (name.lower(), column.lower()) == (path.tables[-1], path.column)
    )


@dataclass(frozen=True, slots=True)
class _Path:
    """The named tables that a column is read through, from the outermost to the source, and its name there."""

    tables: tuple[str, ...]
    column: str


def _path_down(scope: Scope, name: str) -> _Path | None:
    """The way of the scope's column `name` to a source, if each row is taken by itself all the way."""
    select = scope.expression
    if not isinstance(select, exp.Select) or not _is_plain(select, scope):
        return None
    value = _uncast(next((s.unalias() for s in select.selects if s.alias_or_name.lower() == name), None))
    read = select.args["from_"].this
    if not isinstance(value, exp.Column) or value.table != read.alias_or_name or not _is_whole(read):
        return None
    tables = (read.name.lower(),) if isinstance(read, exp.Table) else ()
    column = value.name.lower()
    below = scope.sources.get(value.table)
    if isinstance(below, Scope):
        path = _path_down(below, column)
        return path and _Path((*tables, *path.tables), path.column)
    return _Path(tables, column) if isinstance(below, exp.Table) and _is_whole(below) else None


def _is_whole(read: exp.Expr) -> bool:
    """Whether a table or subquery is read as it is: not pivoted, not sampled, not joined in its own parentheses."""
    return set(filter(read.args.get, read.args)) <= {"this", "alias"}


def _is_plain(select: exp.Select, scope: Scope) -> bool:
    clauses = set(filter(select.args.get, select.args))
    if not clauses <= _PLAIN_CLAUSES or "from_" not in clauses:
        return False
    joins = select.args.get("joins") or ()
    if any(join.method not in _PLAIN_JOINS or join.side not in ("", "LEFT") for join in joins):
        return False
    return not any(isinstance(node, exp.Window) for node in scope.walk())


def _uncast(value: exp.Expr | None) -> exp.Expr | None:
    """Without casts to a moment, which leave a moment where it is."""
    while isinstance(value, exp.Cast) and value.to.is_type("timestamptz"):
        value = value.this
    return value
