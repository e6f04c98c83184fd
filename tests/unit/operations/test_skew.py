"""Skew: each logged value is compared with the point-in-time answer of the very feature that was served."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from featurestore.adapters.duckdb_engine import DuckDBEngine
from featurestore.adapters.logged_rows import logged_rows
from featurestore.adapters.memory_serving_log import MemoryLogShelf
from featurestore.errors import InvalidRequest, NothingLogged
from featurestore.graph.resolved import FeatureSet
from featurestore.operations.answered_rows import OnlineAnswer
from featurestore.operations.fill_views import FillRequest, fill_views
from featurestore.operations.lookup import Asked, lookup, prepare
from featurestore.operations.skew import FeatureSkew, SkewReport, SkewRequest, skew
from featurestore.ports.serving_log import LogQuery, ServedAnswer
from featurestore.spec.aggregate import Aggregate, Feature
from featurestore.spec.dtypes import DType
from featurestore.spec.entity import Entity
from featurestore.spec.feature_service import FeatureService
from featurestore.spec.feature_view import FeatureView
from featurestore.spec.on_demand import OnDemandFeature
from featurestore.spec.source import ParquetSource
from tests.property.project import SmallProject, open_small_project

NOON = datetime(2013, 3, 10, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
FLIGHTS = pa.table(
    {
        "tail": ["N1", "N1", "N2", "N3"],
        "landed": pa.array([NOON - 3 * HOUR, NOON - HOUR, NOON - HOUR, NOON - 5 * HOUR], pa.timestamp("us", "UTC")),
        "delay": [7.0, 12.5, None, 3.0],
    }
)
ROWS: list[dict[str, object]] = [
    {"tail": tail, "next_tail": "N2", "minutes": 20.0} for tail in ("N1", "N2", "N3", "N9", None)
]
REFERENCES = ["last:delay", "windows:landings_2h", "windows:delay_max_2h", "next_last:delay", "slack", "half"]


@dataclass
class Airport:
    """A project that serves, and its log."""

    project: SmallProject
    shelf: MemoryLogShelf = field(default_factory=MemoryLogShelf)

    def declare(self, *, now: datetime, delay: str = "delay", ttl: str = "2h") -> None:
        source = ParquetSource("flights", path="flights.parquet", event_timestamp="landed")
        plane = Entity("plane", join_keys={"tail": DType.STRING})
        last = FeatureView("last", entity=plane, source=source, features=[Feature("delay", delay)], ttl=ttl)
        windows = FeatureView(
            "windows", entity=plane, source=source, every="1h",
            features=[
                Aggregate("*", "count", windows=["2h"], name="landings"),
                Aggregate("delay", "max", windows=["2h"]),
            ],
        )  # fmt: skip
        slack = OnDemandFeature("slack", expression="minutes - last:delay", inputs={"minutes": DType.FLOAT64})
        half = OnDemandFeature("half", expression="minutes / 2", inputs={"minutes": DType.FLOAT64})
        service = FeatureService("all", features=[last, windows, last.role("next", tail="next_tail"), slack, half])
        self.project.apply(source, last, windows, slack, half, service, now=now)

    def fill(self, until: datetime) -> None:
        """What `knownat backfill` does at that moment."""
        views = self.project.graph.views
        list(fill_views(FillRequest(views, None, None, False), self.project.offline, now=until, chunk_days=31))

    def serve(self, at: datetime, changes: Mapping[str, object] | None = None, model: str | None = None) -> None:
        """Answer the rows, or something else in the first row of some columns, and log that."""
        prepared = prepare(self.project.service("all"), self.project.offline.engine)
        answer = lookup(prepared, ROWS, Asked(at), self.project.online.store)
        self._log(prepared.features, _changed(answer, changes or {}), model)

    def _log(self, features: FeatureSet, answer: OnlineAnswer, model: str | None) -> None:
        service = None if model else "all"
        served = ServedAnswer(features, service, model, answer.at, answer.rows, answer.inputs, answer)
        self.shelf.append(features, logged_rows(features, [served]))

    def skew(self, query: LogQuery | None = None, examples: int = 5) -> SkewReport:
        request = SkewRequest(query or LogQuery(), examples)
        return skew(request, self.shelf, self.project.offline, self.project.graph)


def _changed(answer: OnlineAnswer, changes: Mapping[str, object]) -> OnlineAnswer:
    values = [
        (changes[output.name], *column[1:]) if output.name in changes else column
        for output, column in zip(answer.outputs, answer.values, strict=True)
    ]
    return replace(answer, values=values)


@pytest.fixture
def airport(tmp_path: Path) -> Iterator[Airport]:
    """Three airplanes at noon, online as of then; offline is filled up to an hour later."""
    engine = DuckDBEngine(memory_limit="500MB", threads=1, spill_folder=tmp_path / "spill")
    airport = Airport(open_small_project(tmp_path, engine))
    airport.project.write("flights.parquet", FLIGHTS)
    airport.declare(now=NOON)
    airport.project.materialize(NOON)
    yield airport
    engine.close()


def by_reference(report: SkewReport) -> dict[str, FeatureSkew]:
    return {one.reference: one for one in report.features}


def counts(report: SkewReport) -> dict[str, tuple[int, int, int, int]]:
    return {one.reference: (one.compared, one.differing, one.ahead, one.gone) for one in report.features}


def test_what_was_served_as_it_was_known_does_not_differ(airport: Airport) -> None:
    airport.serve(NOON)
    airport.serve(NOON + HOUR / 2)
    airport.fill(NOON + 2 * HOUR)

    report = airport.skew()

    assert counts(report) == dict.fromkeys(REFERENCES, (10, 0, 0, 0))
    assert (report.rows, report.first, report.last) == (10, NOON, NOON + HOUR / 2)
    assert all(one.rate == 0.0 and one.applied == one.fingerprint for one in report.features)


def test_a_value_that_was_not_the_point_in_time_answer_is_named(airport: Airport) -> None:
    airport.serve(NOON, {"last__delay": 12.0})
    airport.fill(NOON + HOUR)

    report = airport.skew()

    assert {name: count for name, count in counts(report).items() if count[1]} == {"last:delay": (5, 1, 0, 0)}
    delay = by_reference(report)["last:delay"]
    [example] = delay.examples
    assert (delay.rate, example.logged, example.expected, example.status) == (0.2, 12.0, 12.5, "present")
    assert ([(column.name, value) for column, value in example.key], example.requested_at) == ([("tail", "N1")], NOON)


def test_a_role_is_named_by_its_own_key_and_an_on_demand_feature_by_all_it_reads(airport: Airport) -> None:
    airport.serve(NOON, {"next_last__delay": 1.0, "slack": 1.0, "half": 1.0})
    airport.fill(NOON + HOUR)

    found = by_reference(airport.skew())

    keys = {name: [column.name for column, _ in found[name].examples[0].key] for name in REFERENCES[3:]}
    assert keys == {"next_last:delay": ["next_tail"], "slack": ["tail", "minutes"], "half": ["minutes"]}
    assert [found[name].differing for name in REFERENCES] == [0, 0, 0, 1, 1, 1]


def test_a_row_that_came_late_differs_from_what_was_served(airport: Airport) -> None:
    airport.serve(NOON + HOUR / 4)
    late = pa.table({"tail": ["N1"], "landed": pa.array([NOON], FLIGHTS.schema.field("landed").type), "delay": [99.0]})
    airport.project.write("flights.parquet", pa.concat_tables([FLIGHTS, late]))
    airport.fill(NOON + 2 * HOUR)

    found = counts(airport.skew())

    assert found["last:delay"] == (5, 1, 0, 0)
    assert found["slack"] == (5, 1, 0, 0)
    assert found["windows:landings_2h"] == (5, 0, 0, 0)  # it counts from the next boundary on


def test_what_is_later_than_what_is_filled_is_counted_and_not_compared(airport: Airport) -> None:
    airport.serve(NOON)
    airport.serve(NOON + 2 * HOUR)

    found = counts(airport.skew())

    assert found["last:delay"] == (5, 0, 5, 0)
    assert found["windows:landings_2h"] == (5, 0, 5, 0)  # what happens at noon counts from one o'clock on
    assert found["half"] == (10, 0, 0, 0)  # made of the request alone


def test_a_window_is_final_until_just_before_its_next_boundary(airport: Airport) -> None:
    airport.serve(NOON + HOUR - timedelta(microseconds=1))

    assert counts(airport.skew())["windows:landings_2h"] == (5, 0, 0, 0)


def test_a_definition_that_has_changed_is_compared_with_what_it_was(airport: Airport) -> None:
    airport.serve(NOON)
    airport.fill(NOON + HOUR)
    airport.declare(now=NOON + HOUR, delay="delay * 2")

    found = by_reference(airport.skew())

    assert (found["last:delay"].compared, found["last:delay"].differing) == (5, 0)
    assert found["last:delay"].applied not in (None, found["last:delay"].fingerprint)
    assert found["windows:landings_2h"].applied == found["windows:landings_2h"].fingerprint


def test_answers_before_and_after_a_change_are_told_apart(airport: Airport) -> None:
    airport.serve(NOON)
    airport.fill(NOON + HOUR)
    airport.declare(now=NOON + HOUR, delay="delay * 2")
    airport.project.materialize(NOON + HOUR)
    airport.serve(NOON + HOUR, {"last__delay": 25.5})
    airport.fill(NOON + 2 * HOUR)

    told = [(one.compared, one.differing) for one in airport.skew().features if one.reference == "last:delay"]

    assert sorted(told) == [(5, 0), (5, 1)]


def test_a_table_that_is_gone_is_said_to_be_and_the_others_are_compared(airport: Airport) -> None:
    airport.serve(NOON)
    airport.fill(NOON + HOUR)
    airport.project.offline.coverage.forget(airport.project.graph.view("last").table)

    report = airport.skew()

    gone = {"last:delay", "next_last:delay", "slack"}
    assert counts(report) == {name: (0, 0, 0, 5) if name in gone else (5, 0, 0, 0) for name in REFERENCES}
    assert "nothing is filled of the table last@" in by_reference(report)["slack"].why_gone


def test_where_every_table_is_gone_nothing_is_compared(airport: Airport) -> None:
    airport.serve(NOON)
    for view in airport.project.graph.views:
        airport.project.offline.coverage.forget(view.table)

    found = counts(airport.skew())

    assert found.pop("half") == (5, 0, 0, 0)
    assert set(found.values()) == {(0, 0, 0, 5)}


def test_a_feature_that_is_no_longer_declared_has_no_fingerprint_now(airport: Airport, tmp_path: Path) -> None:
    airport.serve(NOON)
    airport.fill(NOON + HOUR)
    source = ParquetSource("flights", path="flights.parquet", event_timestamp="landed")
    plane = Entity("plane", join_keys={"tail": DType.STRING})
    airport.project.apply(source, FeatureView("other", entity=plane, source=source, features=["delay"]), now=NOON)
    shutil.rmtree(tmp_path / "data")  # nothing of the sources is needed

    report = airport.skew()

    assert {one.applied for one in report.features} == {None}
    assert counts(report)["last:delay"] == (5, 0, 0, 0)


def test_the_log_is_asked_by_service_model_and_time(airport: Airport) -> None:
    airport.serve(NOON, {"last__delay": 1.0})
    airport.serve(NOON + HOUR, {"last__delay": 2.0}, model="late@1")
    airport.fill(NOON + 3 * HOUR)
    queries = [LogQuery(service="all"), LogQuery(model="late@1"), LogQuery(since=NOON + HOUR)]

    found = [by_reference(airport.skew(query))["last:delay"].examples for query in queries]

    assert [[example.logged for example in examples] for examples in found] == [[1.0], [2.0], [2.0]]


def test_as_many_examples_come_as_are_asked_for(airport: Airport) -> None:
    for _ in range(4):
        airport.serve(NOON, {"last__delay": 1.0})
    airport.fill(NOON + HOUR)

    delay = by_reference(airport.skew(examples=2))["last:delay"]

    assert (delay.differing, len(delay.examples)) == (4, 2)


def test_a_large_log_is_compared_in_pieces(airport: Airport) -> None:
    for _ in range(7):
        airport.serve(NOON, {"last__delay": 1.0})
    airport.fill(NOON + HOUR)

    request = SkewRequest(LogQuery(), rows_at_once=12)
    report = skew(request, airport.shelf, airport.project.offline, airport.project.graph)

    assert counts(report)["last:delay"] == (35, 7, 0, 0)


@pytest.mark.parametrize(
    ("query", "told"),
    [
        (LogQuery(), "No answer is logged. "),
        (LogQuery(service="nosuch"), "No answer is logged for service 'nosuch'. "),
        (LogQuery(model="late@7", since=NOON), "No answer is logged for model 'late@7' since 2013-03-10T12:00"),
    ],
)
def test_where_nothing_is_logged_nobody_says_that_all_is_well(airport: Airport, query: LogQuery, told: str) -> None:
    if query.service:
        airport.serve(NOON)

    with pytest.raises(NothingLogged, match="sample") as error:
        airport.skew(query)

    assert error.value.message.startswith(told)


def test_a_log_is_asked_by_one_of_service_and_model() -> None:
    with pytest.raises(InvalidRequest, match="got both"):
        LogQuery(service="all", model="late@1")
