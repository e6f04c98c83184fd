"""`knownat run --due` every minute over a hundred views, none of which has anything new: a process for each run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from statistics import median
from time import perf_counter

from sdk import open_project
from tests.bench.history import NOW
from tests.bench.many_views import write_many_views

_VIEWS = 100
_BEFORE = 3
"""Runs until everything has been found that does not change."""


def measure_due(folder: Path, runs: int) -> None:
    write_many_views(folder, _VIEWS)
    with open_project(folder) as project:
        for _ in project.apply():
            pass
        for _ in project.materialize():
            pass
    state = folder / ".knownat" / "state.sqlite"
    for minute in range(1, _BEFORE + 1):
        _seconds(folder, NOW + minute * timedelta(minutes=1))
    size = state.stat().st_size
    print(f"\nrun --due over {_VIEWS} views with nothing new, a process a run")
    for label, step in (("a minute later", timedelta(minutes=1)), ("an hour later, windows too", timedelta(hours=1))):
        timed = [_seconds(folder, NOW + timedelta(hours=1) + run * step) for run in range(1, runs + 1)]
        seconds, processor = zip(*timed, strict=True)
        print(f"  {label}: {median(seconds):.2f} s in the middle, {min(seconds):.2f} to {max(seconds):.2f}", end="")
        print(f", {median(processor):.2f} s of them of the processor")
    print(f"  state: {state.stat().st_size - size:+,} bytes in {2 * runs} runs, {size:,} before")
    shutil.rmtree(folder)


def _seconds(folder: Path, now: datetime) -> tuple[float, float]:
    """How long it took, and the processor's time of that, which is the same on a machine that others use."""
    command = [sys.executable, "-m", "sdk.cli", "run", "--due", "--project", str(folder), "--json"]
    started, before = perf_counter(), _processor_seconds()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "KNOWNAT_CLOCK": now.isoformat()})
    return perf_counter() - started, _processor_seconds() - before


def _processor_seconds() -> float:
    used = getrusage(RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
