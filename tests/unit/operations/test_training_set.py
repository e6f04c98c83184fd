"""Training sets keep what they are given, say what they are made of, and come back to the byte."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from featurestore.adapters.duckdb_engine import DuckDBEngine
from featurestore.errors import DatasetGone, NotApplied
from featurestore.operations.audit import AuditedStore, audit
from featurestore.operations.audit_report import AuditedView
from featurestore.operations.rebuild import rebuild
from featurestore.operations.training_set import TrainingSetRequest, training_set
from featurestore.ports.state import Manifest
from featurestore.spec.dtypes import DType
from featurestore.spec.entity import Entity
from featurestore.spec.feature_view import FeatureView
from featurestore.spec.source import ParquetSource
from tests.property.project import SmallProject, open_small_project

NOON = datetime(2013, 3, 10, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MOMENT = pa.timestamp("us", tz="UTC")
NAIVE = pa.timestamp("us")
SOURCE = ParquetSource("flights", path="flights/*.parquet", event_timestamp="landed")
PLANE = Entity("plane", join_keys={"tail": DType.STRING})
LAST = FeatureView("last", entity=PLANE, source=SOURCE, features=["delay", "due"])
SPINE = pa.table({"at": pa.array([NOON, NOON - 2 * HOUR, NOON], MOMENT), "tail": ["N1", "N1", "N9"]})


def flights(*landings: tuple[str, datetime, float]) -> pa.Table:
    tails, landed, delays = zip(*landings, strict=True)
    due = [moment.replace(tzinfo=None) for moment in landed]
    return pa.table({"tail": tails, "landed": pa.array(landed, MOMENT), "delay": delays, "due": pa.array(due, NAIVE)})


@pytest.fixture
def project(tmp_path: Path) -> Iterator[SmallProject]:
    engine = DuckDBEngine(memory_limit="500MB", threads=1, spill_folder=tmp_path / "spill")
    project = open_small_project(tmp_path, engine)
    project.write("flights/1.parquet", flights(("N1", NOON - 3 * HOUR, 7.0), ("N1", NOON - HOUR, 12.5)))
    yield project
    engine.close()


@pytest.fixture
def applied(project: SmallProject) -> SmallProject:
    project.apply(SOURCE, LAST, now=NOON)
    return project


def pull(project: SmallProject, spine: pa.Table = SPINE, *, keep_spine: bool = True) -> Manifest:
    request = TrainingSetRequest(
        spine, project.features("last:delay", "last:due"), timestamp="at", keep_spine=keep_spine
    )
    return training_set(request, project.offline, project.archive, now=NOON)


def test_rows_come_back_in_their_order_with_what_was_known(applied: SmallProject) -> None:
    rows = applied.result(pull(applied))

    assert rows["tail"].to_pylist() == ["N1", "N1", "N9"]
    assert rows["last__delay"].to_pylist() == [12.5, 7.0, None]


def test_a_timestamp_without_a_zone_is_read_as_utc_on_both_sides(applied: SmallProject) -> None:
    applied.materialize(NOON)

    rows = applied.result(pull(applied))

    assert rows["last__due"].to_pylist()[0] == NOON - HOUR
    assert rows.schema.field("last__due").type == MOMENT
    store = AuditedStore(applied.offline, applied.online, applied.catalog, NOON)
    assert audit(AuditedView.whole(applied.graph.view("last")), 10, store).equal


def test_the_same_pull_is_done_once(applied: SmallProject) -> None:
    first, again = pull(applied), pull(applied)
    other = pull(applied, SPINE.slice(0, 2))

    assert again == first
    assert other.id != first.id
    assert len(applied.archive.datasets.all()) == 2


@pytest.mark.parametrize(
    "extra",
    [
        pa.array([1, 2, 3], pa.timestamp("s")),
        pa.array([1, 2, 3], pa.time32("s")),
        pa.array([[1], [2, 3], None]),
        pa.array([[1, 2], [3, 4], None], pa.list_(pa.float32(), 2)),
        pa.array(["a", "b", "a"]).dictionary_encode(),
        pa.array(["a", None, "b"], pa.large_string()),
        pa.array([{"a": 1}, None, {"a": None}]),
        pa.nulls(3),
    ],
    ids=lambda extra: str(extra.type)[:20],
)
def test_a_dataset_comes_back_to_the_byte_whatever_columns_pass_through(applied: SmallProject, extra: pa.Array) -> None:
    manifest = pull(applied, SPINE.append_column("extra", extra))

    assert rebuild(manifest.id, applied.offline, applied.archive).result == manifest.result


def test_a_dataset_comes_back_after_appends_and_another_definition(applied: SmallProject) -> None:
    manifest = pull(applied)
    applied.write("flights/2.parquet", flights(("N1", NOON - 2 * HOUR, 99.0), ("N9", NOON - DAY, 99.0)))
    changed = FeatureView("last", entity=PLANE, source=SOURCE, features=["delay"])
    applied.apply(SOURCE, changed, now=NOON + DAY)

    assert rebuild(manifest.id, applied.offline, applied.archive).result == manifest.result


def test_a_dataset_pulled_without_its_spine_says_why_it_can_not_come_back(applied: SmallProject) -> None:
    manifest = pull(applied, keep_spine=False)

    with pytest.raises(DatasetGone, match="pulled without keeping its spine"):
        rebuild(manifest.id, applied.offline, applied.archive)


def test_pulling_again_with_the_spine_makes_a_dataset_come_back(applied: SmallProject) -> None:
    pull(applied, keep_spine=False)

    manifest = pull(applied, keep_spine=True)

    assert rebuild(manifest.id, applied.offline, applied.archive).result == manifest.result


def test_a_manifest_names_every_version_of_the_sources_behind_its_tables(project: SmallProject) -> None:
    project.apply(SOURCE, LAST, now=NOON)
    first = project.offline.sources.read(SOURCE).version
    project.write("flights/2.parquet", flights(("N1", NOON + DAY, 1.0)))
    project.apply(SOURCE, LAST, now=NOON + 2 * DAY)

    [table] = pull(project).tables

    assert set(table.source_versions) >= {("flights", project.offline.sources.read(SOURCE).version)}
    assert set(table.source_versions) <= {("flights", project.offline.sources.read(SOURCE).version), ("flights", first)}


def test_rows_beyond_what_is_filled_are_answered_and_counted(applied: SmallProject) -> None:
    late = pa.table({"at": pa.array([NOON, NOON + DAY, NOON + 2 * DAY], MOMENT), "tail": ["N1"] * 3})

    manifest = pull(applied, late)

    assert applied.result(manifest)["last__delay"].to_pylist() == [12.5] * 3
    assert manifest.warnings == ("2 rows ask about moments after 2013-03-10T12:00Z, up to which 'last' can answer",)


def test_an_empty_spine_gives_an_empty_training_set(applied: SmallProject) -> None:
    manifest = pull(applied, SPINE.slice(0, 0))

    assert (manifest.rows, manifest.first, manifest.last) == (0, None, None)
    assert applied.result(manifest).column_names == ["at", "tail", "last__delay", "last__due"]


def test_a_view_without_rows_by_now_is_null(project: SmallProject) -> None:
    project.apply(SOURCE, LAST, now=NOON - 10 * DAY)

    manifest = pull(project)

    assert project.result(manifest)["last__delay"].null_count == manifest.rows


def test_a_view_with_nothing_filled_is_not_applied(project: SmallProject) -> None:
    project.apply(SOURCE, LAST, now=NOON - 10 * DAY)
    project.offline.coverage.forget(project.graph.view("last").table)

    with pytest.raises(NotApplied, match="View 'last' has nothing filled"):
        pull(project)


def test_nanoseconds_before_1970_are_floored(project: SmallProject) -> None:
    happened = datetime(1969, 7, 20, tzinfo=UTC)
    before = int((happened - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()) * 10**9 - 1
    table = pa.table({"tail": ["N1"], "landed": pa.array([before], pa.timestamp("ns")), "delay": [1.0]})
    project.write("moon.parquet", table)
    source = ParquetSource("moon", path="moon.parquet", event_timestamp="landed")
    project.apply(source, FeatureView("moon", entity=PLANE, source=source, features=["delay"]), now=happened + DAY)

    spine = pa.table({"at": pa.array([happened - timedelta(microseconds=1)], MOMENT), "tail": ["N1"]})

    answer = project.training_set(spine, project.features("moon:delay"), now=happened + DAY)
    assert answer["moon__delay"].to_pylist() == [1.0]
