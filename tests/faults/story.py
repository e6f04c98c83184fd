"""The work that is made to fail: five steps in the life of a small project, each what one or two commands do.

A step runs in a process of its own, forked from one that has loaded everything and started no thread, so that it takes
a fraction of a second. What the process says arrives here even if it is killed in the middle of a word.
"""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from multiprocessing.connection import Connection
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from featurestore.errors import KnownatError
from featurestore.intervals import Interval
from featurestore.operations.fill_chunks import ChunkFilled
from registry.wiring import open_project
from sdk.project import Project
from tests.faults.failpoints import Fault, Watch, watch_below_the_ports, watched_project
from tests.small_project import DAY, FACTS, NOW, SPINE, SmallProject

LATER = NOW + 2 * DAY
CHUNK_DAYS = 20
ARTIFACT = b"weights" * 40_000
_DEADLINE_SECONDS = 60.0

_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["tests.faults.story", "sdk.local", "registry.service.answers"])


@dataclass(frozen=True, slots=True)
class Step:
    """`prepare` is what people do before, `run` is what the command does, at the moment `now`."""

    now: datetime
    prepare: Callable[[SmallProject], None]
    run: Callable[[Project, Callable[[object], None]], None]


@dataclass(frozen=True, slots=True)
class Way:
    """How a step is run. `seconds`: kill it then."""

    fault: Fault | None = None
    seconds: float | None = None
    settings: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Stopped:
    """What a process says that waits for a word before it goes on."""


@dataclass(frozen=True, slots=True)
class Ran:
    """How it ended, the calls it made in their order, what it reported as done, and the error it ended with."""

    code: int | None
    calls: tuple[str, ...]
    done: tuple[ChunkFilled, ...]
    error: Exception | None

    @property
    def writes(self) -> int:
        """How many chunks an engine was asked to write."""
        return self.calls.count("engine.write")

    @property
    def filled(self) -> tuple[tuple[str, Interval], ...]:
        return tuple((chunk.view, chunk.interval) for chunk in self.done)


def run_step(name: str, folder: Path, way: Way, meanwhile: Callable[[], object] | None = None) -> Ran:
    """Run the step in a process of its own to its end, whichever that is. One that hangs fails the test.

    `meanwhile` is done here while the process stands still at the failpoint of `Failure.STOP`.
    """
    ours, theirs = _PROCESSES.Pipe()
    process = _PROCESSES.Process(target=_run_here, args=(name, folder, way, theirs))
    process.start()
    theirs.close()
    timer = threading.Timer(way.seconds, process.kill) if way.seconds is not None else None
    if timer is not None:
        timer.start()
    try:
        said = _heard(ours, f"step '{name}' with {way}", meanwhile)
    finally:
        if timer is not None:
            timer.cancel()
            timer.join()
        ours.close()
        process.join(_DEADLINE_SECONDS)
        process.kill()
        process.join()
    return Ran(
        process.exitcode,
        tuple(what for what in said if isinstance(what, str)),
        tuple(what for what in said if isinstance(what, ChunkFilled)),
        next((what for what in said if isinstance(what, Exception)), None),
    )


def _heard(connection: Connection, what: str, meanwhile: Callable[[], object] | None) -> list[object]:
    said: list[object] = []
    while connection.poll(_DEADLINE_SECONDS):
        try:
            said.append(connection.recv())
        except EOFError:
            return said
        if isinstance(said[-1], _Stopped):
            assert meanwhile is not None
            meanwhile()
            connection.send(None)
    return pytest.fail(f"{what} has said nothing for {_DEADLINE_SECONDS:.0f} seconds; the last was {said[-1:]}")


def _run_here(name: str, folder: Path, way: Way, connection: Connection) -> None:
    def stop() -> None:
        connection.send(_Stopped())
        connection.recv()

    step, watch = STORY[name], Watch(way.fault, connection.send, stop)
    watch_below_the_ports(watch)
    try:
        with Project(watched_project(open_project(folder, settings_of(step, way.settings)), watch)) as project:
            step.run(project, connection.send)
    except KnownatError as error:
        # Told in its words: an error of several parameters can not be sent as it is.
        connection.send(KnownatError(error.message))
    except Exception as error:  # noqa: BLE001 - the edge of the process; whoever reads decides
        connection.send(RuntimeError(f"{type(error).__name__}: {error}"))


def settings_of(step: Step, more: Mapping[str, object]) -> dict[str, object]:
    return {"clock": step.now, "engine": {"threads": 1, "chunk_days": CHUNK_DAYS}, **more}


def _apply(project: Project, tell: Callable[[object], None]) -> None:
    for progress in project.apply():
        tell(progress)
    for materialized in project.materialize():
        tell(materialized)


def _advance(project: Project, tell: Callable[[object], None]) -> None:
    for progress in project.backfill():
        tell(progress)
    for materialized in project.materialize():
        tell(materialized)


def _pull(project: Project, tell: Callable[[object], None]) -> None:
    tell((project.client.training_set(SPINE, service="shops_v1", label="late").id,))


def _register(project: Project, tell: Callable[[object], None]) -> None:
    [dataset] = project.client.datasets()
    for key in ("first", "second"):
        version = project.client.register_model(
            "late_shops", ARTIFACT + key.encode(), dataset=str(dataset["id"]), key=key, code_commit="none"
        )
        tell((version.version,))
    project.client.models.set_alias("late_shops", "champion", 2)


def _nothing(project: SmallProject) -> None:
    """Nobody does anything before this step."""


def _add_rows(project: SmallProject) -> None:
    moments = [NOW + DAY / 3, NOW + DAY, NOW + DAY * 1.5]
    project.append_orders("second", [("alma", moments[0], 4.0), ("new", moments[1], -0.0), ("alma", moments[2], 0.7)])
    row = {"shop": "alma", "recorded_at": NOW + DAY, "score": 0.5, "visitors": 7, "city": "Ω", "opened": NOW}
    more = pa.Table.from_pylist([row], schema=FACTS.schema)
    pq.write_table(pa.concat_tables([FACTS, more]), project.folder / "data" / "facts.parquet")


def _change_a_view(project: SmallProject) -> None:
    project.redefine(
        'fs.Aggregate("amount", fs.sum, windows=["7d"])', 'fs.Aggregate("amount", fs.sum, windows=["7d", "30d"])'
    )


STORY = {
    "apply": Step(NOW, _nothing, _apply),
    "pull": Step(NOW, _nothing, _pull),
    "register": Step(NOW, _nothing, _register),
    "advance": Step(LATER, _add_rows, _advance),
    "change": Step(LATER, _change_a_view, _apply),
}
"""In this order each goes on where the one before it ended."""
