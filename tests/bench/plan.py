"""`plan` over a thousand views of twenty features, for the first time and again, each time in a fresh process."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.bench.contender import Task
from tests.bench.many_views import FEATURES, write_many_views
from tests.bench.measure import Entry, run, show

_ENTRIES = (
    Entry("Knownat, nothing remembered", "tests.bench.ours:plan_cold", compared=False),
    Entry("Knownat, planned before", "tests.bench.ours:plan_warm", compared=False),
)


def measure_plan(folder: Path, views: int) -> None:
    """Each measured once a process, as the command line does; the folder is gone afterwards."""
    write_many_views(folder, views)
    measured = [run(entry, Task(folder, folder), runs=1) for entry in _ENTRIES]
    show(f"plan over {views:,} views, {views * FEATURES:,} features", measured)
    shutil.rmtree(folder)
