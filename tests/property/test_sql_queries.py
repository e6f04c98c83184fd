"""Random SQL: what is computed, what is read and what lineage says agree with the engine, given the SQL as it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from random import Random

import duckdb
import pyarrow as pa
from hypothesis import assume, given
from hypothesis import strategies as st
from sqlglot import exp

from featurestore.adapters.duckdb_engine import DuckDBEngine
from featurestore.compiler.stored_rows import view_rows
from featurestore.errors import DefinitionsError
from featurestore.graph.draft import draft
from featurestore.graph.edges import columns_read
from featurestore.graph.resolved import ResolvedFeature, ResolvedView, SourceColumn
from featurestore.graph.sql_text import read_query
from featurestore.operations.resolve import resolve_definitions
from featurestore.ports.engine import Query, RowScan
from featurestore.spec.declarations import Declarations
from featurestore.spec.dtypes import DType
from featurestore.spec.entity import Entity
from featurestore.spec.feature_view import FeatureView
from featurestore.spec.source import ParquetSource
from tests.property.examples import examples
from tests.property.project import Declared
from tests.property.sql_queries import Writer
from tests.property.sql_tables import Tables, columns_of, random_tables
from tests.unit.graph.resolving import Columns

PERSON = Entity("person", join_keys={"id": DType.INT64})
SOURCES = tuple(ParquetSource(name, path=f"{name}.parquet", event_timestamp="seen") for name in ("ev", "rates"))
KEYS = ("id", "event_timestamp")
Rows = dict[str, pa.Table]


@dataclass(frozen=True)
class Case:
    """Tables, their rows, and SQL over them."""

    tables: Tables
    rows: Rows
    sql: str
    random: Random

    def view(self) -> FeatureView:
        return FeatureView("v", entity=PERSON, sql=self.sql)

    def resolved(self, engine: DuckDBEngine) -> ResolvedView | None:
        """The view, or None where it is refused."""
        schemas = {name: table.schema for name, table in self.rows.items()}
        try:
            return resolve_definitions(Declared(*SOURCES, self.view()), Columns(**schemas), engine).graph.view("v")
        except DefinitionsError:
            return None

    def as_written(self, rows: Rows | None = None) -> pa.Table | None:
        """What the engine gives for the SQL as it is, or None where it refuses."""
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            for name, table in (rows or self.rows).items():
                connection.register(name, table)
            try:
                return _small(connection.sql(self.sql).to_arrow_table())
            except duckdb.Error:
                return None


def case(seed: int) -> Case:
    random = Random(seed)
    tables = random_tables(random)
    sql = Writer(random, tables).view()
    return Case(tables, {name: tables.rows(random, name) for name in ("ev", "rates")}, sql, random)


def computed(engine: DuckDBEngine, tree: exp.Query, rows: Rows) -> pa.Table:
    """Of each table only the columns are read that the engine is told of."""
    scans = {name: RowScan(table.schema, partial(_batches, table)) for name, table in rows.items()}
    return _small(engine.stream(Query(tree, scans)).read_all())


def made_of(feature: ResolvedFeature) -> set[SourceColumn]:
    """All columns in the feature's lineage, whatever they do there."""
    return {edge.column for edge in feature.edges}


def same(left: pa.Table, right: pa.Table, names: tuple[str, ...]) -> bool:
    """Whether the tables have the same rows, in any order."""
    return _sorted(left, names) == _sorted(right, names)


def _sorted(table: pa.Table, names: tuple[str, ...]) -> list[str]:
    return sorted(map(repr, table.select(list(names)).to_pylist()))


def _batches(table: pa.Table, read: tuple[str, ...]) -> Iterator[pa.RecordBatch]:
    yield from table.select(list(read)).to_batches()


def _small(table: pa.Table) -> pa.Table:
    return table.rename_columns([name.lower() for name in table.column_names])


@examples(50)
@given(st.integers(0, 10**9))
def test_what_is_computed_is_what_the_engine_gives_for_the_sql_as_it_is_written(
    engine: DuckDBEngine, seed: int
) -> None:
    found = case(seed)
    view, expected = found.resolved(engine), found.as_written()
    assume(view is not None and expected is not None)
    assert view is not None and expected is not None  # noqa: PT018 - for the type checker
    names = (*KEYS, *(feature.name.lower() for feature in view.features))
    read = {(column.source, column.column) for column in columns_read(view.query)}
    less = {
        name: table.select([c for c in table.column_names if (name, c.lower()) in read] or table.column_names[:1])
        for name, table in found.rows.items()
    }

    everything, without = (computed(engine, view_rows(view), rows) for rows in (found.rows, less))

    assert same(everything, expected, names), found.sql
    assert same(without, expected, names), (found.sql, read)


@examples(35)
@given(st.integers(0, 10**9))
def test_a_column_that_changes_a_feature_is_in_its_lineage(engine: DuckDBEngine, seed: int) -> None:
    found = case(seed)
    view, before = found.resolved(engine), found.as_written()
    assume(view is not None and before is not None)
    assert view is not None and before is not None  # noqa: PT018 - for the type checker

    for source, column in columns_of(found.tables):
        others = [feature for feature in view.features if SourceColumn(source, column) not in made_of(feature)]
        changed = {**found.rows, source: found.tables.changed(found.random, found.rows[source], column)}
        after = found.as_written(changed) if others else None
        for feature in others if after is not None else ():
            told = (feature.name, source, column, found.sql)
            assert same(before, after, (*KEYS, feature.name.lower())), told


@examples(25)
@given(st.integers(0, 10**9))
def test_a_feature_has_the_same_values_by_its_closure_alone(engine: DuckDBEngine, seed: int) -> None:
    found = case(seed)
    view, expected = found.resolved(engine), found.as_written()
    assume(view is not None and expected is not None)
    assert view is not None and expected is not None  # noqa: PT018 - for the type checker
    declared = Declarations((PERSON,), SOURCES, (found.view(),), (), ())
    drafted, _ = draft(declared, {name: table.schema for name, table in found.rows.items()})

    names = [feature.name for feature in view.features]
    closures = drafted.views[0].query.closures({*KEYS, "known_at"}, names)

    for name in names:
        alone = computed(engine, read_query(closures[name]), found.rows)
        assert same(alone, expected, (*KEYS, name.lower())), (name, found.sql)


def test_nearly_all_of_these_queries_are_taken(engine: DuckDBEngine) -> None:
    """Or the properties would say little. What is refused has names that mean several things, or are values."""
    cases = [found for found in map(case, range(30)) if found.as_written() is not None]

    assert len(cases) >= 25
    assert sum(found.resolved(engine) is not None for found in cases) >= 0.9 * len(cases)
