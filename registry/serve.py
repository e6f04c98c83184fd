"""Serve a project over HTTP: the composition root of the service, apart from `wiring` so that only serving loads it.

One process serves by itself, or several share one listening socket below a parent that replaces those that die.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import connection
from pathlib import Path
from time import monotonic
from types import FrameType

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from featurestore.service.app import ServiceOptions
from featurestore.service.arrow_bodies import StreamBounds
from featurestore.service.bodies import Limits
from featurestore.service.http_protocol import BoundedProtocol
from featurestore.service.metrics import SHARED_FOLDER_VARIABLE, ServiceMetrics, forget_process
from registry.service.app import create_app
from registry.wiring import WiredProject, open_project, served_project

KEEP_ALIVE_SECONDS = 75
"""Longer than clients keep an idle connection, so that none is closed while a request is on its way."""
DRAIN_SECONDS = 20
"""How long requests under way may take once the server was told to stop."""
LAST_SECONDS = 5.0
"""What a request still has that can not be cancelled, before its process ends with it."""
SILENT_SECONDS = 60
"""After how long a worker that does not answer its parent is replaced. Work in a library may hold it up for some."""

_LOG = logging.getLogger("uvicorn.error")

Overrides = Mapping[str, object]


def serve(folder: Path, *, host: str = "127.0.0.1", port: int = 8765, settings: Overrides | None = None) -> bool:
    """Serve the project in `folder` from this process until it is told to stop by SIGTERM or Ctrl-C.

    New connections are then refused and requests under way finished; one that takes longer than `DRAIN_SECONDS` is cut
    off. False where one could not be: its thread still runs, and would keep the process from ending. To be called in
    the main thread. Raises SettingsError.
    """
    before = set(threading.enumerate())
    server = uvicorn.Server(configuration(project_app(open_project(folder, settings), ServiceMetrics()), host, port))

    def stop(_signal: int, _frame: FrameType | None) -> None:
        server.should_exit = True

    # Uvicorn repeats the signal once it has stopped: it is ours then, and the process ends as it should.
    with _on_signals(stop):
        server.run()
    return _have_ended({thread for thread in set(threading.enumerate()) - before if not thread.daemon})


def serve_with_workers(
    folder: Path, workers: int, *, host: str = "127.0.0.1", port: int = 8765, settings: Overrides | None = None
) -> bool:
    """Serve from several processes; otherwise as `serve`. Whether it ended because it was told to, not because a worker
    could not start."""
    open_project(folder, settings).close()  # what is wrong with it is said once, and its state is migrated once
    with (
        tempfile.TemporaryDirectory(prefix="knownat-metrics-") as metrics,
        _environment(SHARED_FOLDER_VARIABLE, metrics),
    ):
        app = _WorkerApp(folder, settings, Path(metrics))
        config = configuration(app, host, port)
        config.factory, config.workers = True, workers
        supervisor = _Workers(config, Path(metrics))
        supervisor.run()
    return not supervisor.has_failed


def configuration(app: object, host: str, port: int) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # type: ignore[arg-type]  # uvicorn's own type of an app is narrower than FastAPI
        host=host,
        port=port,
        http=BoundedProtocol,
        interface="asgi3",
        proxy_headers=False,  # nothing here asks who the client is
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        timeout_worker_healthcheck=SILENT_SECONDS,
        server_header=False,
        access_log=False,  # a line for each lookup would cost more than many a lookup
        ws="none",
        log_level="info",
    )


def project_app(project: WiredProject, metrics: ServiceMetrics) -> object:
    """The app over the project. It owns the project, and closes it when it has served."""
    service = project.features.settings.service
    limits = Limits(spine=StreamBounds(rows=service.spine_rows, bytes=service.spine_megabytes * 1024 * 1024))
    return create_app(served_project(project), ServiceOptions(limits=limits, metrics=metrics, at_end=project.close))


def _have_ended(threads: set[threading.Thread]) -> bool:
    """Whether these end within `LAST_SECONDS`. What a library does in a thread can not be cancelled."""
    deadline = monotonic() + LAST_SECONDS
    for thread in threads:
        thread.join(max(0.0, deadline - monotonic()))
    running = sum(thread.is_alive() for thread in threads)
    if running:
        _LOG.error("%d requests were still under way %g seconds after they were to end.", running, LAST_SECONDS)
    return not running


@dataclass(frozen=True, slots=True)
class _WorkerApp:
    """Makes a worker's app, in the worker: this is all that it gets from its parent."""

    folder: Path
    settings: Overrides | None
    metrics: Path

    def __call__(self) -> object:
        _stop_with_parent()
        try:
            return project_app(open_project(self.folder, self.settings), ServiceMetrics(self.metrics))
        except Exception:  # noqa: BLE001 - a process edge: with another exit code it would be started for ever
            _LOG.exception("The project can not be served.")
            sys.exit(STARTUP_FAILURE)


def _stop_with_parent() -> None:
    """A worker whose parent was killed drains and stops: nobody would replace it, and it holds the port."""
    parent = multiprocessing.parent_process()
    assert parent is not None  # noqa: S101 - a worker is what its parent has started

    def watch(sentinel: int) -> None:
        connection.wait([sentinel])
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, args=(parent.sentinel,), daemon=True).start()


class _Workers(Multiprocess):
    """Uvicorn's supervisor, which stops in bounded time and forgets what the dead were doing."""

    def __init__(self, config: uvicorn.Config, metrics: Path) -> None:
        super().__init__(config, [config.bind_socket()])
        self._metrics = metrics
        self._pids: set[int] = set()

    @property
    def has_failed(self) -> bool:
        return any(process.exitcode == STARTUP_FAILURE for process in self.processes)

    def init_processes(self) -> None:
        super().init_processes()
        self._let_go()

    def keep_subprocess_alive(self) -> None:
        super().keep_subprocess_alive()
        self._let_go()
        pids = {process.pid for process in self.processes if process.pid is not None}
        for pid in self._pids - pids:
            forget_process(self._metrics, pid)
        self._pids = pids

    def _let_go(self) -> None:
        """Of the workers' ends of the pipes: while we hold them too, a worker that dies is one that takes its time."""
        for worker in self.processes:
            worker.child_conn.close()

    def terminate_all(self) -> None:
        super().terminate_all()
        # As long as one process has it, connections are made to it that nobody answers.
        for listening in self.sockets:
            listening.close()

    def join_all(self) -> None:
        deadline = monotonic() + DRAIN_SECONDS + 2 * LAST_SECONDS
        for worker in self.processes:
            worker.process.join(max(0.0, deadline - monotonic()))
            if worker.process.is_alive():
                _LOG.error("Worker [%d] has not stopped in time and is killed.", worker.pid)
                worker.kill()
                worker.process.join()


@contextmanager
def _on_signals(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    """What the processes that are started meanwhile find in theirs."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]
        if before is not None:
            os.environ[name] = before
