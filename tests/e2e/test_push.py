"""A notebook's way: define a source, push frames, apply, pull a training set."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from featurestore.errors import InvalidRequest, UnknownName
from sdk import Project, open_project

NOW = datetime(2024, 3, 10, tzinfo=UTC)
DEFINITIONS = """\
import featurestore as fs

shop = fs.Entity("shop", join_keys={"shop": fs.String})
visits = fs.FrameSource(
    "visits", columns={"shop": fs.String, "at": fs.Timestamp, "visitors": fs.Int64}, event_timestamp="at"
)
shop_visits = fs.FeatureView(
    "shop_visits", entity=shop, source=visits, every="1h",
    features=[fs.Aggregate("visitors", fs.sum, windows=["7d"], name="visitors")],
)
"""
DAYS = ["2024-03-01", "2024-03-05", "2024-03-08"]
ROWS = {"shop": ["alma", "alma", "new"], "at": DAYS, "visitors": [3, 4, 2**53 + 1]}


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    (tmp_path / "definitions").mkdir()
    (tmp_path / "definitions" / "all.py").write_text(DEFINITIONS)
    (tmp_path / "knownat.toml").write_text(f'name = "notebook"\nclock = {NOW.isoformat()}\n')
    with open_project(tmp_path) as opened:
        yield opened


def pandas_frame() -> pd.DataFrame:
    return pd.DataFrame({**ROWS, "at": pd.to_datetime(DAYS, utc=True)})


def polars_frame() -> pl.DataFrame:
    return pl.DataFrame(ROWS).with_columns(pl.col("at").str.to_datetime())


def arrow_frame(**changes: Any) -> pa.Table:
    moments = pa.array([datetime.fromisoformat(text) for text in DAYS], pa.timestamp("ms"))
    return pa.table({"visitors": ROWS["visitors"], "at": moments, "shop": ROWS["shop"], **changes})


def sums(project: Project) -> list[object]:
    list(project.apply())
    list(project.backfill())
    spine = pa.table({"shop": ["alma", "new"], "event_timestamp": pa.array([NOW, NOW], pa.timestamp("us", "UTC"))})
    column = project.client.training_set(spine, features=["shop_visits:visitors_7d"]).to_arrow()
    values: list[object] = column["shop_visits__visitors_7d"].to_pylist()
    return values


@pytest.mark.parametrize("frame", [pandas_frame, polars_frame, arrow_frame])
def test_a_frame_is_pushed_applied_and_pulled(project: Project, frame: Any) -> None:
    pushed = project.push("visits", frame(), key="march")

    assert (pushed.rows, pushed.is_new, pushed.version) == (3, True, "1")
    assert sums(project) == [4, 2**53 + 1]


def test_what_is_pushed_after_applying_is_filled_by_the_next_backfill(project: Project) -> None:
    project.push("visits", arrow_frame().slice(0, 2), key="first")
    before = sums(project)
    project.push("visits", arrow_frame().slice(2), key="second")
    list(project.backfill(recompute=True))  # its rows are of days that are filled already

    after = sums(project)

    assert (before, after) == ([4, None], [4, 2**53 + 1])


def test_a_source_that_nothing_was_pushed_to_has_no_rows(project: Project) -> None:
    plan = project.plan()
    list(project.apply(plan))

    assert [source.name for source in plan.stages[-1].graph.sources] == ["visits"]  # type: ignore[union-attr]
    assert list(project.backfill()) == []


def test_the_same_key_changes_nothing(project: Project) -> None:
    first = project.push("visits", arrow_frame(), key="march")

    again = project.push("visits", polars_frame(), key="march")

    assert (again.is_new, again.version, again.rows) == (False, first.version, 3)
    assert sums(project) == [4, 2**53 + 1]


def test_a_key_with_other_rows_is_refused(project: Project) -> None:
    project.push("visits", arrow_frame(), key="march")

    with pytest.raises(InvalidRequest, match="'march' was pushed to 'visits' before, with 3 rows, and has 2 now"):
        project.push("visits", arrow_frame().slice(1), key="march")


@pytest.mark.parametrize(
    ("frame", "told"),
    [
        (arrow_frame(visitors=[1.0, 2.7, 3.0]), "column 'visitors' is double, and int64 is needed"),
        (arrow_frame(visitors=["1", "2", "3"]), "column 'visitors' is string, and int64 is needed"),
        (arrow_frame(visitors=[True, False, True]), "column 'visitors' is bool, and int64 is needed"),
        (
            arrow_frame(visitors=pa.array([1, 2**63, 3], pa.uint64())),
            "does not fit int64: row 1 has 922337",
        ),
        (arrow_frame(extra=[1, 2, 3]), "column 'extra' is not declared"),
        (arrow_frame().drop_columns(["shop"]), "column 'shop' \\(string\\) is missing"),
        (arrow_frame(at=pa.array([1, 2, 2**62], pa.timestamp("s"))), "column 'at' does not fit timestamp: row 2 has"),
        (arrow_frame(at=pa.array([None, 1, 2], pa.timestamp("us"))), "1 rows have no 'at', and could never be a value"),
        ({"shop": ["a"]}, "A frame is an Arrow table, a pandas or Polars DataFrame"),
    ],
)
def test_a_frame_that_does_not_fit_exactly_is_refused(project: Project, frame: Any, told: str) -> None:
    with pytest.raises(InvalidRequest, match=told):
        project.push("visits", frame, key="march")

    assert project.push("visits", arrow_frame(), key="march").version == "1"


def test_what_is_exactly_the_same_value_fits_and_nanoseconds_are_floored(project: Project) -> None:
    project.push("visits", arrow_frame(), key="march")
    narrow = arrow_frame(visitors=arrow_frame()["visitors"].cast(pa.uint64()))
    finer = narrow.set_column(1, "at", arrow_frame()["at"].cast(pa.timestamp("ns", "Asia/Tokyo")))

    assert project.push("visits", finer, key="march").is_new is False


def test_a_column_of_nulls_alone_fits_any_type(project: Project) -> None:
    pushed = project.push("visits", arrow_frame(visitors=pa.nulls(3)), key="march")

    assert pushed.rows == 3


@pytest.mark.parametrize("key", ["", None, 7])
def test_a_push_needs_a_key(project: Project, key: Any) -> None:
    with pytest.raises(InvalidRequest, match="needs a key"):
        project.push("visits", arrow_frame(), key=key)


def test_a_name_that_is_no_frame_source_is_told(project: Project) -> None:
    with pytest.raises(UnknownName, match="Did you mean 'visits'"):
        project.push("visit", arrow_frame(), key="march")


def test_columns_that_were_declared_otherwise_before_are_told(project: Project, tmp_path: Path) -> None:
    project.push("visits", arrow_frame(), key="march")
    file = tmp_path / "definitions" / "all.py"
    file.write_text(file.read_text().replace("fs.Int64", "fs.Int32"))

    with pytest.raises(InvalidRequest, match=r"other columns than it declares now: .*visitors \(int64\)"):
        project.push("visits", arrow_frame(visitors=pa.array([1, 2, 3], pa.int32())), key="april")


def test_pushes_at_the_same_time_are_all_kept_and_one_key_once(project: Project) -> None:
    def push(number: int) -> None:
        project.push("visits", arrow_frame(), key=f"day {number % 4}")

    threads = [threading.Thread(target=push, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [project.push("visits", arrow_frame(), key=f"day {day}").is_new for day in range(4)] == [False] * 4
    assert sums(project) == [4 * 4, 4 * (2**53 + 1)]
