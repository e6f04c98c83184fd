"""What an audit compares, and what it says where there is nothing to compare."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from featurestore.adapters.duckdb_engine import DuckDBEngine
from featurestore.graph.resolved import ResolvedView
from featurestore.operations.audit import AuditedStore, audit
from featurestore.operations.audit_report import MOST_LISTED, AuditedView, AuditState, ViewAudit
from featurestore.operations.audit_views import chosen_views, named_views
from featurestore.operations.causes import Answered, Cause
from featurestore.ports.online_store import OnlineTable
from featurestore.spec.aggregate import Aggregate
from featurestore.spec.dtypes import DType
from featurestore.spec.entity import Entity
from featurestore.spec.feature_view import FeatureView
from featurestore.spec.source import ParquetSource
from tests.online_rows import mark
from tests.property.project import SmallProject, open_small_project

NOON = datetime(2013, 3, 10, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SOURCE = ParquetSource("flights", path="flights.parquet", event_timestamp="landed")
PLANE = Entity("plane", join_keys={"tail": DType.STRING})
LAST = FeatureView("last", entity=PLANE, source=SOURCE, features=["delay", "due"])
ALL = FeatureView("all_planes", source=SOURCE, every="1h", features=[Aggregate("delay", "max", windows=["1d"])])
EVERYTHING = 10_000


def flights(planes: int) -> pa.Table:
    return pa.table({
        "tail": [f"N{number:04}" for number in range(planes)],
        "landed": pa.array([NOON - HOUR] * planes, pa.timestamp("us", tz="UTC")),
        "delay": [float(number) for number in range(planes)],
        "due": list(range(planes)),
    })  # fmt: skip


@pytest.fixture
def project(tmp_path: Path) -> Iterator[SmallProject]:
    engine = DuckDBEngine(memory_limit="500MB", threads=1, spill_folder=tmp_path / "spill")
    project = open_small_project(tmp_path, engine)
    project.write("flights.parquet", flights(3))
    yield project
    engine.close()


def audited(project: SmallProject, view: str, *, sample: int = EVERYTHING, now: datetime = NOON) -> ViewAudit:
    store = AuditedStore(project.offline, project.online, project.catalog, now)
    return audit(AuditedView.whole(project.graph.view(view)), sample, store)


def lose_rows(project: SmallProject, view: str) -> None:
    """The table stays marked as filled, and has no rows."""
    table = OnlineTable.of(project.graph.view(view))
    project.online.store.drop(table)
    mark(project.online.store, table, NOON)


def test_a_view_without_keys_is_compared_too(project: SmallProject) -> None:
    project.apply(SOURCE, ALL, now=NOON)
    project.materialize(NOON)
    before = audited(project, "all_planes")

    lose_rows(project, "all_planes")

    after = audited(project, "all_planes")
    assert (before.keys, before.values, before.equal) == (1, 1, True)
    assert [(one.key, one.online, one.offline, one.status) for one in after.differences] == [
        ((), None, 2.0, Answered.MISSING)
    ]
    assert after.causes == ((Cause.TAMPERED, 1),)


def test_all_differences_are_counted_and_the_first_are_listed(project: SmallProject) -> None:
    project.write("flights.parquet", flights(MOST_LISTED))
    project.apply(SOURCE, LAST, now=NOON)
    project.materialize(NOON)
    lose_rows(project, "last")

    found = audited(project, "last")

    assert (found.keys, found.differing, len(found.differences)) == (MOST_LISTED, 2 * MOST_LISTED, MOST_LISTED)
    assert found.differences[0].key == (("tail", "N0000"),)


def test_a_view_that_is_not_online_is_told(project: SmallProject) -> None:
    project.apply(SOURCE, LAST, now=NOON)

    found = audited(project, "last")

    assert (found.state, found.equal, found.online_to) == (AuditState.NOT_MATERIALIZED, False, None)
    assert "knownat materialize last" in found.notes[0]


def test_a_view_without_rows_is_equal_on_both_sides(project: SmallProject) -> None:
    project.write("flights.parquet", flights(3).slice(0, 0))
    project.apply(SOURCE, LAST, now=NOON)
    project.materialize(NOON)

    found = audited(project, "last")

    assert (found.state, found.equal, found.keys, found.online_to) == (AuditState.COMPARED, True, 0, NOON)


def test_a_view_of_which_nothing_is_filled_is_told(project: SmallProject) -> None:
    project.apply(SOURCE, LAST, now=NOON)
    project.offline.coverage.forget(project.graph.view("last").table)

    found = audited(project, "last")

    assert (found.state, found.equal) == (AuditState.NOTHING_FILLED, True)
    assert "knownat run --due" in found.notes[0]


def test_a_store_that_is_behind_is_told_and_no_difference(project: SmallProject) -> None:
    project.apply(SOURCE, LAST, now=NOON)
    project.materialize(NOON)
    project.apply(SOURCE, LAST, now=NOON + 24 * HOUR)

    found = audited(project, "last", now=NOON + 24 * HOUR)

    assert found.equal
    assert "is online up to" in found.notes[0]


def test_the_views_of_a_choice_come_with_the_features_that_it_uses(project: SmallProject) -> None:
    project.apply(SOURCE, LAST, ALL, now=NOON)

    assert [one.view.name for one in named_views(project.graph, None)] == ["last", "all_planes"]
    assert [names(one) for one in named_views(project.graph, ["all_planes", "all_planes"])] == [
        ("all_planes", ("delay_max_1d",))
    ]
    assert [names(one) for one in chosen_views(project.features("last:due"))] == [("last", ("due",))]


def names(one: AuditedView) -> tuple[str, tuple[str, ...]]:
    view: ResolvedView = one.view
    return view.name, one.features
