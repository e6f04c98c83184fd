"""Queries whose every column names its table: each star as the columns it stands for, each row that is a value as a
struct, joins and orderings by names."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
from sqlglot import exp
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, find_all_in_scope, traverse_scope

from featurestore.graph.edges import by_name_columns, is_selected
from featurestore.graph.sql_text import DIALECT, UnreadableSql, derived_table, without_laterals

Schemas = Mapping[str, pa.Schema]
"""The columns of tables, by the tables' names."""


def qualified_query(tree: exp.Select, schemas: Schemas) -> exp.Select:
    """The tree with every column named by its table, each star as the columns it stands for, and each row that is a
    value as a struct. Changes the tree in place where that is enough.

    Raises UnreadableSql and what sqlglot raises.
    """
    spelling = spelling_of(tree, schemas)
    for key in tree.find_all(exp.PropertyEQ):
        if isinstance(key.this, exp.Identifier):
            key.this.meta["case_sensitive"] = True  # a field's name can become a value: in JSON, say
    beside = [join.this for join in tree.find_all(exp.Join) if isinstance(join.this, exp.Subquery)]
    for place, subquery in enumerate(beside):
        subquery.meta["place"] = place
    again = tree.copy() if beside else None
    found = qualified(tree, schemas)
    while again is not None and (places := _unmarked_laterals(found)):
        for subquery in [one for one in again.find_all(exp.Subquery) if one.meta.get("place") in places]:
            subquery.replace(exp.Lateral(this=exp.Subquery(this=subquery.this), alias=subquery.args.get("alias")))
        found = qualified(again.copy(), schemas)
    without_laterals(found)
    for scope in traverse_scope(found):
        _settle(scope, schemas, spelling)
    return found


def columns_of(source: exp.Table | Scope | None, schemas: Schemas) -> list[str]:
    """The names of the columns of a table or subquery that a qualified query reads."""
    if source is None:
        return []
    if isinstance(source, exp.Table):
        named = {name.lower(): schema.names for name, schema in schemas.items()}
        return list(named.get(source.name.lower(), ()))
    query = source.expression
    if isinstance(query, exp.Lateral) and isinstance(query.this, exp.Subquery):
        return query.alias_column_names or query.this.named_selects
    if isinstance(query, exp.UDTF):
        return query.alias_column_names
    names = by_name_columns(source)
    return [*source.outer_columns, *names[len(source.outer_columns) :]]


def spelling_of(tree: exp.Expr, schemas: Schemas) -> dict[str, set[str]]:
    """How names are spelled, by their small letters: as in the tables, and as they are written."""
    spelled: dict[str, set[str]] = {}
    names = (name for schema in schemas.values() for name in schema.names)
    for name in (*names, *(alias.alias for alias in tree.find_all(exp.Alias))):
        spelled.setdefault(name.lower(), set()).add(name)
    return spelled


def qualified(tree: exp.Select, schemas: Schemas) -> exp.Select:
    schema: dict[str, object] = {name: dict.fromkeys(one.names, "UNKNOWN") for name, one in schemas.items()}
    return qualify(tree, schema=schema, dialect=DIALECT, validate_qualify_columns=False)


def _unmarked_laterals(qualified: exp.Select) -> set[int]:
    """The places of the subqueries in FROM that read columns of what stands before them, without the word LATERAL."""
    inner = [
        derived_table(scope.expression)
        for scope in traverse_scope(qualified)
        if scope.is_derived_table and not scope.can_be_correlated and _reads_beside(scope)
    ]
    return {subquery.meta["place"] for subquery in inner if "place" in subquery.meta}


def _reads_beside(scope: Scope) -> bool:
    own = {pivot.alias for pivot in scope.pivots}
    return any(
        column.table not in own if column.table else is_selected(scope, column) for column in scope.external_columns
    )


def _settle(scope: Scope, schemas: Schemas, spelling: Mapping[str, set[str]]) -> None:
    query = scope.expression
    for join in find_all_in_scope(query, exp.Join):
        if join.meta.pop("asof_using", False):
            last = join.args["on"]
            last = last.expression if isinstance(last, exp.And) else last
            last.replace(exp.GTE(this=last.this.copy(), expression=last.expression.copy()))
    if isinstance(query, exp.Query):
        _order_by_names(query)
        _check_grouping(query)
    own = set(by_name_columns(scope))
    for column in [*scope.table_columns, *scope.columns]:
        if not column.text("table") and (column.name not in own or is_selected(scope, column)):
            _row_as_struct(scope, column, schemas, spelling)


def _check_grouping(query: exp.Query) -> None:
    """The engine tells an alias from the expression that it stands for where keys are grouped by in several ways."""
    group = query.args.get("group")
    keys = group.expressions if group is not None else []
    sets = [key for key in keys if isinstance(key, exp.Rollup | exp.Cube | exp.GroupingSets)]
    for key in keys:
        if any(key is not one and key in one.find_all(type(key)) for one in sets):
            raise UnreadableSql(f"GROUP BY names {shown(key)} both alone and in {shown(sets[0])}: name it once")


def _order_by_names(query: exp.Query) -> None:
    """ORDER BY ALL by the selected columns, where it matters: their order is not kept."""
    order = query.args.get("order")
    if order is None or not (query.args.get("limit") or query.args.get("offset")):
        return
    for ordered in list(order.expressions):
        if isinstance(ordered.this, exp.Var) and ordered.this.name.upper() == "ALL":
            options = {name: value for name, value in ordered.args.items() if name != "this"}
            columns = [exp.column(name, quoted=True) for name in query.named_selects]
            order.set("expressions", [exp.Ordered(this=column, **options) for column in columns])


def _row_as_struct(scope: Scope, column: exp.Expr, schemas: Schemas, spelling: Mapping[str, set[str]]) -> None:
    """The name of a table where a value stands is its row, to the engine: a struct of all columns."""
    home: Scope | None = scope
    while home is not None and not any(name == column.name for name, _ in home.references):
        home = home.parent
    if home is None:
        return
    fields = []
    for name in columns_of(home.sources.get(column.name), schemas):
        spelled = spelling.get(name.lower(), {name})
        if len(spelled) > 1:
            what = f"'{column.name}' as a value is a struct with a field '{name}' that is spelled in several ways"
            raise UnreadableSql(f"{what}: write struct_pack({name} := {column.name}.{name}, …)")
        value = exp.column(name.lower(), table=column.name, quoted=True)
        fields.append(exp.PropertyEQ(this=exp.to_identifier(min(spelled), quoted=True), expression=value))
    if fields:
        column.replace(exp.Struct(expressions=fields))


def shown(node: exp.Expr) -> str:
    return node.sql(dialect=DIALECT, comments=False)
