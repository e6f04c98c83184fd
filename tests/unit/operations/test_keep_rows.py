"""Rows of a source that is updated in place are kept as they were known, once, whatever becomes of a fill."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from featurestore.adapters.duckdb_engine import DuckDBEngine
from featurestore.errors import DatasetGone, DefinitionsError, KnownatError, TableDamaged
from featurestore.operations.fill_views import FillRequest, fill_views
from featurestore.spec.aggregate import Aggregate
from featurestore.spec.feature_view import FeatureView
from featurestore.spec.source import ParquetSource
from tests.changing_shop import HOUR, START, THING, Shop, source, view
from tests.forgetful_state import Forgetful, Killed
from tests.property.project import open_small_project

DAY_2 = START + 26 * HOUR
DAY_3 = START + 50 * HOUR


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """A table with one row for each key, filled in the second hour of the second day."""
    engine = DuckDBEngine(memory_limit="500MB", threads=1, spill_folder=tmp_path / "spill")
    shop = Shop(open_small_project(tmp_path, engine))
    shop.write("table", [("a", 1, 1.0), ("b", 2, 2.0)])
    shop.apply(view("keep", features=["x"]), source("keep"), now=DAY_2)
    yield shop
    engine.close()


def stored(shop: Shop) -> int:
    return len(shop.project.stored("view"))


def test_what_an_update_moved_stays_known_as_it_was_until_the_new_row_happened(shop: Shop) -> None:
    shop.write("table", [("a", 30, 10.0), ("b", 2, 2.0)])

    shop.fill(now=DAY_3)

    assert shop.trained(("a", 29), ("a", 30), ("a", 60), ("b", 60)) == [1.0, 10.0, 10.0, 2.0]
    assert shop.online("a", "b", now=DAY_3) == [(10.0,), (2.0,)]
    assert shop.held is None


def test_an_update_at_the_same_moment_is_known_from_when_it_was_captured(shop: Shop) -> None:
    shop.write("table", [("a", 1, 10.0), ("b", 2, 2.0)])

    shop.fill(now=DAY_3)

    assert shop.trained(("a", 30), ("a", 49), ("a", 50)) == [1.0, 1.0, 10.0]
    assert shop.online("a", now=DAY_3) == [(10.0,)]


def test_a_key_that_is_gone_is_unknown_from_then_on_and_known_again_when_it_is_back(shop: Shop) -> None:
    assert shop.online("a", "b", now=DAY_2) == [(1.0,), (2.0,)]
    shop.write("table", [("b", 2, 2.0)])
    shop.fill(now=DAY_3)
    gone = shop.online("a", "b", now=DAY_3)
    shop.write("table", [("a", 1, 1.0), ("b", 2, 2.0)])

    shop.fill(now=DAY_3 + 5 * HOUR)

    assert gone == [(None,), (2.0,)]
    assert shop.trained(("a", 49), ("a", 50), ("a", 54), ("a", 55)) == [1.0, None, None, 1.0]
    assert shop.online("a", now=DAY_3 + 5 * HOUR) == [(1.0,)]


def test_a_row_that_came_late_is_known_from_then_on_and_one_of_new_time_from_when_it_happened(shop: Shop) -> None:
    shop.write("more", [("c", 3, 3.0), ("d", 40, 4.0)])

    shop.fill(now=DAY_3)

    assert shop.trained(("c", 49), ("c", 50), ("d", 39), ("d", 40)) == [None, 3.0, None, 4.0]


def test_filling_again_and_again_adds_no_version(shop: Shop) -> None:
    shop.write("table", [("a", 1, 10.0)])
    shop.fill(now=DAY_3)
    rows = stored(shop)

    shop.fill(now=DAY_3 + HOUR, recompute=True)
    shop.write("table", [("a", 1, 10.0)])
    shop.fill(now=DAY_3 + 2 * HOUR)

    assert rows == 4  # two that were known, another one, and a tombstone
    assert stored(shop) == rows


def test_a_lost_table_of_the_source_takes_no_past_with_it(shop: Shop) -> None:
    shop.write("other", [("z", 1, 0.0)])
    shop.remove("table")

    shop.fill(now=DAY_3)

    assert shop.trained(("a", 49), ("b", 49), ("a", 51), ("b", 51)) == [1.0, 2.0, None, None]


def test_accepting_removal_removes_nothing_that_is_kept(shop: Shop) -> None:
    shop.write("table", [("a", 1, 10.0)])

    shop.fill(now=DAY_3, accept_removed=True, recompute=True)

    assert shop.trained(("a", 49), ("b", 49)) == [1.0, 2.0]


def test_a_fill_that_was_killed_between_commit_and_record_makes_no_second_version(shop: Shop) -> None:
    shop.write("table", [("a", 1, 10.0), ("c", 3, 3.0)])
    killed = replace(shop.project.offline, coverage=Forgetful(shop.project.offline.coverage))
    with pytest.raises(Killed):
        list(fill_views(FillRequest(shop.project.graph.views), killed, now=DAY_3))
    before = shop.project.stored("view")

    shop.fill(now=DAY_3 + HOUR)

    assert shop.project.stored("view") == before
    assert len(before) == 5


def test_what_is_read_after_the_run_began_is_known_from_when_it_was_read(shop: Shop) -> None:
    shop.write("table", [("a", 1, 10.0)])
    later = replace(shop.project.offline, clock=lambda: DAY_3 + timedelta(minutes=30))

    list(fill_views(FillRequest(shop.project.graph.views), later, now=DAY_3))
    shop.fill(now=DAY_3 + HOUR)

    assert shop.trained(("a", 50), ("b", 50), ("a", 51), ("b", 51)) == [1.0, 2.0, 10.0, None]


def test_a_clock_that_went_back_puts_no_version_before_another(shop: Shop) -> None:
    shop.write("table", [("a", 1, 10.0), ("b", 2, 2.0)])
    shop.fill(now=DAY_3)
    shop.write("table", [("a", 1, 20.0), ("b", 2, 2.0)])

    shop.fill(now=DAY_2)

    assert shop.trained(("a", 49), ("a", 51)) == [1.0, 20.0]


@pytest.mark.parametrize("damage", ["other bytes", "no file"])
def test_a_file_of_what_is_kept_is_not_written_over_when_it_can_not_be_read(shop: Shop, damage: str) -> None:
    [path] = shop.project.offline.tables.snapshot(shop.view.table).files.paths
    whole = Path(path).read_bytes()
    if damage == "no file":
        Path(path).unlink()
    else:
        rows = pq.ParquetFile(path).read()
        pq.write_table(rows.slice(0, 1), path)
    shop.write("table", [("a", 1, 10.0), ("b", 2, 2.0)])
    wrong: type[KnownatError] = DatasetGone if damage == "no file" else TableDamaged

    with pytest.raises(wrong):
        shop.fill(now=DAY_3)
    Path(path).write_bytes(whole)
    shop.fill(now=DAY_3)
    assert shop.trained(("a", 49), ("a", 50)) == [1.0, 10.0]

    [path, *_] = shop.project.offline.tables.snapshot(shop.view.table).files.paths
    Path(path).unlink()
    shop.fill(now=DAY_3, recompute=True, accept_removed=True)
    assert shop.trained(("a", 51)) == [10.0]


def test_only_what_takes_an_answer_back_is_copied_as_a_whole(shop: Shop) -> None:
    shop.online("a", "b", now=DAY_2)

    def copied_whole(now: Any) -> bool:
        shop.fill(now=now)
        shop.online("a", now=now)
        online = shop.project.online
        return online.publications.published(online.address, shop.view.table).runs[-1].is_full

    shop.write("table", [("a", 30, 10.0), ("b", 2, 20.0)])
    assert not copied_whole(DAY_3)
    shop.write("table", [("a", 30, 10.0)])
    assert copied_whole(DAY_3 + HOUR)
    assert not copied_whole(DAY_3 + 2 * HOUR)


def test_rows_of_a_query_over_several_sources_are_kept(shop: Shop) -> None:
    sizes = ParquetSource("sizes", path="sizes.parquet", event_timestamp="since", removed_rows="follow")
    shop.write_sizes({"a": 10.0, "b": 10.0})
    sql = "SELECT k, at AS event_timestamp, x * size AS x FROM rows JOIN sizes USING (k)"
    shop.apply(view(sql=sql), source("keep"), sizes, now=DAY_2)
    shop.write_sizes({"a": 100.0})

    shop.fill(now=DAY_3)

    assert shop.trained(("a", 49), ("b", 49), ("a", 50), ("b", 50)) == [10.0, 20.0, 100.0, None]


def test_of_a_view_without_an_entity_the_one_row_is_kept(shop: Shop) -> None:
    shop.write("table", [("a", 1, 1.0)])
    alone = FeatureView("view", source=source("keep"), features=["x"])
    shop.apply(alone, source("keep"), now=DAY_2)
    shop.write("table", [("a", 1, 5.0)])
    shop.fill(now=DAY_3)
    shop.write("table", [])
    shop.write("other", [("z", 60, 7.0)])

    shop.fill(now=DAY_3 + HOUR)

    assert shop.trained(("", 49), ("", 50), ("", 51)) == [1.0, 5.0, None]
    assert shop.online("", now=DAY_3 + HOUR) == [(None,)]


def test_what_keeps_rows_is_another_table_and_feeds_neither_windows_nor_other_views(shop: Shop) -> None:
    kept = shop.view.table
    windowed = FeatureView(
        "windowed", entity=THING, source=source("keep"), every="1h", features=[Aggregate("x", "sum", windows=["1d"])]
    )
    below = FeatureView("below", entity=THING, sql="SELECT k, event_timestamp, known_at, x AS y FROM view")

    with pytest.raises(DefinitionsError) as refused:
        shop.apply(view("keep", features=["x"]), windowed, below, source("keep"), now=DAY_2)

    told = str(refused.value)
    assert "view 'windowed' is windowed, and source 'rows' keeps removed rows" in told
    assert "view 'below' reads view 'view', which keeps rows that are gone" in told
    shop.apply(view(features=["x"]), source(), now=DAY_2)
    assert shop.view.table != kept
