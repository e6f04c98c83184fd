"""A windowed row's timestamps are the boundary at which its key's values last changed, whoever copied it and when."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from featurestore.adapters.duckdb_engine import DuckDBEngine
from featurestore.adapters.memory_online import MemoryOnlineStore
from featurestore.adapters.memory_state import MemoryMaterializations
from featurestore.errors import ConcurrentChange
from featurestore.operations.materialize import MaterializeRequest, materialize
from featurestore.operations.sides import OnlineSide
from featurestore.operations.stored_rows import StoredRow, stored_rows
from featurestore.ports.online_store import FillRequest, OnlineRow, OnlineTable
from featurestore.spec.aggregate import Aggregate
from featurestore.spec.dtypes import DType
from featurestore.spec.entity import Entity
from featurestore.spec.feature_view import FeatureView
from featurestore.spec.source import ParquetSource
from tests.property.project import SmallProject, open_small_project

MIDNIGHT = datetime(2013, 3, 10, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
UTC_MICROSECONDS = pa.timestamp("us", tz="UTC")
LANDED = ParquetSource("landed", path="landed.parquet", event_timestamp="at", known_at="known", removed_rows="follow")
PLANE = Entity("plane", join_keys={"tail": DType.STRING})
DELAYS = FeatureView(
    "delays", entity=PLANE, source=LANDED, every="1h",
    features=[
        Aggregate("delay", "sum", windows=["6h", "2d"]),
        Aggregate("*", "count", windows=["2d"], name="flights"),
    ],
)  # fmt: skip
EVER = FeatureView(
    "ever", source=LANDED, every="1h", features=[Aggregate("*", "count", windows=["lifetime"], name="flights")]
)

Event = tuple[str, datetime, datetime, float]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDBEngine]:
    engine = DuckDBEngine(memory_limit="500MB", threads=1, spill_folder=tmp_path_factory.mktemp("spill"))
    yield engine
    engine.close()


@pytest.fixture
def project(tmp_path: Path, engine: DuckDBEngine) -> SmallProject:
    return open_small_project(tmp_path, engine)


def landed(hours: float, tail: str = "N1", delay: float = 1.0, *, late: float = 0) -> Event:
    at = MIDNIGHT + hours * HOUR
    return tail, at, at + late * HOUR, delay


def fill(project: SmallProject, *events: Event, hours: float) -> None:
    """The source holds these events, and the tables what is known of them at this hour."""
    tails, moments, known, delays = zip(*events, strict=True)
    columns = {"tail": tails, "at": pa.array(moments, UTC_MICROSECONDS), "known": pa.array(known, UTC_MICROSECONDS)}
    project.write("landed.parquet", pa.table({**columns, "delay": delays}))
    project.apply(LANDED, DELAYS, EVER, now=MIDNIGHT + hours * HOUR)


def run(project: SmallProject, hours: float, *, view: str = "delays", full: bool = False) -> None:
    until = MIDNIGHT + hours * HOUR
    materialize(MaterializeRequest(project.graph.view(view), until, full), project.offline, project.online, now=until)


def row(project: SmallProject, tail: str | None = "N1", *, view: str = "delays") -> StoredRow:
    table, key = OnlineTable.of(project.graph.view(view)), () if tail is None else (tail,)
    return stored_rows(project.online.store, table, [key]).rows[0]


def changed(project: SmallProject, tail: str | None = "N1", *, view: str = "delays") -> timedelta:
    """How long after MIDNIGHT the row says that it last changed, by both of its timestamps."""
    found = row(project, tail, view=view)
    assert isinstance(found, OnlineRow)
    assert found.known_at == found.event_timestamp
    return found.event_timestamp - MIDNIGHT


def test_a_row_is_dated_by_the_boundary_at_which_an_event_came_into_its_windows(project: SmallProject) -> None:
    fill(project, landed(1.5), landed(2.5, late=2), hours=6)

    dates = []
    for hours in (2, 3, 4, 5, 6):
        run(project, hours)
        dates.append(changed(project))

    assert dates == [2 * HOUR, 2 * HOUR, 2 * HOUR, 5 * HOUR, 5 * HOUR]


def test_and_by_the_boundary_at_which_one_left_a_window(project: SmallProject) -> None:
    fill(project, landed(1.5), hours=60)

    dates = []
    for hours in (7, 8, 49, 50, 60):
        run(project, hours)
        dates.append(changed(project))

    assert dates == [2 * HOUR, 8 * HOUR, 8 * HOUR, 50 * HOUR, 50 * HOUR]


def test_an_event_that_becomes_known_when_it_has_left_the_windows_changes_nothing(project: SmallProject) -> None:
    fill(project, landed(1.5, late=70), landed(60.5), landed(1.6, "N2", late=5.4), hours=75)

    run(project, 66)
    run(project, 75, full=True)
    at_once = changed(project)
    run(replace(project, online=replace(project.online, store=MemoryOnlineStore())), 75)

    # N2's event never counted for 6 hours, so that the row changed when it became known, and then after two days.
    assert (at_once, changed(project), row(project, "N2")) == (67 * HOUR, 67 * HOUR, None)


@pytest.mark.parametrize("full", [False, True])
def test_what_left_days_ago_is_not_forgotten_when_every_key_is_copied(project: SmallProject, full: bool) -> None:
    fill(project, landed(23.5), landed(58.5), hours=105)
    run(project, 71)

    run(project, 105, full=full)

    assert changed(project) == 72 * HOUR  # 64 when 58.5 left the six hours, 72 when 23.5 left the two days


def test_a_lifetime_is_dated_by_what_came_last(project: SmallProject) -> None:
    fill(project, landed(1.5), landed(2.5, late=70), hours=200)

    run(project, 200, view="ever")

    assert changed(project, None, view="ever") == 73 * HOUR


def test_a_correction_arrives_where_no_timestamp_changes(project: SmallProject) -> None:
    fill(project, landed(1.5), hours=5)
    run(project, 5)
    fill(project, landed(1.5, delay=7.0), hours=5)

    run(project, 5)

    found = row(project)
    assert isinstance(found, OnlineRow)
    assert (changed(project), found.values[0]) == (2 * HOUR, 7.0)


def test_a_row_goes_back_in_time_where_its_newest_event_was_taken_back(project: SmallProject) -> None:
    fill(project, landed(1.5), landed(3.5), hours=5)
    run(project, 5)
    fill(project, landed(1.5), hours=5)

    run(project, 5)

    assert changed(project) == 2 * HOUR


def test_rows_that_bear_the_moment_of_a_run_are_all_copied_again(project: SmallProject) -> None:
    """As an earlier release left them: what is corrected must not be taken for older than what is there."""
    fill(project, landed(1.5), hours=20)
    run(project, 20)
    _date_by_the_run(project, MIDNIGHT + 20 * HOUR)

    run(project, 20)

    assert changed(project) == 8 * HOUR


def _date_by_the_run(project: SmallProject, moment: datetime) -> None:
    view, found = project.graph.view("delays"), row(project)
    assert isinstance(found, OnlineRow)
    table, store = OnlineTable.of(view), project.online.store
    columns = {"tail": ["N1"], "event_timestamp": [moment], "known_at": [moment]}
    values = {column.name: [value] for column, value in zip(table.values, found.values, strict=True)}
    store.write(store.begin(FillRequest(table, moment)), pa.table({**columns, **values}).to_reader())
    last = project.online.progress.last("memory", view.table)
    assert last is not None
    project.online.progress.record("memory", replace(last, is_dated_by_data=False), after=last)


class Meanwhile:
    """A port at one of whose calls, before it or after it, something else is done first: once."""

    def __init__(self, port: Any, point: tuple[str, str], action: Callable[[], None]) -> None:
        self._port, self._point, self._action = port, point, action
        self._is_done = False

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)

        def called(*arguments: Any, **options: Any) -> Any:
            self._reached(("before", name))
            result = found(*arguments, **options)
            self._reached(("after", name))
            return result

        return called

    def _reached(self, point: tuple[str, str]) -> None:
        if point == self._point and not self._is_done:
            self._is_done = True
            self._action()


POINTS = [
    (port, (when, call))
    for port, call in (
        ("store", "begin"),
        ("store", "write"),
        ("store", "finish"),
        ("publications", "record"),
        ("progress", "record"),
    )
    for when in ("before", "after")
]
EVENTS = [landed(1.5), landed(4.5, "N2"), landed(9.5, "N3"), landed(9.5), landed(20.5, "N4", late=3)]


@pytest.mark.parametrize(("slow", "quick"), [(20, 26), (26, 20)])
@pytest.mark.parametrize(("port", "point"), POINTS)
def test_two_runs_at_once_leave_the_rows_of_one(
    project: SmallProject, port: str, point: tuple[str, str], slow: int, quick: int
) -> None:
    """One stops at each point while the other does all of its work; whoever loses its turn is told to come again."""
    fill(project, *EVENTS, hours=26)
    run(project, 12)
    interrupted = Meanwhile(getattr(project.online, port), point, lambda: run(project, quick))
    stopping = replace(project, online=_with(project.online, port, interrupted))

    with suppress(ConcurrentChange):
        run(stopping, slow)
    run(project, 26)

    assert interrupted._is_done
    assert rows(project) == rows(_alone(project))


@pytest.mark.parametrize(("port", "point"), POINTS)
def test_two_runs_at_once_leave_a_correction_in_its_place(
    project: SmallProject, port: str, point: tuple[str, str]
) -> None:
    """The one that stops has the rows of before, of the same times."""
    fill(project, *EVENTS, hours=26)
    run(project, 12)

    def correct() -> None:
        fill(project, *EVENTS[:-2], landed(9.5, delay=7.0), EVENTS[-1], hours=26)
        run(project, 26)

    interrupted = Meanwhile(getattr(project.online, port), point, correct)
    stopping = replace(project, online=_with(project.online, port, interrupted))

    run(stopping, 26)
    run(project, 26)

    assert interrupted._is_done
    assert rows(project) == rows(_alone(project))


def _with(online: OnlineSide, port: str, other: Meanwhile) -> OnlineSide:
    return replace(online, **{port: other})  # type: ignore[arg-type]  # one of its ports


def rows(project: SmallProject) -> list[StoredRow]:
    table = OnlineTable.of(project.graph.view("delays"))
    return list(stored_rows(project.online.store, table, [(f"N{number}",) for number in range(1, 5)]).rows)


def _alone(project: SmallProject) -> SmallProject:
    """The same tables in a store of its own, filled by one run."""
    online: OnlineSide = replace(project.online, store=MemoryOnlineStore(), progress=MemoryMaterializations())
    alone = replace(project, online=online)
    run(alone, 26)
    return alone
