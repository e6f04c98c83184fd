"""Locks in memory, between the threads of one process: the twin of `file_locks.py` for tests."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class MemoryLocks:
    def __init__(self) -> None:
        self._held: dict[str, str] = {}
        self._lock = threading.Lock()

    @contextmanager
    def hold(self, name: str) -> Iterator[str | None]:
        with self._lock:
            holder = self._held.get(name)
            if holder is None:
                self._held[name] = threading.current_thread().name
        if holder is not None:
            yield holder
            return
        try:
            yield None
        finally:
            with self._lock:
                del self._held[name]
