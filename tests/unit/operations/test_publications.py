"""Every run that brings the online store up to date is remembered with the moment from which it could be read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from featurestore.adapters.duckdb_engine import DuckDBEngine
from featurestore.adapters.memory_online import MemoryOnlineStore
from featurestore.errors import StoreUnavailable
from featurestore.operations.materialize import MaterializeRequest, materialize
from featurestore.ports.online_store import Fill
from featurestore.ports.publications import Publication
from featurestore.spec.dtypes import DType
from featurestore.spec.entity import Entity
from featurestore.spec.feature_view import FeatureView
from featurestore.spec.source import ParquetSource
from tests.property.project import SmallProject, open_small_project

NOON = datetime(2013, 3, 10, 12, tzinfo=UTC)
HOUR, TICK = timedelta(hours=1), timedelta(microseconds=1)
SOURCE = ParquetSource("flights", path="flights.parquet", event_timestamp="landed")
PLANE = Entity("plane", join_keys={"tail": DType.STRING})
LAST = FeatureView("last", entity=PLANE, source=SOURCE, features=["delay"])


@pytest.fixture
def project(tmp_path: Path) -> Iterator[SmallProject]:
    engine = DuckDBEngine(memory_limit="500MB", threads=1, spill_folder=tmp_path / "spill")
    project = open_small_project(tmp_path, engine)
    landed = pa.array([NOON - 3 * HOUR, NOON - HOUR, NOON], pa.timestamp("us", tz="UTC"))
    project.write("flights.parquet", pa.table({"tail": ["N1", "N2", "N1"], "landed": landed, "delay": [7.0, 1.0, 2.0]}))
    project.apply(SOURCE, LAST, now=NOON + HOUR)
    yield project
    engine.close()


def run(project: SmallProject, until: datetime, *, full: bool = False) -> None:
    """With a clock on which each look takes a microsecond."""
    looks = iter(range(100))
    online = replace(project.online, clock=lambda: until + next(looks) * TICK)
    request = MaterializeRequest(project.graph.view("last"), until, full)
    materialize(request, project.offline, online, now=until)


def history(project: SmallProject) -> tuple[Publication, ...]:
    return project.online.publications.published("memory", project.graph.view("last").table).runs


def test_each_run_that_wrote_something_is_remembered(project: SmallProject) -> None:
    version = project.offline.tables.snapshot(project.graph.view("last").table).version
    first, last = NOON - 2 * HOUR, NOON - TICK

    for until in (NOON - 2 * HOUR, NOON - TICK):
        run(project, until)
    run(project, NOON - TICK)  # nothing to do
    run(project, NOON - TICK, full=True)

    assert history(project) == (
        Publication(first, first, first + TICK, version, 1, is_full=True, copied_to=first),
        Publication(last, last, NOON, version, 1, is_full=False, copied_to=last, copied_from=first),
        Publication(last, last, NOON, version, 2, is_full=True, copied_to=last),
    )


def test_a_run_that_did_not_get_to_the_marker_was_never_published(project: SmallProject) -> None:
    class LosesTheMarker(MemoryOnlineStore):
        def finish(self, fill: Fill, filled_to: datetime) -> None:  # noqa: ARG002 - the port's signature
            raise StoreUnavailable("The online store went away.")

    broken = replace(project, online=replace(project.online, store=LosesTheMarker()))

    with pytest.raises(StoreUnavailable):
        run(broken, NOON)
    assert history(project) == ()
