"""`make bench`, `make bench-large`, `make bench-peers`: every benchmark in turn, one at a time, with its machine."""

from __future__ import annotations

import argparse
import platform
from collections.abc import Callable
from os import cpu_count
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.measure import RUNS, Entry
from tests.bench.plan import measure_plan
from tests.bench.point_in_time import BY_HAND, HUGE, LARGE, SMALL, measure_growth, measure_joins
from tests.bench.removed import LARGE as MANY_REMOVED
from tests.bench.removed import SMALL as SOME_REMOVED
from tests.bench.removed import measure_removed
from tests.bench.windows import LARGE as MANY_EVENTS
from tests.bench.windows import SMALL as SOME_EVENTS
from tests.bench.windows import measure_windows

_SPINES = (10_000, 100_000, 1_000_000, 10_000_000)


def main() -> None:
    arguments = _arguments()
    print(f"{platform.system()} {platform.machine()}, {cpu_count()} processors, Python {platform.python_version()}")
    with TemporaryDirectory(prefix="knownat-bench-") as folder:
        for subject in arguments.subjects or _SUBJECTS:
            _SUBJECTS[subject](Path(folder) / subject, arguments)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("subjects", nargs="*", help=f"by default all: {', '.join(_SUBJECTS)}")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--large", action="store_true", help="the large sizes alone: 6 GB of disk, 16 GB of memory")
    size.add_argument("--huge", action="store_true", help="100 M rows per view, Knownat alone: 80 GB of disk")
    parser.add_argument("--runs", type=int, default=RUNS, help="medians of so many runs")
    parser.add_argument("--peers", type=Path, help="the Python of an environment with Feast, for the small joins")
    return parser.parse_args()


def _joins(folder: Path, arguments: argparse.Namespace) -> None:
    sizes = (HUGE,) if arguments.huge else (LARGE,) if arguments.large else SMALL
    others = () if arguments.huge else (*BY_HAND, *_peers(arguments))
    for size in sizes:
        measure_joins(folder / str(size.rows), size, others, runs=arguments.runs)


def _windows(folder: Path, arguments: argparse.Namespace) -> None:
    measure_windows(folder, MANY_EVENTS if arguments.large else SOME_EVENTS, runs=arguments.runs)


def _growth(folder: Path, arguments: argparse.Namespace) -> None:
    sizes, spines = (LARGE, _SPINES) if arguments.large else (SMALL[-1], _SPINES[:3])
    measure_growth(folder, sizes, spines, runs=arguments.runs)


def _plan(folder: Path, arguments: argparse.Namespace) -> None:
    measure_plan(folder, 1_000 if arguments.large else 200)


def _due(folder: Path, arguments: argparse.Namespace) -> None:
    from tests.bench.due import measure_due

    measure_due(folder, arguments.runs)


def _removed(folder: Path, arguments: argparse.Namespace) -> None:
    measure_removed(folder, MANY_REMOVED if arguments.large else SOME_REMOVED, runs=arguments.runs)


def _online(folder: Path, arguments: argparse.Namespace) -> None:
    from tests.bench.online import measure_online
    from tests.bench.online_growth import measure_online_growth

    if arguments.large:
        measure_online_growth(folder)
    else:
        measure_online(folder, arguments.peers)


def _peers(arguments: argparse.Namespace) -> tuple[Entry, ...]:
    if arguments.peers is None or arguments.large:
        return ()
    python = str(arguments.peers.absolute())
    return (
        Entry("Feast, DuckDB store", "tests.bench.feast_join:duckdb_store", python),
        Entry("Feast, default store", "tests.bench.feast_join:default_store", python),
    )


_SUBJECTS: dict[str, Callable[[Path, argparse.Namespace], None]] = {
    "joins": _joins,
    "windows": _windows,
    "growth": _growth,
    "plan": _plan,
    "due": _due,
    "removed": _removed,
    "online": _online,
}


if __name__ == "__main__":
    main()
