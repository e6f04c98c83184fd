"""Lookups: a value, a status and an event timestamp for every row that is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from featurestore.adapters.duckdb_engine import DuckDBEngine
from featurestore.errors import EntityRowsError, LookupInThePast, NotMaterialized
from featurestore.operations.answered_rows import OnlineAnswer, Status
from featurestore.operations.lookup import Asked, lookup, prepare
from featurestore.ports.online_store import Filled, OnlineReader, TableRead, TableRows
from featurestore.spec.aggregate import Aggregate
from featurestore.spec.dtypes import DType
from featurestore.spec.entity import Entity
from featurestore.spec.feature_service import FeatureService
from featurestore.spec.feature_view import FeatureView
from featurestore.spec.on_demand import OnDemandFeature
from featurestore.spec.source import ParquetSource
from tests.property.project import SmallProject, open_small_project

NOON = datetime(2013, 3, 10, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
MOMENT = pa.timestamp("us", tz="UTC")
FLIGHTS = pa.table(
    {
        "tail": ["N1", "N1", "N2", "N3"],
        "landed": pa.array([NOON - 3 * HOUR, NOON - HOUR, NOON - HOUR, NOON - 5 * HOUR], MOMENT),
        "delay": [7.0, 12.5, None, 3.0],
    }
)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[SmallProject]:
    """Three airplanes, applied at noon and not materialized."""
    engine = DuckDBEngine(memory_limit="500MB", threads=1, spill_folder=tmp_path / "spill")
    project = open_small_project(tmp_path, engine)
    project.write("flights.parquet", FLIGHTS)
    source = ParquetSource("flights", path="flights.parquet", event_timestamp="landed")
    plane = Entity("plane", join_keys={"tail": DType.STRING})
    last = FeatureView("last", entity=plane, source=source, features=["delay"], ttl="2h")
    windows = FeatureView(
        "windows", entity=plane, source=source, every="1h",
        features=[Aggregate("*", "count", windows=["2h"], name="landings"), Aggregate("delay", "max", windows=["2h"])],
    )  # fmt: skip
    slack = OnDemandFeature("slack", expression="minutes - last:delay", inputs={"minutes": DType.FLOAT64})
    service = FeatureService("all", features=[last, windows, last.role("next", tail="next_tail"), slack])
    project.apply(source, last, windows, service, now=NOON)
    yield project
    engine.close()


def ask(project: SmallProject, *tails: str | None, at: datetime = NOON, replayed: bool = False) -> OnlineAnswer:
    """The service's features of these airplanes, N2 being the next one of each."""
    rows: list[dict[str, object]] = [{"tail": tail, "next_tail": "N2", "minutes": 20.0} for tail in tails]
    prepared = prepare(project.service("all"), project.offline.engine)
    return lookup(prepared, rows, Asked(at, replayed), project.online.store)


def column(answer: OnlineAnswer, name: str) -> list[tuple[object, Status]]:
    [found] = [found for found in answer.columns if found.column.name == name]
    return list(zip(found.values, found.statuses, strict=True))


def test_each_value_says_why_it_is_what_it_is(project: SmallProject) -> None:
    project.materialize(NOON)

    answer = ask(project, "N1", "N2", "N3", "N9", None)

    assert column(answer, "last__delay") == [
        (12.5, Status.PRESENT),
        (None, Status.NULL),
        (None, Status.EXPIRED),
        (None, Status.MISSING),
        (None, Status.MISSING),
    ]


def test_a_window_without_events_is_empty_for_keys_seen_before_or_not(project: SmallProject) -> None:
    project.materialize(NOON)

    answer = ask(project, "N1", "N3", "N9", None)

    assert column(answer, "windows__landings_2h") == [
        (1, Status.PRESENT), (0, Status.MISSING), (0, Status.MISSING), (0, Status.MISSING),
    ]  # fmt: skip
    assert [value for value, _ in column(answer, "windows__delay_max_2h")] == [12.5, None, None, None]


def test_roles_and_on_demand_features_are_answered_from_the_same_rows(project: SmallProject) -> None:
    project.materialize(NOON)

    answer = ask(project, "N1", "N2")

    assert column(answer, "next_last__delay") == [(None, Status.NULL), (None, Status.NULL)]
    assert column(answer, "slack") == [(7.5, Status.PRESENT), (None, Status.NULL)]


def test_a_value_is_as_old_as_its_row_and_a_window_as_its_boundary(project: SmallProject) -> None:
    project.materialize(NOON)

    answer = ask(project, "N1", "N9")

    events = {found.column.name: found.event_timestamps for found in answer.columns}
    assert events["last__delay"] == (NOON - HOUR, None)
    assert events["windows__landings_2h"] == (NOON, None)
    assert events["slack"] == (None, None)


def test_a_value_expires_exactly_when_it_is_as_old_as_its_ttl(project: SmallProject) -> None:
    project.materialize(NOON)

    just_before = ask(project, "N1", at=NOON + HOUR - timedelta(microseconds=1))
    then = ask(project, "N1", at=NOON + HOUR)

    assert column(just_before, "last__delay") == [(12.5, Status.PRESENT)]
    assert column(then, "last__delay") == [(None, Status.EXPIRED)]
    assert column(then, "slack") == [(None, Status.NULL)]


def test_the_same_key_may_be_asked_for_many_times_and_none_at_all(project: SmallProject) -> None:
    project.materialize(NOON)

    assert column(ask(project, "N1", "N9", "N1"), "last__delay") == [
        (12.5, Status.PRESENT), (None, Status.MISSING), (12.5, Status.PRESENT),
    ]  # fmt: skip
    assert [found.values for found in ask(project).columns] == [()] * 5


def test_a_view_that_is_not_online_is_an_error_and_not_a_missing_value(project: SmallProject) -> None:
    with pytest.raises(NotMaterialized, match=r"View 'last' .* is not in the online store"):
        ask(project, "N1")


def test_a_replay_of_a_moment_that_the_store_has_left_behind_is_refused(project: SmallProject) -> None:
    project.materialize(NOON)

    with pytest.raises(LookupInThePast, match=r"View 'last' is online as of .*, after 2013-03-10T11:00Z"):
        ask(project, "N1", at=NOON - HOUR, replayed=True)


def test_a_replay_of_the_moment_that_the_store_has_reached_is_answered(project: SmallProject) -> None:
    project.materialize(NOON)

    assert column(ask(project, "N1", replayed=True), "last__delay") == [(12.5, Status.PRESENT)]


class LettingGo:
    """The project's store, as one that lets rows go a day after they have expired."""

    def __init__(self, store: OnlineReader) -> None:
        self._store = store
        self.sample_keys, self.all_keys = store.sample_keys, store.all_keys

    def read(self, reads: Sequence[TableRead]) -> list[TableRows]:
        return [
            found if found.filled is None else replace(found, filled=Filled(found.filled.to, keeps=26 * HOUR))
            for found in self._store.read(reads)
        ]


def test_a_replay_is_refused_where_a_row_that_counted_then_may_be_gone(project: SmallProject) -> None:
    project.materialize(NOON)
    prepared = prepare(project.features("last:delay"), project.offline.engine)
    store = LettingGo(project.online.store)

    def replayed(tail: str, later: timedelta) -> list[tuple[object, Status]]:
        asked = Asked(NOON, replayed=True, now=NOON + later)
        return column(lookup(prepared, [{"tail": tail}], asked, store), "last__delay")

    assert replayed("N9", 24 * HOUR) == [(None, Status.MISSING)]
    assert replayed("N1", 30 * HOUR) == [(12.5, Status.PRESENT)]
    with pytest.raises(LookupInThePast, match="lets rows of view 'last' go 26h after they happened"):
        replayed("N9", 30 * HOUR)


def test_a_row_without_a_request_input_is_refused(project: SmallProject) -> None:
    with pytest.raises(EntityRowsError, match="Row 0 has no 'minutes'"):
        project.lookup(project.service("all"), [{"tail": "N1", "next_tail": "N2"}], NOON)
