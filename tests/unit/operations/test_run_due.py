"""A schedule that calls every minute: rows are as fresh as their source, and time that passes costs nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from sqlalchemy import func, select
from sqlglot import exp

from featurestore.adapters.duckdb_engine import DuckDBEngine
from featurestore.adapters.memory_locks import MemoryLocks
from featurestore.adapters.sql_commits import SqlCommits
from featurestore.adapters.sql_database import Database, upgrade
from featurestore.adapters.sql_publications import SqlPublications
from featurestore.adapters.sql_state import SqlCoverage, SqlMaterializations
from featurestore.adapters.sql_tables import STATE_MIGRATIONS, state_metadata
from featurestore.adapters.sqlite_online import SqliteOnlineStore
from featurestore.errors import SourceError
from featurestore.intervals import DAY, Interval
from featurestore.operations.fill_chunks import ChunkFilled
from featurestore.operations.materialize import Materialized
from featurestore.operations.run_due import Due, DueRequest, Refused, run_due
from featurestore.operations.sides import OfflineSide
from featurestore.ports.engine import Binding, DataFile, Query
from featurestore.ports.source_reader import SourceReader, SourceSnapshot
from featurestore.spec.aggregate import Aggregate
from featurestore.spec.dtypes import DType
from featurestore.spec.entity import Entity
from featurestore.spec.feature_view import FeatureView
from featurestore.spec.source import ParquetSource, Source
from tests.property.project import SmallProject, open_small_project

NOON = datetime(2024, 3, 10, 12, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
MOMENT = pa.timestamp("us", tz="UTC")
SCHEMA = pa.schema([("k", pa.string()), ("at", MOMENT), ("known", MOMENT), ("x", pa.float64())])

THING = Entity("thing", join_keys={"k": DType.STRING})
DATED = ParquetSource("dated", path="rows/*.parquet", event_timestamp="at")
SLOW = ParquetSource("slow", path="rows/*.parquet", event_timestamp="at", delay="10m")
SAID = ParquetSource("said", path="rows/*.parquet", event_timestamp="at", known_at="known")
GROUPED = "SELECT k, date_trunc('hour', at) AS event_timestamp, sum(x) AS total FROM dated GROUP BY ALL"
COUNTS = [Aggregate("x", "sum", windows=["3h"], name="sum"), Aggregate("*", "count", windows=["1d"], name="rows")]
VIEWS = (
    FeatureView("rows", entity=THING, source=DATED, features=["x"]),
    FeatureView("slow_rows", entity=THING, source=SLOW, features=["x"], publish_delay="5m"),
    FeatureView("said_rows", entity=THING, source=SAID, features=["x"], publish_delay="5m"),
    FeatureView("grouped", entity=THING, sql=GROUPED),
    FeatureView("below", entity=THING, sql="SELECT k, event_timestamp, x * 2 AS x FROM slow_rows"),
    FeatureView("windows", entity=THING, source=DATED, every="1h", features=COUNTS),
)
DECLARED = (THING, DATED, SLOW, SAID, *VIEWS)


@dataclass
class Looked:
    """How often anybody asked an engine or a source for anything."""

    engine: DuckDBEngine
    sources: SourceReader
    queries: int = 0
    reads: int = 0

    def failure_of(self, query: Query, *, seconds: float) -> str | None:
        return self.engine.failure_of(query, seconds=seconds)

    def stream(self, query: Query) -> pa.RecordBatchReader:
        self.queries += 1
        return self.engine.stream(query)

    def write(self, query: Query, folder: str, *, partition_by: str) -> tuple[DataFile, ...]:
        self.queries += 1
        return self.engine.write(query, folder, partition_by=partition_by)

    def volatile_parts(self, tree: exp.Query) -> tuple[str, ...]:
        return self.engine.volatile_parts(tree)

    def schema(self, query: Query) -> pa.Schema:
        return self.engine.schema(query)

    def bind(self, query: Query) -> Binding:
        return self.engine.bind(query)

    def read(self, source: Source, *, within: Interval | None = None) -> SourceSnapshot:
        self.reads += 1
        return self.sources.read(source, within=within)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[DuckDBEngine]:
    engine = DuckDBEngine(memory_limit="500MB", threads=1, spill_folder=tmp_path / "spill")
    yield engine
    engine.close()


@pytest.fixture
def project(tmp_path: Path, engine: DuckDBEngine) -> SmallProject:
    project = open_small_project(tmp_path, engine)
    append(project, "first", ("a", NOON - 3 * DAY, 1.0), ("a", NOON - 30 * MINUTE, 2.0), ("b", NOON - 5 * HOUR, 3.0))
    project.apply(*DECLARED, now=NOON)
    project.materialize(NOON)
    return project


def append(project: SmallProject, name: str, *rows: tuple[str, datetime, float], known: timedelta = MINUTE) -> None:
    told = [{"k": key, "at": moment, "known": moment + known, "x": x} for key, moment, x in rows]
    project.write(f"rows/{name}.parquet", pa.Table.from_pylist(told, schema=SCHEMA))


def run(project: SmallProject, now: datetime, offline: OfflineSide | None = None) -> list[Due]:
    online = replace(project.online, clock=lambda: now)
    return list(run_due(DueRequest(project.graph.views, now), offline or project.offline, online, MemoryLocks()))


def filled(done: Sequence[Due]) -> list[tuple[str, Interval]]:
    return [(one.view, one.interval) for one in done if isinstance(one, ChunkFilled)]


def online_to(project: SmallProject) -> dict[str, datetime]:
    last = {view.name: project.online.progress.last("memory", view.table) for view in project.graph.views}
    return {name: one.filled_to for name, one in last.items() if one is not None}


def values(project: SmallProject, at: datetime) -> dict[str, Any]:
    """What is online of key `a`; it is what a training set of that moment holds."""
    features = project.features(*(f"{view.name}:*" for view in project.graph.views))
    [*columns] = project.lookup(features, [{"k": "a"}], at).columns
    online = {column.column.name: column.values[0] for column in columns}
    spine = pa.table({"k": ["a"], "at": pa.array([at], MOMENT)})
    [joined] = project.training_set(spine, features, now=at).to_pylist()
    assert {name: joined[name] for name in online} == online
    return online


def test_a_row_is_online_with_the_next_run_and_not_with_the_next_hour(project: SmallProject) -> None:
    append(project, "second", ("a", NOON + 3 * MINUTE, 9.0))

    run(project, NOON + 4 * MINUTE)

    assert online_to(project) == {view.name: NOON + 4 * MINUTE for view in VIEWS[:-1]} | {"windows": NOON}
    assert values(project, NOON + 4 * MINUTE)["rows__x"] == 9.0


def test_delays_are_kept_to_the_minute(project: SmallProject) -> None:
    append(project, "second", ("a", NOON, 9.0))
    seen: dict[str, list[int]] = {name: [] for name in ("rows", "said_rows", "slow_rows", "below")}

    for minute in (1, 5, 6, 14, 15):
        run(project, NOON + minute * MINUTE)
        found = values(project, NOON + minute * MINUTE)
        for name in seen:
            seen[name] += [minute] if found[f"{name}__x"] in (9.0, 18.0) else []

    assert {name: minutes[0] for name, minutes in seen.items()} == {
        "rows": 1, "said_rows": 6, "slow_rows": 15, "below": 15
    }  # fmt: skip


def test_only_the_days_that_grew_are_filled(project: SmallProject) -> None:
    run(project, NOON + MINUTE)
    append(project, "second", ("a", NOON + 2 * MINUTE, 9.0))
    today = NOON.replace(hour=0)

    done = filled(run(project, NOON + 3 * MINUTE))

    assert ("rows", Interval(today, NOON + 3 * MINUTE + timedelta(microseconds=1))) in done
    assert {name for name, interval in done if interval.start < today} == {"grouped"}  # no day of it is proven its own


def test_rows_that_come_into_time_that_passed_without_any_are_filled(project: SmallProject) -> None:
    for minute in range(3):
        run(project, NOON + DAY + minute * MINUTE)
    append(project, "late", ("a", NOON + 2 * MINUTE, 9.0))

    done = filled(run(project, NOON + DAY + 3 * MINUTE))

    midnight = NOON.replace(hour=0)
    assert ("rows", Interval(midnight, midnight + DAY)) in done
    assert values(project, NOON + DAY + 3 * MINUTE)["rows__x"] == 9.0


def test_when_nothing_is_new_no_rows_are_read_and_each_source_is_looked_at_once(project: SmallProject) -> None:
    looked = Looked(project.offline.engine, project.offline.sources)  # type: ignore[arg-type]  # it is a DuckDBEngine
    offline = replace(project.offline, engine=looked, sources=looked)
    for minute in (1, 2, 19):
        run(project, NOON + minute * MINUTE)
    versions = {view.table: project.offline.ledger.log.versions(view.table) for view in project.graph.views}

    done = run(project, NOON + 20 * MINUTE, offline)

    assert (looked.queries, looked.reads) == (0, 3)
    assert done == [
        Materialized(view.name, NOON if view.is_windowed else NOON + 20 * MINUTE, 0, 0) for view in project.graph.views
    ]
    assert versions == {view.table: project.offline.ledger.log.versions(view.table) for view in project.graph.views}


def test_a_source_that_can_not_be_read_is_asked_once(project: SmallProject) -> None:
    class Broken(Looked):
        def read(self, source: Source, *, within: Interval | None = None) -> SourceSnapshot:
            self.reads += 1
            raise SourceError(f"{source.name} does not answer within {within}")

    broken = Broken(project.offline.engine, project.offline.sources)  # type: ignore[arg-type]

    done = run(project, NOON + MINUTE, replace(project.offline, sources=broken))

    assert {one.view for one in done if isinstance(one, Refused)} == {view.name for view in VIEWS[:-2]} | {"windows"}
    assert broken.reads == 3


def test_rows_of_the_future_are_filled_when_they_happen(project: SmallProject) -> None:
    append(project, "forecast", *(("a", NOON + hour * HOUR, float(hour)) for hour in range(1, 4)), known=-DAY)

    found = []
    for minute in range(30, 200, 30):
        run(project, NOON + minute * MINUTE)
        found.append(values(project, NOON + minute * MINUTE)["said_rows__x"])

    assert found == [2.0, 1.0, 1.0, 2.0, 2.0, 3.0]


def test_the_same_pull_stays_the_same_dataset_while_nothing_happens(project: SmallProject) -> None:
    features = project.features("rows:*", "windows:*")
    spine = pa.table({"k": ["a"], "at": pa.array([NOON - HOUR], MOMENT)})
    before = project.pull(spine, features, now=NOON)

    for hours in range(1, 5):
        run(project, NOON + hours * HOUR)

    assert project.pull(spine, features, now=NOON + 4 * HOUR) == before


@pytest.fixture
def kept(tmp_path: Path, project: SmallProject) -> Iterator[tuple[SmallProject, Database]]:
    """The project with its state in a database."""
    with Database(f"sqlite:///{tmp_path}/state.db") as database:
        upgrade(database, STATE_MIGRATIONS)
        ledger = replace(project.offline.ledger, commits=SqlCommits(database))
        online = replace(
            project.online,
            store=SqliteOnlineStore(tmp_path / "online.db"),
            progress=SqlMaterializations(database),
            publications=SqlPublications(database),
        )
        offline = replace(project.offline, coverage=SqlCoverage(database), ledger=ledger)
        whole = replace(project, offline=offline, online=online)
        run(whole, NOON)
        whole.materialize(NOON)
        yield whole, database


def rows_of_state(database: Database) -> dict[str, int]:
    with database.read() as connection:
        return {
            name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for name, table in state_metadata.tables.items()
        }


def test_state_does_not_grow_by_runs_that_find_nothing_new(kept: tuple[SmallProject, Database]) -> None:
    project, database = kept
    for minute in range(1, 4):
        run(project, NOON + minute * 30 * MINUTE)
    before = rows_of_state(database)

    counted = []
    for minute in range(12):
        run(project, NOON + 30 * HOUR + minute * MINUTE)
        counted.append(rows_of_state(database))

    # Windows have emptied meanwhile, which is a change. No later run leaves a row more than the one before it.
    assert {**counted[0], "publication": 0} == {**before, "publication": 0}
    assert counted[1:] == counted[:1] * 11
