"""What a lookup makes of values that nobody can be told, and of lists that several rows have."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from featurestore.adapters.duckdb_engine import DuckDBEngine
from featurestore.operations.answered_rows import OnlineAnswer, Status
from featurestore.operations.lookup import Asked, lookup, prepare
from featurestore.operations.stored_rows import UnreadableRow, stored_rows
from featurestore.ports.online_store import FillRequest, OnlineTable
from featurestore.service.value_counts import value_counts
from featurestore.spec.dtypes import DType
from featurestore.spec.entity import Entity
from featurestore.spec.feature_view import FeatureView
from featurestore.spec.source import ParquetSource
from tests.property.project import SmallProject, open_small_project

NOON = datetime(2024, 3, 10, 12, tzinfo=UTC)
MOMENT = pa.timestamp("us", tz="UTC")
DAY = date(2024, 3, 1)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[SmallProject]:
    engine = DuckDBEngine(memory_limit="500MB", threads=1, spill_folder=tmp_path / "spill")
    project = open_small_project(tmp_path, engine)
    moments = pa.array([NOON - timedelta(hours=1)] * 2, MOMENT)
    rows = pa.table({"id": [1, 2], "at": moments, "n": [5, 6], "ends": [DAY, DAY], "many": [[1, 2], [3]]})
    project.write("rows.parquet", rows)
    source = ParquetSource("rows", path="rows.parquet", event_timestamp="at")
    person = Entity("person", join_keys={"id": DType.INT64})
    project.apply(source, FeatureView("v", entity=person, source=source, features=["n", "ends", "many"]), now=NOON)
    project.materialize(NOON)
    yield project
    engine.close()


def ask(project: SmallProject, *names: str, ids: list[int]) -> OnlineAnswer:
    prepared = prepare(project.features(*names), project.offline.engine)
    return lookup(prepared, [{"id": one} for one in ids], Asked(NOON), project.online.store)


def told(answer: OnlineAnswer) -> list[list[tuple[object, Status]]]:
    return [list(zip(found.values, found.statuses, strict=True)) for found in answer.columns]


def store_far_date(project: SmallProject, key: int) -> OnlineTable:
    """As a fill did before such dates were refused."""
    view = project.features("v:n").view("v")
    table = OnlineTable.of(view)
    moments = pa.array([NOON], MOMENT)
    far = pa.array([2**31 - 1], pa.int32()).cast(pa.date32())
    many = pa.array([[4]], pa.list_(pa.int64()))
    columns = {"id": [key], "event_timestamp": moments, "known_at": moments, "n": [7], "ends": far, "many": many}
    batch = pa.record_batch(columns)
    store = project.online.store
    fill = store.begin(FillRequest(table, NOON))
    store.write(fill, pa.RecordBatchReader.from_batches(batch.schema, [batch]))
    store.finish(fill, NOON)
    return table


def test_a_row_with_a_date_in_no_year_is_told_by_itself(project: SmallProject) -> None:
    store_far_date(project, 2)

    answer = ask(project, "v:n", "v:ends", ids=[1, 2, 9, 2])

    gone, missing = (None, Status.UNREADABLE), (None, Status.MISSING)
    assert told(answer) == [
        [(5, Status.PRESENT), gone, missing, gone],
        [(DAY, Status.PRESENT), gone, missing, gone],
    ]
    assert value_counts(answer) == {("v", "present"): 2, ("v", "unreadable"): 4, ("v", "missing"): 2}


def test_values_beside_one_that_nobody_can_be_told_are_answered_where_that_is_not_asked_for(
    project: SmallProject,
) -> None:
    store_far_date(project, 2)

    assert told(ask(project, "v:n", ids=[1, 2])) == [[(5, Status.PRESENT), (7, Status.PRESENT)]]


def test_an_audit_sees_such_a_row_as_unreadable_and_the_others_as_they_are(project: SmallProject) -> None:
    table = store_far_date(project, 2)

    good, bad = stored_rows(project.online.store, table, [(1,), (2,)]).rows

    assert isinstance(bad, UnreadableRow)
    assert good is not None
    assert not isinstance(good, UnreadableRow)
    assert good.values == (DAY, [1, 2], 5)


def test_rows_of_one_key_have_lists_of_their_own(project: SmallProject) -> None:
    answer = ask(project, "v:many", ids=[1, 2, 1])

    first, other, again = answer.columns[0].values
    assert (first, other, again) == ([1, 2], [3], [1, 2])
    assert first is not again
