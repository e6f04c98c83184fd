"""Failpoints: where a process can be made to fail, without a hook in the product.

The ports of a wired project are put behind proxies that see each call; what lies below them (syncing and renaming a
file, a commit to Delta, a statement to the state's database, a request to Redis) is watched by its library's own name.
Everything here changes the process it runs in, for good: use it only in one that was made for it.
"""

from __future__ import annotations

import errno
import os
import resource
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from functools import wraps
from pathlib import Path
from typing import Any, assert_never

from deltalake import DeltaTable
from redis.connection import Connection as RedisConnection
from sqlalchemy import Engine, event

from registry.wiring import WiredProject

ANY = "any"


class Failure(Enum):
    """What happens at a failpoint."""

    KILL = "kill -9"
    DISK_FULL = "no space left on device"
    """Python's own call fails."""
    NO_GROWTH = "no file can grow"
    """From here on the kernel refuses every write to a file, by whichever library."""
    STOP = "stop while others work"


@dataclass(frozen=True, slots=True)
class Fault:
    """Fail at the call with this number (from 1) of this name, such as `tables.replace`; ANY counts all calls."""

    call: str
    number: int = 1
    after: bool = False
    failure: Failure = Failure.KILL

    def __str__(self) -> str:
        return f"{self.failure.value} {'after' if self.after else 'before'} {self.call} #{self.number}"


class Watch:
    """Counts calls, tells each by its name, and fails at the one that the fault names."""

    def __init__(
        self, fault: Fault | None, tell: Callable[[str], None], stop: Callable[[], None] | None = None
    ) -> None:
        """`stop` returns when the others are done."""
        self._fault = fault
        self._tell = tell
        self._stop = stop
        self._calls: Counter[str] = Counter()

    def around(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def watched(*arguments: Any, **options: Any) -> Any:
            self._calls.update([name, ANY])
            numbers = {name: self._calls[name], ANY: self._calls[ANY]}  # others may come before this one returns
            self._tell(name)
            self._reached(numbers, after=False)
            result = function(*arguments, **options)
            self._reached(numbers, after=True)
            return result

        return watched

    def _reached(self, numbers: dict[str, int], *, after: bool) -> None:
        fault = self._fault
        if fault is None or fault.after != after or numbers.get(fault.call) != fault.number:
            return
        match fault.failure:
            case Failure.KILL:
                os.kill(os.getpid(), signal.SIGKILL)
            case Failure.DISK_FULL:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            case Failure.NO_GROWTH:
                resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
            case Failure.STOP:
                assert self._stop is not None
                self._stop()
            case _:
                assert_never(fault.failure)


class _Watched:
    """A port, each of whose calls is watched."""

    def __init__(self, name: str, port: Any, watch: Watch) -> None:
        self._name, self._port, self._watch = name, port, watch

    def __getattr__(self, attribute: str) -> Any:
        found = getattr(self._port, attribute)
        return self._watch.around(f"{self._name}.{attribute}", found) if callable(found) else found


def watched_project(wired: WiredProject, watch: Watch) -> WiredProject:
    """The same project, every port that is written to behind a proxy."""

    def seen(name: str, port: Any) -> Any:
        return _Watched(name, port, watch)

    features, registry = wired.features, wired.registry
    offline = replace(
        features.offline,
        engine=seen("engine", features.offline.engine),
        tables=seen("tables", features.offline.tables),
        coverage=seen("coverage", features.offline.coverage),
    )
    online = replace(
        features.online,
        store=seen("store", features.online.store),
        progress=seen("progress", features.online.progress),
        publications=seen("publications", features.online.publications),
    )
    datasets, objects = seen("datasets", registry.datasets), seen("objects", registry.objects)
    return replace(
        wired,
        features=replace(
            features,
            project=replace(features.project, catalog=seen("catalog", features.project.catalog), datasets=datasets),
            offline=offline,
            online=online,
            frames=seen("frames", features.frames),
            archive=replace(features.archive, datasets=datasets, objects=objects),
        ),
        registry=replace(
            registry,
            models=seen("models", registry.models),
            aliases=seen("aliases", registry.aliases),
            objects=objects,
            datasets=datasets,
        ),
    )


def watch_below_the_ports(watch: Watch) -> None:
    """Let the steps within a port's call be seen, too. Call it before anything is opened."""
    for owner, attribute, name in (
        (os, "fsync", "os.fsync"),
        (Path, "replace", "file.rename"),
        (DeltaTable, "create_write_transaction", "delta.commit"),
        (RedisConnection, "send_packed_command", "redis.send"),
    ):
        setattr(owner, attribute, watch.around(name, getattr(owner, attribute)))
    nothing = watch.around("sql.statement", lambda *_: None)
    event.listen(Engine, "before_cursor_execute", lambda *_: nothing())
    committing = watch.around("sql.commit", lambda *_: None)
    event.listen(Engine, "commit", lambda *_: committing())
