"""Sources that change after they were read: late rows, corrected files, and what is told of rows that came too late."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from featurestore.intervals import DAY, Interval, IntervalSet
from featurestore.plan.stages import LateRows
from sdk import Project
from tests.command import done
from tests.e2e.test_promises import DELAYED, HOUR, NOON, WINDOWED, Folder

FOLLOWING = DELAYED.replace('delay="1h"', 'delay="1h", removed_rows="follow"')
TODAY = NOON - 12 * HOUR
LATENESS = DELAYED.replace('features=["v"]', 'features=["v"], lateness="1d"')
TOTALS = """
source = fs.ParquetSource("rows", path="*.parquet", event_timestamp="happened", delay="1h", removed_rows="follow")
view = fs.FeatureView("view", entity=thing, source=source, every="1h", publish_delay="30m", features=[
    fs.Aggregate("v", fs.sum, windows=["7d"], name="total"),
])
"""


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    (tmp_path / "knownat.toml").write_text('name = "changing"\n[engine]\nthreads = 1\n')
    return Folder(tmp_path)


def days_filled(project: Project) -> list[Interval]:
    return [chunk.interval for chunk in project.backfill()]


def day(ago: int) -> Interval:
    return Interval(TODAY - ago * DAY, TODAY - (ago - 1) * DAY)


def applied(folder: Folder, definitions: str) -> None:
    """A project with a row on each of the last five days, filled up to noon."""
    folder.define(definitions)
    for ago in range(1, 6):
        happened = TODAY - ago * DAY + HOUR
        folder.add(f"day{ago}", happened=happened, known=happened, value=float(ago))
    with folder.at(NOON) as project:
        list(project.apply())
        list(project.materialize())


def test_a_file_that_comes_late_is_taken_in_where_no_lateness_is_declared(folder: Folder) -> None:
    applied(folder, DELAYED)
    folder.add("late", happened=TODAY - 3 * DAY + 2 * HOUR, known=NOON, value=30.0)

    with folder.at(NOON) as project:
        assert days_filled(project) == [day(3)]
        assert project.plan().nothing_to_do
    assert folder.trained(NOON, NOON - 3 * DAY) == 30.0


def test_days_younger_than_the_lateness_are_filled_again(folder: Folder) -> None:
    applied(folder, LATENESS)
    folder.add("late", happened=TODAY - DAY + 2 * HOUR, known=NOON, value=10.0)

    with folder.at(NOON) as project:
        assert days_filled(project) == [day(1)]
        assert project.plan().late == ()


def test_rows_that_come_after_the_lateness_are_counted_told_and_taken_in_on_request(folder: Folder) -> None:
    applied(folder, LATENESS)
    folder.add("late", happened=TODAY - 3 * DAY + 2 * HOUR, known=NOON, value=30.0)
    late = LateRows("view", 1, IntervalSet((day(3),)))

    with folder.at(NOON) as project:
        assert days_filled(project) == []
        assert project.late_rows() == (late,)
        assert project.plan().late == (late,)
        assert folder.trained(NOON, NOON - 3 * DAY) == 3.0
        list(project.backfill(start=late.interval.start, end=late.interval.end, recompute=True))

        assert project.late_rows() == ()
    assert folder.trained(NOON, NOON - 3 * DAY) == 30.0


def test_a_file_that_grows_at_its_end_leaves_old_days_alone(folder: Folder) -> None:
    folder.define(LATENESS)
    grown = [TODAY - ago * DAY + HOUR for ago in (5, 4, 3, 2, 1)]
    folder.add_all("rows", grown)
    with folder.at(NOON) as project:
        list(project.apply())
    folder.add_all("rows", [*grown, TODAY + HOUR])

    with folder.at(NOON) as project:
        assert days_filled(project) == [Interval(TODAY - DAY, NOON - HOUR + timedelta(microseconds=1))]
        assert project.late_rows() == ()


def test_a_corrected_file_is_read_again_however_old_it_is(folder: Folder) -> None:
    applied(folder, LATENESS)
    folder.add("day4", happened=TODAY - 4 * DAY + HOUR, known=NOON, value=44.0)
    (folder.root / "data" / "day5.parquet").unlink()

    with folder.at(NOON) as project:
        assert days_filled(project) == [Interval(day(5).start, day(4).end)]
        assert project.late_rows() == ()
    assert folder.trained(NOON, NOON - 4 * DAY) == 44.0


def test_old_days_that_lost_rows_while_a_file_grew_are_filled_again(folder: Folder) -> None:
    folder.define(LATENESS)
    folder.add_all("rows", [TODAY - ago * DAY + HOUR for ago in (5, 4, 3)])
    with folder.at(NOON) as project:
        list(project.apply())
    folder.add_all("rows", [TODAY - ago * DAY + HOUR for ago in (5, 3, 2, 1)])

    with folder.at(NOON) as project:
        filled = days_filled(project)

    assert day(4) in filled
    assert day(5) not in filled


def test_rows_that_say_themselves_that_they_were_known_late_are_never_too_late(folder: Folder) -> None:
    applied(folder, WINDOWED.replace('every="1h"', 'every="1h", lateness="1d"'))
    folder.add("late", happened=TODAY - 3 * DAY + 2 * HOUR, known=NOON + HOUR, value=10.0)
    folder.add("backdated", happened=TODAY - 4 * DAY, known=TODAY - 4 * DAY, value=100.0)

    with folder.at(NOON + 2 * HOUR) as project:
        assert day(3) in days_filled(project)
        assert project.late_rows() == (LateRows("view", 1, IntervalSet((day(4),))),)


@pytest.mark.parametrize("definitions", [TOTALS, FOLLOWING], ids=["windows", "rows"])
def test_the_online_store_follows_a_file_that_was_corrected_and_one_that_is_gone(
    folder: Folder, definitions: str
) -> None:
    applied(folder, definitions)
    folder.add("day3", happened=TODAY - 3 * DAY + HOUR, known=NOON, value=300.0)
    (folder.root / "data" / "day1.parquet").unlink()
    folder.brought_up_to_date(NOON)

    with folder.at(NOON) as project:
        assert project.client.audit("view").differences == ()
    assert folder.online(NOON) == (2.0 if definitions == FOLLOWING else 5.0 + 4.0 + 300.0 + 2.0)


def test_a_key_whose_every_row_is_gone_is_missing_online(folder: Folder) -> None:
    applied(folder, TOTALS)
    for ago in range(1, 6):
        (folder.root / "data" / f"day{ago}.parquet").unlink()
    folder.add("other", happened=TODAY - 2 * DAY, known=NOON, value=1.0, key="b")
    folder.brought_up_to_date(NOON)

    with folder.at(NOON) as project:
        answer = project.client.online(entities=[{"k": "a"}, {"k": "b"}], features=["view:*"])

    assert [row["view__total_7d"] for row in answer.statuses()] == ["missing", "present"]


def test_cells_that_differ_on_event_time_alone_are_counted_by_feature(folder: Folder) -> None:
    applied(folder, DELAYED.replace('delay="1h"', 'delay="5h"').replace('features=["v"]', 'features=["v", "known"]'))
    asked = [NOON - DAY, NOON - DAY - 7 * HOUR, NOON - 2 * DAY - 7 * HOUR]  # five hours after a row, and sooner
    spine = pa.table({"k": ["a"] * 3, "event_timestamp": pa.array(asked, pa.timestamp("us", "UTC"))})
    pq.write_table(spine, folder.root / "spine.parquet")
    words = ("training-set", "--project", folder.root, "--spine", folder.root / "spine.parquet", "--features", "view:*")

    told = done(*words, "--explain-known").out
    known = done(*words, "--explain-known", "--json").json["known"]
    with folder.at(NOON) as project:
        report = project.client.explain_known(spine, features=["view:v"])

    assert "known    on event time alone, 4 of 6 cells would differ (66.67%)" in told
    assert "view__v: 2 of 3 rows (66.67%)" in told
    assert (known["rows"], known["cells"], known["differing"]) == (3, 6, 4)
    assert (report.differing, report.cells, round(report.share, 3)) == (2, 3, 0.667)
    assert "known" not in done(*words, "--json").json


def test_on_event_time_alone_a_correction_stands_for_what_it_corrected(folder: Folder) -> None:
    folder.define("""
source = fs.ParquetSource("rows", path="*.parquet", event_timestamp="happened", known_at="known")
view = fs.FeatureView("view", entity=thing, source=source, features=["v"])
""")
    folder.add("first", happened=TODAY, known=TODAY + HOUR, value=1.0)
    folder.add("corrected", happened=TODAY, known=TODAY + 5 * HOUR, value=2.0)
    asked = [TODAY + hours * HOUR for hours in (2, 6, 7)]
    spine = pa.table({"k": ["a"] * 3, "event_timestamp": pa.array(asked, pa.timestamp("us", "UTC"))})
    with folder.at(NOON) as project:
        list(project.apply())

        report = project.client.explain_known(spine, features=["view:v"])

    assert report.differing == 1  # two hours after, the correction was not known
