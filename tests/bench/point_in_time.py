"""Point-in-time joins of three row-level views of ten features, TTL 7 days, 90 days: Knownat and joins by hand."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from tests.bench.contender import Task
from tests.bench.history import Sizes, write_project, write_spine
from tests.bench.measure import Entry, compare, run, show

KNOWNAT = Entry("Knownat", "tests.bench.ours:ours")
WHOLE = Entry("Knownat, whole training set", "tests.bench.ours:whole_training_set", compared=False)
FILLING = Entry("Knownat, backfill of the views", "tests.bench.ours:backfill", compared=False)
BY_HAND = (
    Entry("Polars join_asof", "tests.bench.joins_by_hand:polars"),
    Entry("Polars join_asof, all columns", "tests.bench.joins_by_hand:polars_plain"),
    Entry("DuckDB ASOF", "tests.bench.joins_by_hand:duckdb_asof"),
    Entry("pandas merge_asof", "tests.bench.joins_by_hand:pandas"),
)
SMALL = (Sizes(100_000, 10_000, 10_000), Sizes(1_000_000, 100_000, 100_000))
LARGE = Sizes(10_000_000, 1_000_000, 1_000_000)
HUGE = Sizes(100_000_000, 10_000_000, 10_000_000)


def measure_joins(folder: Path, sizes: Sizes, others: Sequence[Entry], *, runs: int) -> None:
    """One line for Knownat and each of `others`; the folder is gone afterwards."""
    spine = write_project(folder, sizes)
    task = Task(folder, spine)
    filled = run(FILLING, task, runs=1)
    measured = compare([KNOWNAT, *others], task, runs=runs)
    measured.append(run(WHOLE, task, runs=runs))
    title = f"{sizes.rows:,} rows per view, {sizes.spine:,} spine rows, {sizes.views} x {sizes.features} features"
    show(title, measured, against="Polars join_asof")
    show(f"{sizes.rows:,} rows per view: tables", [filled])
    shutil.rmtree(folder)


def measure_growth(folder: Path, sizes: Sizes, spines: Sequence[int], *, runs: int) -> None:
    """Knownat on the same views with spines of growing size; the folder is gone afterwards."""
    write_project(folder, sizes)
    run(FILLING, Task(folder, folder), runs=1)
    measured = []
    for rows in spines:
        task = Task(folder, write_spine(folder, rows, sizes.keys))
        for entry in (KNOWNAT, WHOLE):
            measured.append(run(Entry(f"{entry.name}, {rows:,}", entry.contender), task, runs=runs))
    show(f"Growth with the spine, {sizes.rows:,} rows per view", measured)
    shutil.rmtree(folder)
