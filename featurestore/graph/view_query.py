"""A written view as one qualified query over its sources, and the source columns each of its results is made of.

Whatever way a view is written, the outcome has one shape: a SELECT of the keys, `event_timestamp`, `known_at`, and the
features of a row-level view or the inputs of a windowed one, with a row for each row of the source.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.journal import Journal, revert
from sqlglot.optimizer.pushdown_projections import (
    ProjectionReachability,
    projection_reachability,
    prune_projections,
)
from sqlglot.optimizer.scope import Scope, build_scope, traverse_scope

from featurestore.errors import Problem, suggestion
from featurestore.graph.edges import (
    Columns,
    Lineage,
    by_name_columns,
    group_places,
    is_selected,
    source_of,
)
from featurestore.graph.qualified import columns_of, qualified_query
from featurestore.graph.resolved import SourceColumn
from featurestore.graph.sql_text import UnreadableSql, canonical_sql, with_laterals, without_laterals
from featurestore.graph.written import EVENT_TIMESTAMP, KNOWN_AT, WrittenColumn, WrittenView
from featurestore.spec.feature_view import FeatureView

_BASE_ROWS = "base_rows"


@dataclass(frozen=True, slots=True)
class Projection:
    """A column of the view's query: the source columns it is computed from, and those in its own filter."""

    name: str
    direct: Columns
    filtered_by: Columns


@dataclass(frozen=True, slots=True)
class ViewQuery:
    """The qualified tree and what lies behind its columns. `row_columns` decide for every column which rows count."""

    tree: exp.Select
    projections: tuple[Projection, ...]
    row_columns: Columns

    def projection(self, name: str) -> Projection:
        return next(projection for projection in self.projections if projection.name == name)

    def only(self, name: str) -> exp.Select:
        """The query with that column alone."""
        tree = self.tree.copy()
        tree.set("expressions", [select for select in tree.selects if select.alias_or_name == name])
        return tree

    def columns(self) -> Columns:
        """All columns of what the view reads that it is made of, or that decide about its rows."""
        return self.row_columns.union(*(one.direct | one.filtered_by for one in self.projections))

    def canonical(self) -> str:
        return canonical_sql(_sorted(self.tree))

    def closures(self, always: Collection[str], columns: Iterable[str]) -> dict[str, str]:
        """For each of `columns` its lineage closure: the query with it and what is `always` there alone, and below only
        what these need.

        What needs what is found once for all columns. For each of them the same tree is then pruned and restored:
        copying it each time would cost the square of the number of columns.
        """
        tree = with_laterals(_sorted(self.tree))
        positions = {select.alias: position for position, select in enumerate(tree.selects)}
        needed = _also_needed(projection_reachability(tree), sum(1 << positions[name] for name in always))
        without_laterals(tree)
        closures: dict[str, str] = {}
        journal: Journal = []
        for name in dict.fromkeys(columns):
            prune_projections(needed, positions[name], journal)
            closures[name] = canonical_sql(tree)
            revert(journal)
        return closures


def view_query(
    view: FeatureView, written: WrittenView, schemas: Mapping[str, pa.Schema]
) -> ViewQuery | tuple[Problem, ...]:
    """The view's query, or the columns its SQL reads that no source has."""
    read = {source.name: schemas[source.name] for source in written.sources}
    tree = selected_from(written, written.base)
    try:
        qualified = qualified_query(tree, read)
    except UnreadableSql as error:
        return (Problem(view.declared_at, f"view '{view.name}': {error}"),)
    except (SqlglotError, RecursionError) as error:
        return (_refused(view, str(error).splitlines()[0], schemas),)
    _spell_sources(qualified, written)
    if problems := tuple(_unknown_columns(view, qualified, schemas)):
        return problems
    for column, select in zip(written.columns, qualified.selects, strict=True):
        select.set("alias", exp.to_identifier(column.name, quoted=True))
    return _traced(qualified, written, schemas)


def selected_from(written: WrittenView, base: exp.Query) -> exp.Select:
    """The view's columns over the base query, in which nothing is qualified yet."""
    return exp.select(*(_select(column) for column in written.columns)).from_(_base_rows(base))


def _spell_sources(tree: exp.Expr, written: WrittenView) -> None:
    """Sources' names as they were declared: qualifying makes all names small. No CTE has the name of a source."""
    declared = {source.name.lower(): source.name for source in written.sources}
    for table in tree.find_all(exp.Table):
        if table.name in declared:
            table.set("this", exp.to_identifier(declared[table.name], quoted=True))


def _refused(view: FeatureView, message: str, schemas: Mapping[str, pa.Schema]) -> Problem:
    _, found, column = message.partition("Unknown column: ")
    hint = suggestion(column, {name for schema in schemas.values() for name in schema.names}) if found else ""
    return Problem(view.declared_at, f"the SQL of view '{view.name}': {message}", hint)


def _select(column: WrittenColumn) -> exp.Expr:
    value = column.value.copy()
    if column.where is not None:
        value = exp.Case(ifs=[exp.If(this=column.where.copy(), true=value)])
    return exp.alias_(value, column.name, quoted=True)


def _base_rows(base: exp.Query) -> exp.Expr:
    """The base query as a table; a plain `SELECT * FROM source` is the source itself."""
    if (
        isinstance(base, exp.Select)
        and base.selects == [exp.Star()]
        and set(filter(base.args.get, base.args)) == {"expressions", "from_"}
    ):
        source = base.args["from_"].this
        if isinstance(source, exp.Table):
            table: exp.Expr = source.copy()
            return table
    return base.copy().subquery(_BASE_ROWS)


def _unknown_columns(view: FeatureView, tree: exp.Expr, schemas: Mapping[str, pa.Schema]) -> Iterator[Problem]:
    told: set[str] = set()
    for scope in traverse_scope(tree):
        for column in scope.columns:
            offered = _offered(scope, column, schemas)
            if column.name.lower() not in {name.lower() for name in offered} and column.name not in told:
                told.add(column.name)
                what = f"the SQL of view '{view.name}' reads column '{column.name}', which is not there"
                yield Problem(view.declared_at, what, suggestion(column.name, offered))


def _offered(scope: Scope, column: exp.Column, schemas: Mapping[str, pa.Schema]) -> list[str]:
    """The columns that `column` could have named."""
    if pivot := next((one for one in scope.pivots if column.table == one.alias), None):
        # What a pivot makes is not known here; the engine, which is asked for types, refuses what it does not make.
        return [column.name, *pivot.alias_column_names]
    if column.table:
        return columns_of(source_of(scope, column), schemas)
    if not is_selected(scope, column):
        return by_name_columns(scope)
    return [name for source, _ in scope.references for name in columns_of(scope.sources.get(source), schemas)]


def _traced(tree: exp.Select, written: WrittenView, schemas: Mapping[str, pa.Schema]) -> ViewQuery:
    scope = build_scope(tree)
    assert scope is not None  # noqa: S101 - a SELECT has a scope
    spelled = {
        SourceColumn(source.name, name.lower()): SourceColumn(source.name, name)
        for source in written.sources
        for name in schemas[source.name].names
    }

    def as_spelled(columns: Columns) -> Columns:
        return frozenset(spelled.get(SourceColumn(c.source, c.column.lower()), c) for c in columns)

    lineage = Lineage()
    projections = tuple(
        Projection(column.name, *map(as_spelled, _direct_and_filter(lineage, scope, column, select.this)))
        for column, select in zip(written.columns, tree.selects, strict=True)
    )
    keys_and_times = len(written.columns) - _value_count(written)
    decisive = frozenset().union(*(projection.direct for projection in projections[:keys_and_times]))
    return ViewQuery(tree, projections, decisive | as_spelled(lineage.indirect(scope)))


def _value_count(written: WrittenView) -> int:
    names = [column.name for column in written.columns]
    return len(names) - names.index(KNOWN_AT) - 1 if EVENT_TIMESTAMP in names else len(names)


def _direct_and_filter(
    lineage: Lineage, scope: Scope, column: WrittenColumn, value: exp.Expr
) -> tuple[Columns, Columns]:
    if column.where is None:
        return lineage.direct(scope, value), frozenset()
    branch = value.args["ifs"][0]
    return lineage.direct(scope, branch.args["true"]), lineage.direct(scope, branch.this)


def _also_needed(reachability: ProjectionReachability, always: int) -> ProjectionReachability:
    """With every output needing what the outputs `always`, a set of bits, need."""

    def widened(needed_by: int) -> int:
        return -1 if needed_by & always else needed_by

    return reachability._replace(
        live={scope: widened(bits) for scope, bits in reachability.live.items()},
        selections={scope: [widened(bits) for bits in columns] for scope, columns in reachability.selections.items()},
    )


def _sorted(tree: exp.Select) -> exp.Select:
    """The query with the columns of each SELECT in the order of their names, wherever only names tell them apart."""
    ordered = tree.copy()
    by_name = [
        node.this
        for node in ordered.find_all(exp.CTE, exp.Subquery)
        if isinstance(node.parent, exp.From | exp.Join | exp.With) and not node.alias_column_names
    ]
    for select in (ordered, *by_name):
        if isinstance(select, exp.Select):
            _sort(select)
    return ordered


def _sort(select: exp.Select) -> None:
    before = select.selects
    after = sorted(before, key=lambda column: column.alias_or_name)
    moved = {id(column): position for position, column in enumerate(after, 1)}
    for place in group_places(select):
        meant, found = before[int(place.this) - 1], after[int(place.this) - 1]
        is_key = isinstance(place.parent, exp.Group) and isinstance(meant.unalias(), exp.Literal)
        # A constant tells no rows apart, and neither does what is found in its place, unless that can be no key at all.
        if not is_key or found.find(exp.AggFunc):
            place.set("this", str(moved[id(meant)]))
    select.set("expressions", after)
