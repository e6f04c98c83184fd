"""The same rows give the same bytes, however they lie in files and however many runs it took to fill the tables."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import timedelta

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurestore.adapters.duckdb_engine import DuckDBEngine
from featurestore.operations.fill_views import FillRequest, fill_views
from tests.property.catalogue import Choices
from tests.property.examples import IS_DEEP, examples, few_examples
from tests.property.histories import HOUR, MINUTE, History, histories
from tests.property.project import SmallProject, small_project
from tests.property.test_online_equals_offline import declarations

DECLARED = declarations(Choices(delay=10 * MINUTE, publish_delay=timedelta(0), ttl=2 * HOUR))
FEATURES = ("late_windows:*", "delayed_windows:*", "late_rows:*", "delayed_rows:*")

LEAST_STOPS, MOST_STOPS = (80, 100) if IS_DEEP else (0, 4)
"""Where the tables are brought up to date on the way, each a number of ten minutes after the origin."""


@pytest.fixture(scope="module")
def single_threaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDBEngine]:
    engine = DuckDBEngine(memory_limit="1GB", threads=1, spill_folder=tmp_path_factory.mktemp("spill"))
    yield engine
    engine.close()


def filled_in_one_go(project: SmallProject, history: History) -> None:
    project.write("late.parquet", history.table())
    project.write("delayed.parquet", history.table())
    project.apply(*DECLARED, now=history.origin + 40 * HOUR)


def sha256_of_the_result(project: SmallProject, history: History) -> str:
    features = project.features(*FEATURES)
    return project.pull(history.spine_table(), features, now=history.origin + 40 * HOUR).result


@few_examples(3)
@given(
    histories(),
    st.lists(st.integers(18, 239), min_size=LEAST_STOPS, max_size=MOST_STOPS, unique=True).map(sorted),
    st.randoms(use_true_random=False),
)
def test_increments_files_row_groups_and_threads_leave_the_bytes_alone(
    engine: DuckDBEngine,
    single_threaded: DuckDBEngine,
    history: History,
    stops: list[int],
    chance: random.Random,
) -> None:
    with small_project(engine) as one_go, small_project(single_threaded) as increments:
        filled_in_one_go(one_go, history)
        shuffled = [*history.events]
        chance.shuffle(shuffled)
        table = pa.Table.from_pylist(shuffled, schema=history.table().schema)
        increments.write("late.parquet", table, row_group_size=3)
        increments.write("delayed.parquet", table, row_group_size=1, use_dictionary=False, compression="none")
        for minutes in (*(10 * stop for stop in stops), 40 * 60):
            increments.apply(*DECLARED, now=history.origin + minutes * MINUTE, chunk_days=1)

        assert sha256_of_the_result(increments, history) == sha256_of_the_result(one_go, history)
        for view in increments.graph.views:
            assert increments.stored(view.name) == one_go.stored(view.name)


@examples(2)
@given(histories(), st.integers(0, 30), st.integers(1, 20))
def test_filling_any_interval_again_changes_nothing(
    engine: DuckDBEngine, history: History, start_hour: int, hours: int
) -> None:
    with small_project(engine) as project:
        filled_in_one_go(project, history)
        before = sha256_of_the_result(project, history)
        covered = [project.offline.coverage.coverage(view.table).covered for view in project.graph.views]
        start = history.origin + start_hour * HOUR
        again = FillRequest(project.graph.views, start, start + hours * HOUR, recompute=True)

        list(fill_views(again, project.offline, now=history.origin + 40 * HOUR))

        assert sha256_of_the_result(project, history) == before
        assert [project.offline.coverage.coverage(view.table).covered for view in project.graph.views] == covered
