"""A fill that somebody pushes into: what is pushed stays, and the fill is not done for nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from featurestore.errors import ConcurrentChange
from featurestore.graph.resolved import ResolvedView
from featurestore.intervals import Interval
from featurestore.operations.fill_views import FillRequest, fill_views
from featurestore.operations.push import pushable_source
from featurestore.ports.engine import DataFile
from featurestore.ports.offline_store import OfflineStore
from registry.wiring import WiredProject
from tests.pushed_project import HOUR, MINUTE, MOMENT, NOON, PushedProject, pushed, pushed_project, visits


class Overtaken:
    """Tables in which somebody commits just before each of the first fills does."""

    def __init__(self, tables: OfflineStore, meanwhile: list[Callable[[], object]]) -> None:
        self._tables, self._meanwhile = tables, meanwhile
        self.create, self.exists, self.snapshot = tables.create, tables.exists, tables.snapshot
        self.staging_folder, self.amend, self.turn = tables.staging_folder, tables.amend, tables.turn

    def replace(self, table: str, days: Interval, files: tuple[DataFile, ...], *, based_on: int) -> int:
        if self._meanwhile:
            self._meanwhile.pop(0)()
        return self._tables.replace(table, days, files, based_on=based_on)


@pytest.fixture
def project(tmp_path: Path) -> PushedProject:
    """With one row of each day, both filled."""
    project = pushed_project(tmp_path)
    with project.at(NOON) as opened:
        for moment in (NOON - 24 * HOUR, NOON - 2 * HOUR):
            rows = visits(("alma", moment, 1, 0.5))
            opened.push("visits", rows.append_column("seen", rows["at"]), key=str(moment))
        list(opened.backfill(views=["latest"]))
    return project


def view_of(wired: WiredProject) -> ResolvedView:
    current = wired.features.project.catalog.current()
    assert current is not None
    return current.graph.view("latest")


def filled(wired: WiredProject, *meanwhile: Callable[[], object]) -> int:
    """Fill everything again, chunk by chunk of a day."""
    offline = wired.features.offline
    watched = replace(offline, tables=Overtaken(offline.tables, list(meanwhile)))
    request = FillRequest((view_of(wired),), recompute=True)
    return len(list(fill_views(request, watched, now=wired.features.clock(), chunk_days=1)))


def visitors(wired: WiredProject) -> list[int]:
    files = wired.features.offline.tables.snapshot(view_of(wired).table).files.paths
    return sorted(row["visitors"] for file in files for row in pq.ParquetFile(file).read().to_pylist())


def known(visitors_: int, at: datetime, when: datetime) -> pa.Table:
    rows = visits(("alma", at, visitors_, 0.5))
    return rows.append_column("seen", pa.array([when], MOMENT))


def test_what_is_pushed_while_its_day_is_filled_stays(project: PushedProject) -> None:
    wired = project.wired(NOON + 10 * MINUTE)
    chunks = filled(
        wired,
        lambda: pushed(wired, "latest", visits(("alma", NOON, 7, 0.5)), "first"),
        lambda: pushed(wired, "latest", visits(("alma", NOON - 25 * HOUR, 8, 0.5)), "second"),
        lambda: pushed(wired, "latest", visits(("alma", NOON + MINUTE, 9, 0.5)), "third"),
    )

    assert chunks == 2
    assert visitors(wired) == [1, 1, 7, 8, 9]
    wired.close()


def test_of_a_pushed_and_a_filled_row_with_the_same_times_the_same_one_stays_as_ever(project: PushedProject) -> None:
    wired = project.wired(NOON + 10 * MINUTE)
    late = NOON - 2 * HOUR
    filled(
        wired,
        lambda: pushed(wired, "latest", known(0, late - 22 * HOUR, late - 22 * HOUR), "less"),
        lambda: pushed(wired, "latest", known(5, late, late), "greater"),
    )

    assert visitors(wired) == [1, 5]
    assert filled(wired) == 2
    assert visitors(wired) == [1, 5]
    wired.close()


def test_a_row_that_a_fill_has_already_is_not_there_twice(project: PushedProject) -> None:
    """The push was durable before the fill began, and in the table only afterwards."""
    wired = project.wired(NOON + 10 * MINUTE)
    rows = visits(("alma", NOON - MINUTE, 7, 0.5))
    wired.features.frames.append(
        pushable_source(view_of(wired)),
        rows.append_column("seen", pa.array([NOON + 10 * MINUTE], MOMENT)).select([*rows.column_names, "seen"]),
        "key",
    )

    filled(wired, lambda: pushed(wired, "latest", rows, "key"), lambda: pushed(wired, "latest", rows, "key"))

    assert visitors(wired) == [1, 1, 7]
    wired.close()


def test_who_is_overtaken_by_another_fill_still_gives_way(project: PushedProject) -> None:
    wired, other = project.wired(NOON + 10 * MINUTE), project.wired(NOON + 10 * MINUTE)

    with pytest.raises(ConcurrentChange):
        filled(wired, lambda: filled(other))
    with pytest.raises(ConcurrentChange):
        filled(wired, lambda: [pushed(other, "latest", visits(("b", NOON, 7, 0.5)), "key"), filled(other)])
    assert visitors(wired) == [1, 1, 7]
    wired.close()
    other.close()
