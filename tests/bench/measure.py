"""Contenders side by side: each in a process of its own, its values compared with the first one's before any figure."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tests.bench.contender import KEPT, Task

RUNS = 3
_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Entry:
    """A contender: its name in the table, `module:function`, and the Python that runs it. `compared` is False for one
    whose answer is no table of values."""

    name: str
    contender: str
    python: str = sys.executable
    compared: bool = True


@dataclass(frozen=True, slots=True)
class Measured:
    """Medians of the runs. No seconds: it did not finish."""

    name: str
    seconds: float | None
    peak_bytes: int = 0
    notes: Mapping[str, float] = field(default_factory=dict)
    failure: str = ""


def compare(entries: Sequence[Entry], task: Task, *, runs: int = RUNS, tolerance: float = 0.0) -> list[Measured]:
    """Each entry's figures. Raises AssertionError when one's values are not the first one's, to within the relative
    `tolerance`."""
    measured: list[Measured] = []
    reference: Path | None = None
    for number, entry in enumerate(entries):
        result = task.folder / f"result_{number}.arrow"
        measured.append(run(entry, task, runs=runs, result=result if entry.compared else None))
        if not result.exists():
            continue
        if reference is None:
            reference = result
            continue
        _check_equal(entry.name, reference, result, tolerance)
        result.unlink()
    if reference is not None:
        reference.unlink()
    return measured


def run(entry: Entry, task: Task, *, runs: int = RUNS, result: Path | None = None) -> Measured:
    command = [entry.python, "-m", "tests.bench.contender", entry.contender, task.folder, task.spine]
    command += ["--runs", str(runs), *(["--result", result] if result else [])]
    finished = subprocess.run(list(map(str, command)), cwd=_ROOT, capture_output=True, text=True, check=False)
    if finished.returncode:
        reason = f"killed by signal {-finished.returncode}" if finished.returncode < 0 else finished.stderr[-2_000:]
        return Measured(entry.name, None, failure=reason)
    told = json.loads(finished.stdout.splitlines()[-1])
    return Measured(entry.name, median(told["seconds"]), told["peak_bytes"], told["notes"])


def show(title: str, measured: Sequence[Measured], *, against: str = "") -> None:
    """A table on standard output; ratios are those of `against`'s seconds, by default the first one's."""
    print(f"\n{title}")
    base = next((one.seconds for one in measured if one.name == against), measured[0].seconds)
    for one in measured:
        if one.seconds is None:
            print(f"  {one.name:<34} did not finish: {one.failure.strip().splitlines()[-1]}")
            continue
        ratio = f"{one.seconds / base:6.2f} x" if base else ""
        notes = ", ".join(f"{name} {value:,.6g}" for name, value in one.notes.items())
        print(f"  {one.name:<34} {one.seconds:9.3f} s  {one.peak_bytes / 1e9:6.2f} GB  {ratio}  {notes}", flush=True)


def _check_equal(name: str, expected: Path, found: Path, tolerance: float) -> None:
    with pa.memory_map(str(expected)) as left, pa.memory_map(str(found)) as right:
        want, have = pa.ipc.open_file(left).read_all(), pa.ipc.open_file(right).read_all()
        if have.num_rows != want.num_rows:
            raise AssertionError(f"{name}: {have.num_rows} rows for {want.num_rows}")
        if KEPT in have.column_names:
            kept, have = have[KEPT], have.drop_columns([KEPT])
            want, have = want.filter(kept), have.filter(kept)
        for column in have.column_names:  # a contender may leave columns out, and says so in its name
            differing = _differing(want[column], have[column], tolerance)
            if differing:
                raise AssertionError(f"{name}: {differing} of {want.num_rows} values of {column} differ")


def _differing(want: pa.ChunkedArray, have: pa.ChunkedArray, tolerance: float) -> int:
    nulls = pc.sum(pc.not_equal(want.is_null(), have.is_null())).as_py() or 0
    one, other = (pc.fill_null(pc.cast(values, pa.float64()), 0.0).to_numpy() for values in (want, have))
    apart = ~np.isclose(one, other, rtol=tolerance, atol=0.0, equal_nan=True)
    return int(nulls) + int(apart.sum())
