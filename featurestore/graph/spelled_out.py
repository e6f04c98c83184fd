"""SQL with everything spelled out that the engine would expand by itself: what reads which column can then be seen from
the tree, and nothing that reads one is taken away. What can not be spelled out is refused by name.

Patterns of columns are a module of their own, and so is what is known once every column has been found.
"""

from __future__ import annotations

from sqlglot import exp
from sqlglot.optimizer.scope import traverse_scope

from featurestore.graph.column_patterns import expand_patterns, is_pattern
from featurestore.graph.qualified import Schemas, shown, spelling_of
from featurestore.graph.sql_text import UnreadableSql


def spelled_out(query: exp.Query, schemas: Schemas) -> exp.Query:
    """The query as its author wrote it, with what names no column spelled out, over tables with these columns.

    Raises UnreadableSql where that is not possible.
    """
    _check(query)
    tree = _rewritten(query.copy())
    _check_names_as_values(tree, schemas)
    if any(map(is_pattern, tree.find_all(exp.Columns, exp.Star))):
        for scope in traverse_scope(tree):
            if isinstance(scope.expression, exp.Select):
                expand_patterns(scope.expression, schemas, spelling_of(tree, schemas))
    return tree


def _check(tree: exp.Query) -> None:
    tables = {node.alias_or_name.lower() for node in tree.find_all(exp.Table, exp.Subquery, exp.CTE, exp.UDTF)}
    for node in tree.walk():
        match node:
            case exp.Column() if node.is_star and node.table.lower() not in tables:
                raise UnreadableSql(f"{shown(node)} stands for the fields of a struct: name them, {node.table}.…")
            case exp.Placeholder() | exp.Parameter():
                raise UnreadableSql(f"{shown(node)} is a parameter, and nobody gives it a value: write the value")
            case exp.Anonymous() if node.name.lower() == "alias":
                raise UnreadableSql(f"{shown(node)} makes a value of how something is called: write the text")
            case exp.PositionalColumn():
                raise UnreadableSql(f"{shown(node)} names a column by its place: name it")
            case exp.Join() if node.method == "POSITIONAL":
                raise UnreadableSql(
                    "POSITIONAL JOIN goes by the place where rows happen to lie: number the rows of both sides with "
                    "row_number() OVER (ORDER BY …), and join on that"
                )
            case exp.Pivot() if not isinstance(node.parent, exp.Table | exp.Subquery) or node.arg_key != "pivots":
                raise UnreadableSql(
                    "PIVOT and UNPIVOT are understood behind a table, with all values and columns named: "
                    "FROM … PIVOT (sum(x) FOR kind IN ('a', 'b')), FROM … UNPIVOT (x FOR name IN (a, b))"
                )
            case exp.Unnest() | exp.Values() if _is_in_from(node) and not node.alias_column_names:
                raise UnreadableSql(f"{shown(node)} has no names for its columns: write AS t(a, …) behind it")
            case exp.Summarize() | exp.Describe() | exp.Show() | exp.Command():
                raise UnreadableSql(f"{shown(node)} tells of a table and has no rows of it: SELECT what is wanted")
            case _:
                pass


def _check_names_as_values(tree: exp.Query, schemas: Schemas) -> None:
    """Columns' names are values in UNPIVOT, and are written in small letters from here on."""
    spelling = spelling_of(tree, schemas)
    for pivot in tree.find_all(exp.Pivot):
        for column in pivot.find_all(exp.Column) if pivot.args.get("unpivot") else ():
            if spelling.get(column.name.lower(), {column.name}) != {column.name.lower()}:
                raise UnreadableSql(
                    f"UNPIVOT makes a value of the name '{column.name}', which is written with capital letters "
                    "somewhere: give it another name before"
                )


def _rewritten(tree: exp.Query) -> exp.Query:
    """The tree, changed in place, with other ways of saying something as the one that columns are followed through."""
    for wrapped in list(tree.find_all(exp.Subquery)):
        if any(wrapped.args.get(name) for name in ("order", "limit", "offset")):
            outer = _unwrapped(wrapped)
            tree = outer if wrapped is tree else tree
    for table in list(tree.find_all(exp.Table)):
        _derive(table)
    for pivoted in list(tree.find_all(exp.Subquery)):
        if pivoted.args.get("pivots"):
            _set_apart(pivoted)
    for lateral in list(tree.find_all(exp.Lateral)):
        if isinstance(lateral.this, exp.Unnest) and not lateral.this.args.get("alias"):
            lateral.replace(exp.Unnest(**{**lateral.this.args, "alias": lateral.args.get("alias")}))
    _mark_joins(tree)
    return tree


def _is_in_from(node: exp.Expr) -> bool:
    above = node.parent
    return isinstance(above, exp.From | exp.Join) or (isinstance(above, exp.Lateral) and not above.alias_column_names)


def _derive(table: exp.Table) -> None:
    """A pivoted table, or one whose columns are named anew, as a subquery: columns are followed through those."""
    alias = table.args.get("alias")
    pivots = table.args.get("pivots")
    if not pivots and not (alias is not None and alias.columns):
        return
    plain = exp.Table(**{**table.args, "alias": None, "pivots": None, "joins": None})
    derived = exp.select("*").from_(plain).subquery(table.name if alias is None else None)
    derived.set("alias", alias or derived.args["alias"])
    for name in ("pivots", "joins"):
        derived.set(name, table.args.get(name))
    table.replace(derived)


def _unwrapped(wrapped: exp.Subquery) -> exp.Select:
    """`(SELECT …) ORDER BY x LIMIT 1` as a SELECT from what is in the parentheses, which has such clauses itself."""
    clauses = {name: wrapped.args[name] for name in ("with_", "order", "limit", "offset") if wrapped.args.get(name)}
    for name in clauses:
        wrapped.set(name, None)
    outer = exp.Select(expressions=[exp.Star()], **clauses)
    if isinstance(wrapped.parent, exp.From | exp.Join | exp.Lateral):
        inner = exp.Subquery(this=wrapped.this)
        wrapped.set("this", outer.from_(inner, copy=False))
    else:
        wrapped.replace(outer)
        outer.from_(wrapped, copy=False)
    return outer


def _set_apart(pivoted: exp.Subquery) -> None:
    """A pivot beside other tables as a subquery of its own, since it also hides columns that the others may have."""
    above = pivoted.parent
    select = above.parent if isinstance(above, exp.From | exp.Join) else None
    if select is None or not (select.args.get("joins") or pivoted.args.get("joins")):
        return
    last = pivoted.args["pivots"][-1].args.get("alias")
    alone = exp.Select(expressions=[exp.Star()])
    apart = exp.Subquery(this=alone, alias=(last or pivoted.args.get("alias") or exp.TableAlias()).copy())
    apart.set("joins", pivoted.args.get("joins"))
    pivoted.set("joins", None)
    pivoted.replace(apart)
    alone.from_(pivoted, copy=False)


def _mark_joins(tree: exp.Query) -> None:
    """ASOF joins with USING, so that their last comparison is told from the others when columns have been found."""
    for join in tree.find_all(exp.Join):
        if join.method == "ASOF" and join.args.get("using"):
            if join.side not in ("", "LEFT") or join.kind not in ("", "INNER", "OUTER"):
                raise UnreadableSql("ASOF JOIN … USING of this kind: write its conditions with ON, the last with >=")
            join.meta["asof_using"] = True
