"""Filling days again: what it costs that the rows a table holds are compared with those that come, by what a source
says of rows that are gone from it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from sdk import open_project
from tests.bench.contender import Contender, Task
from tests.bench.history import Sizes, write_events, write_project
from tests.bench.measure import Entry, Measured, run, show
from tests.bench.ours import apply_all

SMALL = Sizes(2_000_000, 1_000, 100_000, views=1, features=5)
LARGE = Sizes(5_000_000, 1_000, 100_000, views=1, features=5)
_AGAIN = "tests.bench.removed:again"
_GONE_SHARE = 100


def measure_removed(folder: Path, sizes: Sizes, *, runs: int) -> None:
    """The same rows filled again under each policy, then with one row of a hundred gone; the folder is gone
    afterwards."""
    for what, policies, write in (
        ("rows", ("follow", "hold", "keep"), write_project),
        ("windows", ("follow", "hold"), write_events),
    ):
        source = folder / what / "source"
        spine = write(source, sizes)
        measured = [one for policy in policies for one in _measured(source, spine, policy, runs=runs)]
        title = f"{sizes.rows:,} rows, {sizes.keys:,} keys, {what}: filled again"
        show(title, [one for one in measured if "gone" not in one.name])
        show(f"{title}, one of {_GONE_SHARE} gone", [one for one in measured if "gone" in one.name])
    shutil.rmtree(folder)


def again(task: Task) -> Contender:
    """All days of a project that is filled, once more."""

    def fill() -> pa.Table:
        with open_project(task.folder) as project:
            return pa.table({"rows": [chunk.rows for chunk in project.backfill(recompute=True)]})

    return Contender(fill)


def _measured(source: Path, spine: Path, policy: str, *, runs: int) -> tuple[Measured, Measured]:
    folder = source.parent / policy
    shutil.copytree(source, folder)
    definitions = folder / "definitions" / "features.py"
    declared = f'event_timestamp="happened", removed_rows="{policy}"'
    definitions.write_text(definitions.read_text().replace('event_timestamp="happened"', declared))
    apply_all(folder)
    task = Task(folder, spine)
    whole = run(Entry(policy, _AGAIN, compared=False), task, runs=runs)
    for file in (folder / "data").rglob("*.parquet"):
        rows = pq.ParquetFile(file).read()
        pq.write_table(rows.slice(rows.num_rows // _GONE_SHARE), file)
    less = run(Entry(f"{policy}, some gone", _AGAIN, compared=False), task, runs=runs)
    shutil.rmtree(folder)
    return whole, less
