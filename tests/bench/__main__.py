"""`make bench`: every benchmark in turn, one at a time, with the machine it ran on."""

from __future__ import annotations

import platform
from os import cpu_count
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.online import measure_online


def main() -> None:
    print(f"{platform.system()} {platform.machine()}, {cpu_count()} processors, Python {platform.python_version()}")
    with TemporaryDirectory(prefix="knownat-bench-") as folder:
        measure_online(Path(folder) / "online")


if __name__ == "__main__":
    main()
