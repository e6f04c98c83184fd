"""Runs one contender in a process of its own, so that its peak memory is its own: `python -m tests.bench.contender`.

Needs nothing of Knownat, so that it can run in another environment too.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import resource
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import pyarrow as pa
from pyarrow import feather

KEPT = "__kept"
"""A column of a result: whether the contender answered the row at all. Only those rows are compared."""


@dataclass(frozen=True, slots=True)
class Task:
    """Where a contender finds its data, and the spine it is asked for."""

    folder: Path
    spine: Path


@dataclass(frozen=True, slots=True)
class Contender:
    """What is timed, and what is done untimed before each run. `notes` are read after the runs."""

    run: Callable[[], pa.Table]
    before: Callable[[], None] = lambda: None
    notes: Callable[[], dict[str, float]] = dict


def main() -> None:
    arguments = _arguments()
    module, _, name = arguments.contender.partition(":")
    contender: Contender = getattr(importlib.import_module(module), name)(Task(arguments.folder, arguments.spine))
    if arguments.result is not None:
        contender.before()
        feather.write_feather(contender.run(), str(arguments.result), compression="uncompressed")
    seconds = [_seconds(contender) for _ in range(arguments.runs)]
    told = {"seconds": seconds, "peak_bytes": _peak_bytes(), "notes": contender.notes()}
    sys.stdout.write("\n" + json.dumps(told) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("contender", help="module:function")
    parser.add_argument("folder", type=Path)
    parser.add_argument("spine", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--result", type=Path, help="where an untimed first run leaves its table")
    return parser.parse_args()


def _seconds(contender: Contender) -> float:
    contender.before()
    gc.collect()
    started = perf_counter()
    table = contender.run()
    taken = perf_counter() - started
    del table
    return taken


def _peak_bytes() -> int:
    """Of this process alone: getrusage would count what its parent held when it was started."""
    status = Path("/proc/self/status")
    if status.exists():
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


if __name__ == "__main__":
    main()
