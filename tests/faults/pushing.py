"""Processes that push: killed at a call, or many at once."""

from __future__ import annotations

import multiprocessing
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from multiprocessing.connection import Connection
from pathlib import Path

from featurestore.errors import KnownatError
from registry.wiring import open_project
from sdk.project import Project
from tests.faults.failpoints import Fault, Watch, watch_below_the_ports, watched_project
from tests.pushed_project import MINUTE, pushed, visits

_DEADLINE_SECONDS = 120.0
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["tests.faults.pushing", "sdk.local", "registry.service.answers"])


@dataclass(frozen=True, slots=True)
class Job:
    """Push `keys` to the view `latest` one after another at the moment `now`, each with one row of the shop of its
    name; or bring what is due up to date as often as there are keys."""

    now: datetime
    keys: tuple[str, ...]
    runs_due: bool = False
    fault: Fault | None = None
    settings: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ended:
    """How it ended, the calls it made, and for each push what was said of it."""

    code: int | None
    calls: tuple[str, ...]
    said: tuple[tuple[str, ...], ...]


def run_jobs(folder: Path, *jobs: Job) -> list[Ended]:
    """Each in a process of its own, at the same time."""
    pipes = [_PROCESSES.Pipe(duplex=False) for _ in jobs]
    processes = [
        _PROCESSES.Process(target=_run_here, args=(folder, job, theirs))
        for job, (_, theirs) in zip(jobs, pipes, strict=True)
    ]
    for process, (_, theirs) in zip(processes, pipes, strict=True):
        process.start()
        theirs.close()
    heard = [_heard(ours) for ours, _ in pipes]
    for process in processes:
        process.join(_DEADLINE_SECONDS)
        process.kill()
        process.join()
    return [
        Ended(
            process.exitcode,
            tuple(one for one in said if isinstance(one, str)),
            tuple(one for one in said if isinstance(one, tuple)),
        )
        for process, said in zip(processes, heard, strict=True)
    ]


def _heard(connection: Connection) -> list[object]:
    said: list[object] = []
    while connection.poll(_DEADLINE_SECONDS):
        try:
            said.append(connection.recv())
        except EOFError:
            return said
    return said


def _run_here(folder: Path, job: Job, connection: Connection) -> None:
    watch = Watch(job.fault, connection.send)
    watch_below_the_ports(watch)
    settings = {"clock": job.now, "engine": {"threads": 1}, **job.settings}
    with Project(watched_project(open_project(folder, settings), watch)) as project:
        for number, key in enumerate(job.keys):
            if job.runs_due:
                connection.send(tuple(str(done) for done in project.run_due(views=["latest"])))
                continue
            try:
                result = pushed(project._wired, "latest", visits((key, job.now - MINUTE, number, 0.5)), key)
            except KnownatError as error:
                connection.send((key, error.message))
            else:
                connection.send((key, result.online.value))
