"""Knownat as a contender: the only module of the benchmarks of joins and windows that touches Knownat's own code."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import timedelta
from itertools import count
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from featurestore.graph.selection import referenced_features
from featurestore.operations.point_in_time import Pull, point_in_time
from registry.wiring import open_project as open_wired
from sdk import open_project
from sdk.project import Project
from tests.bench.contender import Contender, Task
from tests.bench.history import NOW


def ours(task: Task) -> Contender:
    """The point-in-time join alone: from a spine in memory and the Delta tables to an Arrow table."""
    wired = open_wired(task.folder)
    features = wired.features
    applied = features.project.catalog.current()
    assert applied is not None
    chosen = referenced_features(applied.graph, [f"{view.name}:*" for view in applied.graph.views])
    ends = {view.name: NOW for view in chosen.views}
    spine = pq.read_table(task.spine)

    def run() -> pa.Table:
        files = {view.name: features.offline.tables.snapshot(view.table).files for view in chosen.views}
        pull = Pull(spine, chosen, "event_timestamp", files, ends)
        return pa.concat_tables(point_in_time(pull, features.offline))

    return Contender(run)


def whole_training_set(task: Task) -> Contender:
    """A training set as users pull it: hashed, profiled, kept with its spine and manifest, and read back."""
    project = open_project(task.folder)
    features = [f"{view}:*" for view in project.views()]
    spine, runs = pq.read_table(task.spine), count()

    def run() -> pa.Table:
        # A pull of the same spine is done once, and then only looked up.
        another = spine.append_column("run", pa.repeat(next(runs), spine.num_rows))
        return project.client.training_set(another, features=features).to_arrow()

    return Contender(run)


def apply_all(folder: Path) -> None:
    """Create and fill the tables of the project."""
    with open_project(folder) as project:
        _drain(project)


def backfill(task: Task) -> Contender:
    """All tables from nothing. Notes how large they are, next to the sources."""

    def notes() -> dict[str, float]:
        stored, raw = (_parquet_bytes(task.folder / part) for part in (".knownat/tables", "data"))
        return {"MB stored": stored / 1e6, "MB of sources": raw / 1e6, "ratio": stored / raw}

    return Contender(_filling(task.folder, materialize=False), before=lambda: _forget(task.folder), notes=notes)


def everything(task: Task) -> Contender:
    """Backfill from nothing and materialize."""
    return Contender(_filling(task.folder, materialize=True), before=lambda: _forget(task.folder))


def next_day(task: Task) -> Contender:
    """Backfill and materialize of the last day's events, everything before it being done."""
    newest = max((task.folder / "data").rglob("*.parquet"))
    aside = task.folder / "not-yet-here"

    def before() -> None:
        _forget(task.folder)
        newest.rename(aside)
        try:
            yesterday = {"clock": (NOW - timedelta(days=1)).isoformat()}
            with open_project(task.folder, settings=yesterday) as project:
                _drain(project)
                list(project.materialize())
        finally:
            aside.rename(newest)

    def run() -> pa.Table:
        with open_project(task.folder) as project:
            for _ in project.backfill():
                pass
            return pa.table({"written": [done.written for done in project.materialize()]})

    return Contender(run, before=before)


def plan_cold(task: Task) -> Contender:
    """A plan of a project that was never planned before."""
    return Contender(_planning(task.folder), before=lambda: _forget(task.folder))


def plan_warm(task: Task) -> Contender:
    """A plan of a project that was planned before, in another process."""
    return Contender(_planning(task.folder))


def _planning(folder: Path) -> Callable[[], pa.Table]:
    def run() -> pa.Table:
        with open_project(folder) as project:
            return pa.table({"changes": [change.what for change in project.plan().changes]})

    return run


def _filling(folder: Path, *, materialize: bool) -> Callable[[], pa.Table]:
    def run() -> pa.Table:
        with open_project(folder) as project:
            _drain(project)
            return pa.table({"written": [done.written for done in project.materialize()] if materialize else []})

    return run


def _drain(project: Project) -> None:
    for _ in project.apply():
        pass


def _forget(folder: Path) -> None:
    shutil.rmtree(folder / ".knownat", ignore_errors=True)


def _parquet_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*.parquet"))
