"""What DuckDB makes of a query before it runs: the columns that it gives, and those that it reads.

A database of its own holds empty tables of the query's relations. Of the optimizer only what leaves out columns is at
work there, so that a plan reads what the query needs, whatever statistics and clever joins could spare.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from sqlglot import ErrorLevel, exp

from featurestore.errors import QueryError
from featurestore.graph.sql_text import DIALECT
from featurestore.ports.engine import Binding

if TYPE_CHECKING:
    import duckdb

_KEPT_OPTIMIZERS = {"unused_columns", "deliminator", "unnest_rewriter", "cte_inlining", "materialized_cte"}
_SETTINGS: dict[str, str | int | float | bool | list[str]] = {
    "threads": 1,
    "memory_limit": "256MB",
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}
_TABLES_KEPT = 1024


class DuckDBBinder:
    """Binds queries over relations of which only the columns are known. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._database: duckdb.DuckDBPyConnection | None = None
        self._tables: dict[str, pa.Schema] = {}

    def bind(self, tree: exp.Query, relations: Mapping[str, pa.Schema]) -> Binding:
        """Raises QueryError where DuckDB refuses the query."""
        import duckdb

        text = _rendered(tree)
        explained = exp.Command(this="EXPLAIN", expression=exp.Literal.string(f"(FORMAT json) {text}"))
        with self._lock:
            try:
                database = self._opened()
                for name, schema in relations.items():
                    self._provide(database, name, schema)
                plan = database.execute(_rendered(explained)).fetchall()[0][1]
                given = database.sql(text).limit(0).to_arrow_table().schema
            except duckdb.Error as error:
                raise QueryError(f"The engine refused a query: {str(error).split(chr(10), 1)[0]}") from error
        return Binding(given, _reads(json.loads(plan), relations))

    def close(self) -> None:
        with self._lock:
            if self._database is not None:
                self._database.close()

    def _opened(self) -> duckdb.DuckDBPyConnection:
        import duckdb

        if self._database is None:
            self._database = duckdb.connect(":memory:", config=_SETTINGS)
            known = self._database.execute("SELECT name FROM duckdb_optimizers()").fetchall()
            left_out = ",".join(name for (name,) in known if name not in _KEPT_OPTIMIZERS)
            self._database.execute("SET disabled_optimizers = $1", [left_out])
            self._database.execute("SET TimeZone = 'UTC'")
        return self._database

    def _provide(self, database: duckdb.DuckDBPyConnection, name: str, schema: pa.Schema) -> None:
        if self._tables.get(name) == schema:
            return
        if len(self._tables) >= _TABLES_KEPT:
            for known in self._tables:
                database.execute(exp.Drop(this=_table(known), kind="TABLE").sql(dialect=DIALECT))
            self._tables.clear()
        database.register("__columns", schema.empty_table())
        columns = exp.select("*").from_(exp.to_table("__columns"))
        create = exp.Create(this=_table(name), kind="TABLE", expression=columns, replace=True)
        database.execute(create.sql(dialect=DIALECT))
        database.unregister("__columns")
        self._tables[name] = schema


def _rendered(tree: exp.Expr) -> str:
    # What sqlglot calls unsupported was written for this engine, which says itself what it can not do.
    return tree.sql(dialect=DIALECT, unsupported_level=ErrorLevel.IGNORE)


def _table(name: str) -> exp.Table:
    return exp.Table(this=exp.to_identifier(name, quoted=True))


def _reads(plan: list[dict[str, Any]], relations: Mapping[str, pa.Schema]) -> dict[str, frozenset[str]]:
    """The columns of each relation that the scans of a plan name."""
    reads: dict[str, set[str]] = {name: set() for name in relations}
    by_label = {label: name for name in relations for label in _labels(name)}
    for scan in _nodes(plan):
        name = by_label.get(str(scan["extra_info"].get("Table", "")))
        if name is not None:
            listed = scan["extra_info"].get("Projections", [])
            reads[name] |= set(_columns(listed if isinstance(listed, list) else [listed], relations[name].names))
    return {name: frozenset(columns) for name, columns in reads.items()}


def _labels(name: str) -> list[str]:
    return [f"memory.main.{shown}" for shown in (name, exp.to_identifier(name, quoted=True).sql(dialect=DIALECT))]


def _columns(listed: Iterable[str], names: list[str]) -> Iterator[str]:
    """A scan names a field of a struct by its path: then the struct is what is read."""
    for shown in listed:
        whole = [name for name in names if shown == name or shown.startswith((f"{name}.", f'"{name}"'))]
        if whole:
            yield max(whole, key=len)


def _nodes(plan: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for node in plan:
        yield node
        yield from _nodes(node["children"])
