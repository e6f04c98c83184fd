"""Rows that are gone from a source which holds them stay, are remembered with the fill, and end when they should."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from featurestore.adapters.duckdb_engine import DuckDBEngine
from featurestore.intervals import DAY, Interval
from featurestore.operations.fill_views import FillRequest, fill_views
from featurestore.operations.hold_rows import held_rows
from featurestore.plan.stages import HeldRows
from featurestore.spec.aggregate import Aggregate, last_n, percentile
from featurestore.spec.feature_view import FeatureView
from featurestore.spec.source import ParquetSource
from tests.changing_shop import HOUR, MOMENT, NOW, START, THING, Shop, source, view
from tests.forgetful_state import Forgetful, Killed
from tests.property.project import open_small_project

SIZES = ParquetSource("sizes", path="sizes.parquet", event_timestamp="since", removed_rows="follow")


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    engine = DuckDBEngine(memory_limit="500MB", threads=1, spill_folder=tmp_path / "spill")
    yield Shop(open_small_project(tmp_path, engine))
    engine.close()


def on(*days: int) -> dict[str, Any]:
    pieces = [Interval(START + day * DAY, START + (day + 1) * DAY) for day in days]
    return {"start": pieces[0].start, "end": pieces[-1].end}


def told(held: HeldRows | None) -> tuple[int, list[date], tuple[str, ...]] | None:
    """How many rows, of which days, of which sources."""
    if held is None:
        return None
    days = [(piece.start + n * DAY).date() for piece in held.days for n in range((piece.end - piece.start) // DAY)]
    return held.rows, days, held.sources


FIRST, SECOND = date(2024, 3, 1), date(2024, 3, 2)


def test_a_row_that_an_update_moved_stays_known_and_the_new_one_is_served(shop: Shop) -> None:
    shop.write("table", [("a", 1, 1.0), ("b", 2, 2.0)])
    shop.apply(view(features=["x"]), source())
    shop.write("table", [("a", 30, 10.0), ("b", 2, 2.0)])

    shop.fill()

    assert shop.trained(("a", 29), ("a", 31), ("b", 31)) == [1.0, 10.0, 2.0]
    assert shop.online("a", "b") == [(10.0,), (2.0,)]
    assert told(shop.held) == (1, [FIRST], ("rows",))


def test_a_correction_at_the_same_times_is_none(shop: Shop) -> None:
    shop.write("table", [("a", 1, 1.0), ("b", 2, 2.0)])
    shop.apply(view(features=["x"]), source())
    shop.write("table", [("a", 1, 5.0), ("b", 2, None)])

    shop.fill()

    assert shop.trained(("a", 31), ("b", 31)) == [5.0, None]
    assert shop.held is None


def test_a_lost_file_empties_nothing_and_is_told_until_it_is_back(shop: Shop) -> None:
    shop.write("first", [("a", 1, 1.0), ("b", 2, 2.0)])
    shop.write("second", [("a", 30, 3.0)])
    shop.apply(view(features=["x"]), source())
    before = shop.project.stored("view")
    shop.remove("first")

    filled = [shop.fill(), shop.fill()]

    assert [[chunk.held for chunk in chunks] for chunks in filled] == [[2], []]  # nothing is due the second time
    assert told(shop.held) == (2, [FIRST], ("rows",))
    assert shop.project.stored("view") == before
    shop.write("first", [("a", 1, 1.0), ("b", 2, 2.0)])
    shop.fill()
    assert shop.held is None
    assert shop.project.stored("view") == before


def test_what_is_new_and_corrected_on_a_day_with_held_rows_is_taken_in(shop: Shop) -> None:
    shop.write("table", [("a", 1, 1.0), ("b", 2, 2.0)])
    shop.apply(view(features=["x"]), source())
    shop.write("table", [("b", 2, 20.0), ("c", 3, 3.0)])

    shop.fill()

    assert shop.trained(("a", 30), ("b", 30), ("c", 30)) == [1.0, 20.0, 3.0]


def test_removal_is_accepted_once_and_for_the_days_that_are_named(shop: Shop) -> None:
    shop.write("first", [("a", 1, 1.0)])
    shop.write("second", [("a", 30, 2.0)])
    shop.write("third", [("b", 60, 3.0)])
    shop.apply(view(features=["x"]), source())
    shop.remove("first")
    shop.remove("second")
    shop.fill()

    shop.fill(accept_removed=True, **on(1))
    assert told(shop.held) == (1, [FIRST], ("rows",))
    assert shop.trained(("a", 40)) == [1.0]
    shop.fill(accept_removed=True)

    assert shop.held is None
    assert shop.trained(("a", 40)) == [None]
    shop.remove("third")
    shop.write("other", [("c", 60, 3.0)])
    shop.fill()
    assert told(shop.held) == (1, [date(2024, 3, 3)], ("rows",))


def test_declaring_that_the_source_is_to_be_followed_lets_held_rows_go(shop: Shop) -> None:
    shop.write("first", [("a", 1, 1.0)])
    shop.write("second", [("b", 30, 2.0)])
    shop.apply(view(features=["x"]), source())
    table = shop.view.table
    shop.remove("first")
    shop.fill()

    shop.apply(view("follow", features=["x"]), source("follow"))

    assert shop.view.table == table
    assert shop.held is None
    assert shop.trained(("a", 30)) == [None]


def test_under_follow_what_is_gone_is_gone(shop: Shop) -> None:
    shop.write("first", [("a", 1, 1.0)])
    shop.write("second", [("b", 30, 2.0)])
    shop.apply(view("follow", features=["x"]), source("follow"))
    shop.remove("first")

    shop.fill()

    assert shop.trained(("a", 30)) == [None]
    assert shop.held is None


@pytest.mark.parametrize("recompute", [False, True])
def test_rows_stay_held_when_their_day_is_filled_again_for_another_reason(shop: Shop, recompute: bool) -> None:
    shop.write("first", [("a", 1, 1.0), ("b", 2, 2.0)])
    shop.apply(view(features=["x"]), source())
    shop.write("first", [("b", 2, 2.0)])
    shop.fill()
    if not recompute:
        shop.write("more", [("c", 3, 3.0)])  # rows that only come take no other row with them

    shop.fill(recompute=recompute)

    assert shop.trained(("a", 30)) == [1.0]
    assert told(shop.held) == (1, [FIRST], ("rows",))


AGGREGATES = {
    "count": Aggregate("x", "count", windows=["7d"]),
    "sum": Aggregate("x", "sum", windows=["7d"]),
    "percentile": Aggregate("x", percentile(50), windows=["7d"]),
    "first": Aggregate("x", "first", windows=["7d"]),
    "last": Aggregate("x", "last", windows=["7d"]),
    "last_n": Aggregate("x", last_n(3), windows=["7d"]),
    "min": Aggregate("x", "min", windows=["7d"]),
    "max": Aggregate("x", "max", windows=["7d"]),
    "count_distinct": Aggregate("x", "count_distinct", windows=["7d"]),
}


def events(*minutes_and_values: tuple[int, float]) -> pa.Table:
    return pa.table(
        {
            "k": pa.array(["a"] * len(minutes_and_values), pa.string()),
            "at": pa.array([START + HOUR + m * timedelta(minutes=1) for m, _ in minutes_and_values], MOMENT),
            "x": pa.array([value for _, value in minutes_and_values], pa.float64()),
        }
    )


@pytest.mark.parametrize("name", AGGREGATES)
@pytest.mark.parametrize("left", [[], [(10, 1.0), (20, 2.0)]], ids=["no event", "some events"])
def test_a_tile_that_has_lost_events_stays(shop: Shop, name: str, left: list[tuple[int, float]]) -> None:
    shop.write("other", [("b", 1, 1.0)])
    shop.project.write("rows/some.parquet", events((0, 0.5), (10, 1.0), (20, 2.0), (30, 3.0)))
    shop.apply(view(every="1h", features=[AGGREGATES[name]]), source())
    before = shop.project.stored("view")
    shop.project.write("rows/some.parquet", events(*left))

    shop.fill()
    shop.write("other", [("b", 1, 1.0)])  # filled again, by a change of something else
    shop.fill()

    assert shop.project.stored("view") == before
    assert told(shop.held) == (1, [FIRST], ("rows",))


@pytest.mark.parametrize("name", AGGREGATES)
def test_events_that_come_and_values_that_are_corrected_are_no_loss_of_a_tile(shop: Shop, name: str) -> None:
    shop.project.write("rows/some.parquet", events((0, 0.5), (10, 1.0), (30, 3.0)))
    shop.apply(view(every="1h", features=[AGGREGATES[name]]), source())
    before = shop.project.stored("view")
    shop.project.write("rows/some.parquet", events((0, 0.75), (10, 1.0), (20, 2.0), (30, 2.5)))

    shop.fill()

    assert shop.held is None
    assert shop.project.stored("view") != before


def test_a_group_that_is_gone_stays_and_one_that_shrank_is_corrected(shop: Shop) -> None:
    shop.write("table", [("a", 1, 1.0), ("b", 2, 2.0), ("b", 3, 3.0)])
    sql = "SELECT k, date_trunc('day', at) AS event_timestamp, sum(x) AS x FROM rows GROUP BY ALL"
    shop.apply(view(sql=sql), source())
    shop.write("table", [("b", 2, 2.0)])

    shop.fill()

    assert shop.trained(("a", 30), ("b", 30)) == [1.0, 2.0]
    assert told(shop.held) == (1, [FIRST], ("rows",))


JOINED = "SELECT k, at AS event_timestamp, x * size AS x FROM rows JOIN sizes USING (k)"


def test_of_several_sources_the_one_that_changed_decides(shop: Shop) -> None:
    shop.write("table", [("a", 1, 1.0), ("b", 2, 2.0)])
    shop.write_sizes({"a": 10.0, "b": 10.0})
    shop.apply(view(sql=JOINED), source(), SIZES)

    shop.write_sizes({"a": 100.0})  # which is followed
    shop.fill()
    assert shop.trained(("a", 30), ("b", 30)) == [100.0, None]
    assert shop.held is None
    shop.write("table", [("b", 2, 2.0)])  # which is held
    shop.fill()
    assert shop.trained(("a", 30)) == [100.0]
    shop.write_sizes({"a": 1000.0})
    shop.fill()

    assert shop.trained(("a", 30)) == [100.0]  # what stays for the one does not go for the other
    assert told(shop.held) == (1, [FIRST], ("rows",))


def test_a_view_that_reads_another_follows_it(shop: Shop) -> None:
    shop.write("table", [("a", 1, 1.0), ("b", 2, 2.0)])
    below = FeatureView("below", entity=THING, sql="SELECT k, event_timestamp, x + 1 AS y FROM view")
    shop.apply(view(features=["x"]), below, source())
    shop.write("table", [("b", 2, 2.0)])
    shop.fill()
    assert len(shop.project.stored("below")) == 2

    shop.fill(accept_removed=True)

    assert len(shop.project.stored("below")) == 1
    assert held_rows(shop.project.graph.view("below"), coverage(shop, "below")) is None


def coverage(shop: Shop, name: str) -> Any:
    return shop.project.offline.coverage.coverage(shop.project.graph.view(name).table)


def test_a_fill_that_was_killed_between_commit_and_record_holds_the_same_rows_again(shop: Shop) -> None:
    shop.write("table", [("a", 1, 1.0), ("b", 2, 2.0)])
    shop.apply(view(every="1h", features=[AGGREGATES["max"]]), source())
    before = shop.project.stored("view")
    shop.write("table", [("b", 2, 2.0)])
    killed = replace(shop.project.offline, coverage=Forgetful(shop.project.offline.coverage))
    with pytest.raises(Killed):
        list(fill_views(FillRequest(shop.project.graph.views), killed, now=NOW))

    shop.fill()

    assert shop.project.stored("view") == before
    assert told(shop.held) == (1, [FIRST], ("rows",))


def test_of_a_damaged_file_nothing_is_believed(shop: Shop) -> None:
    """Its garbage would stay for ever, as rows that are gone; filling the day again is what mends it."""
    shop.write("table", [("a", 1, 1.0), ("b", 2, 2.0)])
    shop.apply(view(features=["x"]), source())
    before = shop.project.stored("view")
    [path] = shop.project.offline.tables.snapshot(shop.view.table).files.paths
    whole = pq.ParquetFile(path).read()
    pq.write_table(whole.set_column(0, "k", pa.array(["?"] * whole.num_rows)), path)

    shop.fill(recompute=True)

    assert shop.project.stored("view") == before
    assert shop.held is None
