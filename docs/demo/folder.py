"""The demo's project: a folder with a `knownat.toml`, as anyone's project is."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from docs.demo.scope import Scope

NAME = "flights"
DEFINITIONS = Path(__file__).parents[2] / "definitions"

_SETTINGS = """\
# Written by the demo; `knownat` reads it.
name = "{name}"
definitions = "{definitions}"
data_folder = "data"

# The data ends here, so time stands still here. A project of your own has no such line: it takes the machine's clock.
clock = {clock}

[engine]
memory_limit = "1GB"  # as fast here as the default of 4GB, and this fits a small machine
"""


@dataclass(frozen=True, slots=True)
class DemoFolder:
    """Where things lie in the demo's project."""

    root: Path

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def spine(self) -> Path:
        return self.data / "spine.parquet"

    @property
    def results(self) -> Path:
        return self.root / "results.json"

    @property
    def model(self) -> Path:
        """The model as the demo trained it, before it is registered."""
        return self.root / "arrival_delay.pickle"

    @property
    def downloaded(self) -> Path:
        """The model as the registry gave it back."""
        return self.root / "downloaded.pickle"

    @property
    def looked_up(self) -> Path:
        """What the online store answered during the replay, in the order of the flights."""
        return self.root / "looked_up.parquet"

    @property
    def replay_store(self) -> Path:
        return self.root / REPLAY_STORE


REPLAY_STORE = ".knownat/replay.sqlite"


def create_project(root: Path, scope: Scope) -> DemoFolder:
    """The project in `root`, its settings written where they are not there or differ."""
    folder = DemoFolder(root.resolve())
    folder.data.mkdir(parents=True, exist_ok=True)
    settings = _SETTINGS.format(
        name=NAME,
        definitions=Path(os.path.relpath(DEFINITIONS, folder.root)).as_posix(),
        clock=scope.clock.strftime("%Y-%m-%dT%H:%M:%SZ"),
    )
    file = folder.root / "knownat.toml"
    if not file.exists() or file.read_text() != settings:
        file.write_text(settings)
    return folder
