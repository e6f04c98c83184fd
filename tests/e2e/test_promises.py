"""What was known at a moment is what was answered at it: late rows, rows on the hour, old models, two processes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from featurestore.errors import ConcurrentChange
from featurestore.intervals import Interval
from featurestore.operations.fill_views import FillRequest, fill_views
from featurestore.ports.engine import DataFile
from featurestore.ports.offline_store import OfflineStore
from featurestore.settings import read_settings
from featurestore.wiring import FeatureStore
from registry.wiring import WiredProject, wire_project
from sdk import Project

NOON = datetime(2024, 3, 10, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
ROWS = pa.schema(
    [("k", pa.string()), *((name, pa.timestamp("us", "UTC")) for name in ("happened", "known")), ("v", pa.float64())]
)
HEAD = """\
import featurestore as fs

thing = fs.Entity("thing", join_keys={"k": fs.String})
"""
WINDOWED = """
source = fs.ParquetSource("rows", path="*.parquet", event_timestamp="happened", known_at="known")
view = fs.FeatureView("view", entity=thing, source=source, every="1h", features=[
    fs.Aggregate("v", fs.sum, windows=["7d"], name="total"),
])
"""
DELAYED = """
source = fs.ParquetSource("rows", path="*.parquet", event_timestamp="happened", delay="1h")
view = fs.FeatureView("view", entity=thing, source=source, features=["v"])
"""


@dataclass(frozen=True)
class Folder:
    root: Path

    def define(self, text: str) -> None:
        (self.root / "definitions").mkdir(exist_ok=True)
        (self.root / "definitions" / "all.py").write_text(HEAD + text)

    def add(self, name: str, *, happened: datetime, known: datetime, value: float, key: str = "a") -> None:
        self._write(name, [{"k": key, "happened": happened, "known": known, "v": value}])

    def add_all(self, name: str, moments: list[datetime]) -> None:
        """A file with a row for each moment, known at once, with the day of the month as its value."""
        self._write(name, [{"k": "a", "happened": at, "known": at, "v": float(at.day)} for at in moments])

    def _write(self, name: str, rows: list[dict[str, object]]) -> None:
        (self.root / "data").mkdir(exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows, schema=ROWS), self.root / "data" / f"{name}.parquet")

    @contextmanager
    def at(self, now: datetime) -> Iterator[Project]:
        with Project(self.wired(now)) as project:
            yield project

    def wired(self, now: datetime) -> WiredProject:
        return wire_project(read_settings(self.root, {"clock": now}))

    def brought_up_to_date(self, now: datetime) -> None:
        with self.at(now) as project:
            list(project.backfill())
            list(project.materialize())

    def online(self, now: datetime, *, model: str | None = None) -> object:
        with self.at(now) as project:
            features = None if model else ["view:*"]
            [column] = project.client.online(entities=[{"k": "a"}], features=features, model=model).details
            return column.values[0]

    def trained(self, now: datetime, moment: datetime) -> object:
        spine = pa.table({"k": ["a"], "event_timestamp": pa.array([moment], pa.timestamp("us", "UTC"))})
        with self.at(now) as project:
            return project.client.training_set(spine, features=["view:*"]).to_arrow().column(2)[0].as_py()


class _Overtaken:
    """Tables in which another process commits while this one is writing its files."""

    def __init__(self, tables: OfflineStore, meanwhile: Callable[[], None]) -> None:
        self._tables = tables
        self._meanwhile = meanwhile
        self.create, self.exists, self.snapshot = tables.create, tables.exists, tables.snapshot
        self.staging_folder, self.amend, self.turn = tables.staging_folder, tables.amend, tables.turn

    def replace(self, table: str, days: Interval, files: tuple[DataFile, ...], *, based_on: int) -> int:
        self._meanwhile()
        return self._tables.replace(table, days, files, based_on=based_on)


def _fill(store: FeatureStore, tables: OfflineStore) -> None:
    current = store.project.catalog.current()
    assert current is not None
    offline, now = replace(store.offline, tables=tables), store.clock()
    list(fill_views(FillRequest(current.graph.views), offline, now=now))


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    (tmp_path / "knownat.toml").write_text('name = "promises"\n[engine]\nthreads = 1\n')
    return Folder(tmp_path)


def test_a_late_row_reaches_days_that_were_filled_before_it_was_known(folder: Folder) -> None:
    folder.define(WINDOWED)
    folder.add("first", happened=NOON - 30 * HOUR, known=NOON - 30 * HOUR, value=1.0)
    with folder.at(NOON) as project:
        list(project.apply())
    folder.add("late", happened=NOON - 29 * HOUR, known=NOON + HOUR, value=10.0)
    folder.brought_up_to_date(NOON + 2 * HOUR)

    assert folder.online(NOON + 2 * HOUR) == 11.0
    assert folder.trained(NOON + 9 * HOUR, NOON + 2 * HOUR) == 11.0
    assert folder.trained(NOON + 9 * HOUR, NOON) == 1.0


def test_a_day_of_late_rows_is_filled_once(folder: Folder) -> None:
    folder.define(WINDOWED)
    folder.add("first", happened=NOON - 30 * HOUR, known=NOON - 30 * HOUR, value=1.0)
    with folder.at(NOON) as project:
        list(project.apply())
    folder.add("late", happened=NOON - 29 * HOUR, known=NOON, value=10.0)
    folder.brought_up_to_date(NOON + 2 * HOUR)

    with folder.at(NOON + 2 * HOUR) as project:
        assert project.plan().nothing_to_do


def test_a_row_of_the_full_hour_is_online_at_the_moment_it_is_known(folder: Folder) -> None:
    folder.define(DELAYED)
    folder.add("first", happened=NOON - 5 * HOUR, known=NOON, value=1.0)
    folder.add("second", happened=NOON - HOUR, known=NOON, value=2.0)
    with folder.at(NOON) as project:
        list(project.apply())
        list(project.materialize())

    assert folder.online(NOON) == 2.0
    assert folder.trained(NOON, NOON) == 2.0


def test_a_model_is_served_what_becomes_known_after_its_view_has_changed(folder: Folder) -> None:
    folder.define(WINDOWED)
    folder.add("first", happened=NOON - HOUR, known=NOON - HOUR, value=1.0)
    with folder.at(NOON) as project:
        list(project.apply())
        spine = pa.table({"k": ["a"], "event_timestamp": pa.array([NOON], pa.timestamp("us", "UTC"))})
        dataset = project.client.training_set(spine, features=["view:total_7d"]).id
        project.client.register_model("model", b"bytes", dataset=dataset)
    folder.define(WINDOWED.replace('"v"', '"v * 2"'))
    folder.add("second", happened=NOON + HOUR, known=NOON + HOUR, value=10.0)
    with folder.at(NOON + 3 * HOUR) as project:
        list(project.apply())
    folder.brought_up_to_date(NOON + 3 * HOUR)

    assert folder.online(NOON + 3 * HOUR, model="model@1") == 11.0
    assert folder.online(NOON + 3 * HOUR) == 22.0


def test_a_slower_process_does_not_take_back_what_another_has_filled(folder: Folder) -> None:
    folder.define(DELAYED)
    folder.add("first", happened=NOON - 30 * HOUR, known=NOON, value=1.0)
    with folder.at(NOON) as project:
        list(project.apply())
    folder.add("second", happened=NOON + 0.5 * HOUR, known=NOON, value=2.0)
    folder.add("third", happened=NOON + 2.5 * HOUR, known=NOON, value=3.0)
    slow = folder.wired(NOON + 2 * HOUR).features
    overtaken = _Overtaken(slow.offline.tables, lambda: folder.brought_up_to_date(NOON + 5 * HOUR))

    with pytest.raises(ConcurrentChange):
        _fill(slow, overtaken)
    slow.close()
    assert folder.trained(NOON + 5 * HOUR, NOON + 5 * HOUR) == 3.0


def test_tables_that_were_deleted_are_filled_again_by_apply(folder: Folder) -> None:
    folder.define(DELAYED)
    folder.add("first", happened=NOON - 30 * HOUR, known=NOON, value=1.0)
    with folder.at(NOON) as project:
        list(project.apply())
    shutil.rmtree(folder.root / ".knownat" / "tables")
    with folder.at(NOON) as project:
        list(project.apply())

    assert folder.trained(NOON, NOON) == 1.0


def test_a_view_whose_sql_moves_its_rows_back_in_time_is_filled_from_its_first_row_on(folder: Folder) -> None:
    folder.define("""
source = fs.ParquetSource("rows", path="*.parquet", event_timestamp="known")
view = fs.FeatureView("view", entity=thing, sql="SELECT k, happened AS event_timestamp, v FROM rows")
""")
    folder.add("first", happened=NOON - 90 * HOUR, known=NOON - HOUR, value=1.0)
    with folder.at(NOON) as project:
        list(project.apply())

    assert folder.trained(NOON, NOON) == 1.0


def test_a_service_that_answers_goes_on_answering_when_it_is_given_another_view(folder: Folder) -> None:
    service = "service = fs.FeatureService('service', features=[view])\n"
    folder.define(DELAYED + service)
    folder.add("first", happened=NOON - 30 * HOUR, known=NOON, value=1.0)
    with folder.at(NOON) as project:
        list(project.apply())
        list(project.materialize())
    other = "other = fs.FeatureView('other', entity=thing, source=source, features=['known', 'v'])\n"
    folder.define(DELAYED + other + service.replace("[view]", "[view, other['v']]"))
    with folder.at(NOON) as project:
        list(project.apply())

        answer = project.client.online(service="service", entities=[{"k": "a"}])

    assert answer.to_dicts() == [{"view__v": 1.0, "other__v": 1.0}]
