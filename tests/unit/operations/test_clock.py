"""Clocks that go back and forth: no other values are online than after a history whose clock went straight on."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from featurestore.adapters.duckdb_engine import DuckDBEngine
from featurestore.adapters.memory_locks import MemoryLocks
from featurestore.errors import ClockBehind
from featurestore.operations.audit import AuditedStore, audit
from featurestore.operations.audit_report import AuditedView
from featurestore.operations.clock import check_clock, filled_ahead
from featurestore.operations.run_due import Due, DueRequest, Refused, run_due
from featurestore.operations.status import view_statuses
from featurestore.plan.stages import HeldRows
from featurestore.spec.aggregate import Aggregate
from featurestore.spec.dtypes import DType
from featurestore.spec.entity import Entity
from featurestore.spec.feature_view import FeatureView
from featurestore.spec.source import ParquetSource
from tests.property.project import SmallProject, open_small_project

NOON = datetime(2024, 3, 10, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
MOMENT = pa.timestamp("us", tz="UTC")
SCHEMA = pa.schema([("k", pa.string()), ("at", MOMENT), ("x", pa.float64())])

THING = Entity("thing", join_keys={"k": DType.STRING})
ROWS = ParquetSource("events", path="rows/*.parquet", event_timestamp="at")
SLOW = ParquetSource("slow", path="rows/*.parquet", event_timestamp="at", delay="2h")
COUNTS = [Aggregate("x", "sum", windows=["3h", "2d"], name="sum"), Aggregate("*", "count", windows=["1d"], name="rows")]
DECLARED = (
    THING,
    ROWS,
    SLOW,
    FeatureView("latest", entity=THING, source=ROWS, features=["x"]),
    FeatureView("slow_rows", entity=THING, source=SLOW, features=["x"], publish_delay="1h"),
    FeatureView("windows", entity=THING, source=ROWS, every="1h", features=COUNTS),
    FeatureView("below", entity=THING, sql="SELECT k, event_timestamp, x * 2 AS x FROM slow_rows"),
)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[DuckDBEngine]:
    engine = DuckDBEngine(memory_limit="500MB", threads=1, spill_folder=tmp_path / "spill")
    yield engine
    engine.close()


def shop(folder: Path, engine: DuckDBEngine) -> SmallProject:
    folder.mkdir()
    project = open_small_project(folder, engine)
    append(project, "first", ("a", NOON - 3 * DAY, 1.0), ("a", NOON - 90 * MINUTE, 2.0), ("b", NOON - 5 * HOUR, 3.0))
    project.apply(*DECLARED, now=NOON)
    project.materialize(NOON)
    return project


def append(project: SmallProject, name: str, *rows: tuple[str, datetime, float]) -> None:
    told = [dict(zip(SCHEMA.names, row, strict=True)) for row in rows]
    project.write(f"rows/{name}.parquet", pa.Table.from_pylist(told, schema=SCHEMA))


def run(project: SmallProject, now: datetime, *, set_back: bool = False) -> list[Due]:
    online = replace(project.online, clock=lambda: now)
    request = DueRequest(project.graph.views, now, set_back=set_back)
    return list(run_due(request, project.offline, online, MemoryLocks()))


def answers(project: SmallProject, now: datetime) -> list[Any]:
    """What is online of each key, how far everything is filled, and what the tables hold."""
    features = project.features(*(f"{view.name}:*" for view in project.graph.views))
    columns = project.lookup(features, [{"k": "a"}, {"k": "b"}, {"k": "c"}], now).columns
    online = [(column.column.name, list(column.values), list(column.statuses)) for column in columns]
    coverage = [project.offline.coverage.coverage(view.table).covered for view in project.graph.views]
    reached = [project.online.progress.last("memory", view.table) for view in project.graph.views]
    stored = [project.stored(view.name) for view in project.graph.views]
    return [online, coverage, [one and one.filled_to for one in reached], stored]


def test_a_run_whose_clock_is_behind_says_so_and_changes_nothing(tmp_path: Path, engine: DuckDBEngine) -> None:
    project = shop(tmp_path / "shop", engine)
    run(project, NOON + DAY)
    append(project, "second", ("a", NOON + HOUR, 9.0))
    before = answers(project, NOON + DAY)

    done = run(project, NOON + 2 * HOUR)

    assert {type(one) for one in done} == {Refused}
    assert {(one.view, one.code) for one in done if isinstance(one, Refused)} == {
        (view.name, "clock_behind") for view in project.graph.views
    }
    assert answers(project, NOON + DAY) == before
    with pytest.raises(ClockBehind, match=r"'latest' as of 2024-03-11T12:00Z.* --set-back "):
        check_clock(project.graph.views, project.offline, project.online, now=NOON)


def test_clocks_that_differ_by_seconds_are_taken_for_one(tmp_path: Path, engine: DuckDBEngine) -> None:
    project = shop(tmp_path / "shop", engine)
    run(project, NOON + DAY)

    done = run(project, NOON + DAY - timedelta(seconds=59))

    assert not [one for one in done if isinstance(one, Refused)]


def test_what_a_clock_that_was_ahead_has_filled_is_told_and_put_right(tmp_path: Path, engine: DuckDBEngine) -> None:
    straight, jumped = shop(tmp_path / "straight", engine), shop(tmp_path / "jumped", engine)
    for project in (straight, jumped):
        append(project, "forecast", ("b", NOON + 20 * HOUR, 7.0))
    for minute in (-2, -1, 0):  # the last two find nothing new
        run(jumped, NOON + 5 * DAY + minute * MINUTE)
    now = NOON + 3 * HOUR
    for project in (straight, jumped):
        append(project, "second", ("a", NOON + HOUR, 9.0))
    (jumped.data / "rows" / "forecast.parquet").unlink()
    (straight.data / "rows" / "forecast.parquet").unlink()
    statuses = view_statuses(jumped.graph, jumped.offline, jumped.online, now=now)
    store = AuditedStore(jumped.offline, jumped.online, jumped.catalog, now)
    audits = [audit(AuditedView.whole(view), 10, store) for view in jumped.graph.views]

    run(jumped, now, set_back=True)
    run(straight, now)

    assert {one.filled_ahead for one in statuses} == {NOON + 5 * DAY}
    assert not any(one.equal for one in audits)
    assert all(f"--set-back {one.view.name}" in one.notes[-1] for one in audits)
    assert answers(jumped, now) == answers(straight, now)
    assert {filled_ahead(view, jumped.offline, jumped.online, now=now) for view in jumped.graph.views} == {None}
    published = [jumped.online.publications.published("memory", view.table).runs for view in jumped.graph.views]
    assert all(one.published_at <= now for runs in published for one in runs)


@pytest.mark.parametrize("seed", range(3))
def test_histories_with_clocks_that_jump_end_like_straight_ones(
    tmp_path: Path, engine: DuckDBEngine, seed: int
) -> None:
    chance = random.Random(seed)
    straight, jumping = shop(tmp_path / "straight", engine), shop(tmp_path / "jumping", engine)
    now = NOON
    for step in range(5):
        now += chance.choice([7 * MINUTE, HOUR, 5 * HOUR, DAY])
        if chance.random() < 0.7:
            row = (chance.choice("abc"), now - chance.choice([MINUTE, HOUR, 8 * HOUR]), float(step))
            for project in (straight, jumping):
                append(project, f"step{step}", row)
        run(straight, now)
        run(jumping, now + chance.choice([-3 * DAY, -2 * HOUR, timedelta(0), 2 * HOUR, 3 * DAY]))
        refused = [one for one in run(jumping, now) if isinstance(one, Refused)]
        if refused:
            run(jumping, now, set_back=True)

        assert answers(jumping, now) == answers(straight, now), step


def test_rows_that_are_gone_from_their_source_stay_when_a_clock_is_put_right(
    tmp_path: Path, engine: DuckDBEngine
) -> None:
    project = shop(tmp_path / "shop", engine)
    append(project, "today", ("c", NOON - HOUR, 5.0))
    run(project, NOON + 5 * DAY)
    (project.data / "rows" / "today.parquet").unlink()
    now = NOON + HOUR

    done = run(project, now, set_back=True)

    assert {one.view: one.rows for one in done if isinstance(one, HeldRows)} == {"latest": 1, "windows": 1}
    [latest] = project.lookup(project.features("latest:x"), [{"k": "c"}], now).columns
    assert list(latest.values) == [5.0]
