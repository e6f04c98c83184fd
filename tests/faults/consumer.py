"""A consumer that is made to fail: in a process of its own, each call of its ports seen, killed where it is said."""

from __future__ import annotations

import multiprocessing
import signal
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from featurestore.errors import KnownatError
from featurestore.operations.consume import Consumed, consume
from sdk.project import open_project
from sdk.stream_consumer import StreamConsumer
from tests.faults.failpoints import Fault, Watch, watch_below_the_ports
from tests.stream_project import STREAM

_DEADLINE_SECONDS = 90.0

_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["tests.faults.consumer", "sdk.local", "sdk.stream_consumer"])


@dataclass(frozen=True, slots=True)
class Way:
    """How a consumer is run: to the end of the stream, unless it is killed before."""

    name: str = "consumer"
    fault: Fault | None = None
    seconds: float | None = None
    most: int = 7
    claim_seconds: float = 60
    delays: Mapping[str, float] | None = None
    """Seconds that a call of this name takes longer."""


@dataclass(frozen=True, slots=True)
class Ran:
    code: int | None
    calls: tuple[str, ...]
    done: tuple[Consumed, ...]
    error: Exception | None


class RunningConsumer:
    """A consumer that has been started. `ended` waits for its end, whichever that is."""

    def __init__(self, folder: Path, url: str, way: Way) -> None:
        self._way = way
        self._ours, theirs = _PROCESSES.Pipe(duplex=False)
        self._process = _PROCESSES.Process(target=_run_here, args=(folder, url, way, theirs))
        self._process.start()
        theirs.close()
        self._timer = threading.Timer(way.seconds, self._process.kill) if way.seconds is not None else None
        if self._timer is not None:
            self._timer.start()

    def ended(self) -> Ran:
        try:
            said = self._heard()
        finally:
            if self._timer is not None:
                self._timer.cancel()
                self._timer.join()
            self._ours.close()
            self._process.join(_DEADLINE_SECONDS)
            self._process.kill()
            self._process.join()
        return Ran(
            self._process.exitcode,
            tuple(what for what in said if isinstance(what, str)),
            tuple(what for what in said if isinstance(what, Consumed)),
            next((what for what in said if isinstance(what, Exception)), None),
        )

    def _heard(self) -> list[object]:
        said: list[object] = []
        while self._ours.poll(_DEADLINE_SECONDS):
            try:
                said.append(self._ours.recv())
            except EOFError:
                return said
        return pytest.fail(f"{self._way} has said nothing for {_DEADLINE_SECONDS:.0f} seconds; the last: {said[-1:]}")


def _run_here(folder: Path, url: str, way: Way, connection: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever stops the tests kills this one
    watch = Watch(way.fault, connection.send)
    watch_below_the_ports(watch)
    settings = {
        "streams": {"url": url, "batch_entries": way.most, "gather_seconds": 0.02, "claim_seconds": way.claim_seconds},
        "engine": {"threads": 1},
    }
    try:
        with (
            open_project(folder, settings=settings) as project,
            project.consumer("shop_now", stream=STREAM, consumer=way.name) as opened,
        ):
            _consume_all(opened, watch, way, connection.send)
    except KnownatError as error:
        connection.send(KnownatError(error.message))
    except Exception as error:  # noqa: BLE001 - the edge of the process; whoever reads decides
        connection.send(RuntimeError(f"{type(error).__name__}: {error}"))


def _consume_all(opened: StreamConsumer, watch: Watch, way: Way, tell: Callable[[object], None]) -> None:
    feed = opened.feed
    watched = replace(
        feed,
        stream=_Watched("stream", feed.stream, watch, way.delays or {}),
        frames=_Watched("frames", feed.frames, watch, way.delays or {}),
        outlet=_Watched("outlet", feed.outlet, watch, way.delays or {}),
    )
    for done in consume(watched):
        tell(done)
        if not done.entries and done.stalled is None:
            return


class _Watched:
    """A port, each of whose calls is seen, and some of which take longer."""

    def __init__(self, name: str, port: Any, watch: Watch, delays: Mapping[str, float]) -> None:
        self._name, self._port, self._watch, self._delays = name, port, watch, delays

    def __getattr__(self, attribute: str) -> Any:
        found = getattr(self._port, attribute)
        name = f"{self._name}.{attribute}"
        if not callable(found):
            return found
        if (seconds := self._delays.get(name)) is not None:
            return self._watch.around(name, _late(found, seconds))
        return self._watch.around(name, found)


def _late(function: Callable[..., Any], seconds: float) -> Callable[..., Any]:
    def late(*arguments: Any, **options: Any) -> Any:
        threading.Event().wait(seconds)
        return function(*arguments, **options)

    return late
