"""`python -m docs.demo`, which `make demo` calls: the whole story on a year of real flights."""

from __future__ import annotations

import argparse
import resource
import sys
from pathlib import Path
from time import perf_counter

from docs.demo.promise import PromiseBroken
from docs.demo.scope import YEAR
from docs.demo.screen import Screen
from docs.demo.story import tell
from sdk import KnownatError

ROOT = Path(__file__).parents[2]
_INTERRUPTED = 130  # what shells expect after Ctrl-C


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m docs.demo", description=__doc__)
    parser.add_argument("--folder", type=Path, default=ROOT / ".demo", metavar="DIR", help="the project it makes")
    folder: Path = parser.parse_args().folder
    shown = Path(folder).relative_to(ROOT) if folder.is_relative_to(ROOT) else folder
    screen = Screen()
    screen.opening(
        "Knownat, on every flight out of New York in 2013", f"The project is {shown}; it is yours to look at."
    )
    started = perf_counter()
    try:
        story = tell(YEAR, folder, screen)
    except PromiseBroken as broken:
        screen.failure(f"The promise is broken: {broken}")
        return 1
    except KnownatError as error:
        screen.failure(str(error))
        return 1
    except KeyboardInterrupt:
        screen.failure("Stopped. The same command goes on from here.")
        return _INTERRUPTED
    spent = (("this run", f"{perf_counter() - started:.0f} s, at most {_peak_gigabytes():.1f} GB of memory"),)
    screen.closing((*story.results(), *spent), _commands(shown))
    return 0


def _commands(folder: Path) -> tuple[tuple[str, str], ...]:
    knownat = f".venv/bin/knownat --project {folder}"
    return (
        (f"{knownat} lineage source:flights.arr_delay --down", "what breaks if that column changes"),
        (f"{knownat} serve", "the same project over HTTP, with its API described at /openapi.json"),
        (".venv/bin/knownat init my-project", "a project of your own, with definitions that run"),
    )


def _peak_gigabytes() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e9 if sys.platform == "darwin" else peak / 1e6  # macOS counts bytes, Linux kilobytes


if __name__ == "__main__":
    sys.exit(main())
