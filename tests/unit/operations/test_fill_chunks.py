"""Chunks are computed a few at a time, and committed one after another, each once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from sqlglot import exp

from featurestore.adapters.duckdb_engine import DuckDBEngine
from featurestore.errors import ConcurrentChange, QueryError, SourceError, ValueRefused
from featurestore.intervals import DAY, Interval, IntervalSet
from featurestore.operations.backfill import chunks_of
from featurestore.operations.fill_chunks import ChunkFilled, fill_chunks
from featurestore.operations.sides import OfflineSide
from featurestore.ports.engine import Binding, DataFile, Engine, Query
from featurestore.spec.declarations import Declaration
from featurestore.spec.dtypes import DType
from featurestore.spec.entity import Entity
from featurestore.spec.feature_view import FeatureView
from featurestore.spec.source import ParquetSource
from tests.property.project import SmallProject, open_small_project

START = datetime(2024, 3, 1, tzinfo=UTC)
NOW = START + 6 * DAY
THING = Entity("thing", join_keys={"k": DType.STRING})
SOURCE = ParquetSource("rows", path="rows.parquet", event_timestamp="happened")
DECLARED: tuple[Declaration, ...] = (
    FeatureView("one", entity=THING, source=SOURCE, features=["x"]),
    FeatureView("two", entity=THING, source=SOURCE, features=["x"], ttl="1d"),
)


@dataclass
class Watched:
    """An engine that notes how many writes are under way, lets two of them meet, and fails when told to."""

    engine: Engine
    meeting: threading.Barrier | None = None
    fails_at: int | None = None
    failure: Exception = field(default_factory=lambda: QueryError("The engine refused a query: out of luck"))
    calls: int = 0
    under_way: int = 0
    most: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def write(self, query: Query, folder: str, *, partition_by: str) -> tuple[DataFile, ...]:
        with self.lock:
            self.calls += 1
            call = self.calls
            self.under_way += 1
            self.most = max(self.most, self.under_way)
        try:
            if self.meeting is not None:
                self.meeting.wait(timeout=30)
            if call == self.fails_at:
                raise self.failure
            return self.engine.write(query, folder, partition_by=partition_by)
        finally:
            with self.lock:
                self.under_way -= 1

    def bind(self, query: Query) -> Binding:
        return self.engine.bind(query)

    def schema(self, query: Query) -> pa.Schema:
        return self.engine.schema(query)

    def volatile_parts(self, tree: exp.Query) -> tuple[str, ...]:
        return self.engine.volatile_parts(tree)

    def failure_of(self, query: Query, *, seconds: float) -> str | None:
        return self.engine.failure_of(query, seconds=seconds)

    def stream(self, query: Query) -> pa.RecordBatchReader:
        return self.engine.stream(query)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[SmallProject]:
    """Two views, applied when their source was empty but for its first row: six days are to be filled of each."""
    engine = DuckDBEngine(memory_limit="500MB", threads=1, spill_folder=tmp_path / "spill")
    opened = open_small_project(tmp_path, engine)
    rows = {"k": ["a"] * 6, "happened": [START + day * DAY for day in range(6)], "x": [float(day) for day in range(6)]}
    schema = pa.schema([("k", pa.string()), ("happened", pa.timestamp("us", "UTC")), ("x", pa.float64())])
    opened.write("rows.parquet", pa.table(rows, schema=schema))
    opened.apply(*DECLARED, SOURCE, now=START + timedelta(hours=1))
    yield opened
    engine.close()


def filled(project: SmallProject, offline: OfflineSide) -> Iterator[ChunkFilled]:
    """Fill the days of both views, one day in each chunk."""
    days = IntervalSet((Interval(START, NOW),))
    chunks = (chunk for view in project.graph.views for chunk in chunks_of(view, days, offline, chunk_days=1))
    return fill_chunks(chunks, offline, now=NOW)


def covered(project: SmallProject) -> list[int]:
    """How many days each view is filled for."""
    tables = [view.table for view in project.graph.views]
    return [project.offline.coverage.coverage(table).covered.duration // DAY for table in tables]


def test_chunks_are_computed_side_by_side_and_told_in_their_order(project: SmallProject) -> None:
    engine = Watched(project.offline.engine, meeting=threading.Barrier(2))
    offline = replace(project.offline, engine=engine, workers=2)

    done = list(filled(project, offline))

    assert [(one.view, one.chunk) for one in done] == [(view, day) for view in ("one", "two") for day in range(1, 7)]
    assert engine.most == 2
    assert covered(project) == [6, 6]
    assert [project.offline.tables.snapshot(view.table).rows for view in project.graph.views] == [6, 6]


def test_an_error_leaves_the_chunks_before_it_and_no_other(project: SmallProject) -> None:
    engine = Watched(project.offline.engine, fails_at=4)
    offline = replace(project.offline, engine=engine, workers=1)

    with pytest.raises(QueryError):
        list(filled(project, offline))

    assert covered(project) == [3, 0]


@pytest.mark.parametrize(
    "failure", [SourceError("source 'rows' can not be read: torn"), ValueRefused("torn")], ids=repr
)
@pytest.mark.parametrize("workers", [1, 2])
def test_a_source_that_breaks_stops_its_own_view_and_no_other(
    project: SmallProject, workers: int, failure: Exception
) -> None:
    engine = Watched(project.offline.engine, fails_at=3, failure=failure)
    offline = replace(project.offline, engine=engine, workers=workers)

    with pytest.raises(SourceError, match="torn"):
        list(filled(project, offline))

    first, second = covered(project)
    assert first in (2, 3) if workers == 2 else first == 2
    assert second == 6
    assert engine.under_way == 0


def test_of_chunks_under_way_none_is_committed_after_an_error(project: SmallProject) -> None:
    engine = Watched(project.offline.engine, fails_at=1)
    offline = replace(project.offline, engine=engine, workers=2)

    with pytest.raises(QueryError):
        list(filled(project, offline))

    assert covered(project) in ([0, 0], [1, 0])  # which of the first two begins first is the threads' affair
    assert engine.under_way == 0


def test_what_another_process_committed_in_between_stops_it(project: SmallProject) -> None:
    offline = replace(project.offline, workers=2)
    chunks = filled(project, offline)
    next(chunks)
    list(filled(project, replace(offline, workers=1)))

    with pytest.raises(ConcurrentChange):
        list(chunks)
    assert covered(project) == [6, 6]


def test_a_reader_who_stops_leaves_no_work_behind(project: SmallProject) -> None:
    engine = Watched(project.offline.engine)
    chunks = filled(project, replace(project.offline, engine=engine, workers=2))
    next(chunks)
    chunks.close()  # type: ignore[attr-defined]

    assert engine.under_way == 0
    assert covered(project)[0] == 1
