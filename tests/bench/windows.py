"""Windowed aggregates: hop 1 h, windows 1 d, 7 d, 30 d of sum, count, mean, max; Knownat's tiles and SQL by hand."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.bench.contender import Task
from tests.bench.history import Sizes, write_events
from tests.bench.measure import Entry, compare, run, show

SMALL = Sizes(1_000_000, 100_000, 10_000)
LARGE = Sizes(10_000_000, 1_000_000, 100_000)
_SUMS_DIFFER = 1e-9
"""By hand, sums are of floats, in any order."""

_PULLS = (
    Entry("Knownat, from tiles", "tests.bench.ours:ours"),
    Entry("DuckDB, range join", "tests.bench.windows_by_hand:range_join"),
    Entry("DuckDB, window functions", "tests.bench.windows_by_hand:window_functions"),
    Entry("DuckDB, prefix sums (without max)", "tests.bench.windows_by_hand:prefix_sums"),
)
_BACKFILLS = (
    Entry("DuckDB, GROUP BY to Parquet", "tests.bench.windows_by_hand:group_by", compared=False),
    Entry("Knownat, backfill of the tiles", "tests.bench.ours:backfill", compared=False),
)
_INCREMENTS = (
    Entry("Knownat, backfill and materialize", "tests.bench.ours:everything", compared=False),
    Entry("Knownat, the next day alone", "tests.bench.ours:next_day", compared=False),
)


def measure_windows(folder: Path, sizes: Sizes, *, runs: int) -> None:
    """Pulls, backfills and increments; the folder is gone afterwards."""
    task = Task(folder, write_events(folder, sizes))
    size = f"{sizes.rows:,} events, {sizes.keys:,} keys"
    show(f"{size}: backfill", [run(entry, task, runs=runs) for entry in _BACKFILLS])
    show(f"{size}: the next day", [run(entry, task, runs=runs) for entry in _INCREMENTS])
    pulls = compare(_PULLS, task, runs=runs, tolerance=_SUMS_DIFFER)
    show(f"{size}: {sizes.spine:,} spine rows x 12 features", pulls, against="DuckDB, range join")
    shutil.rmtree(folder)
