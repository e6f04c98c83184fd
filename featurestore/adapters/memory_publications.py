"""Publications in memory: the twin of `sql_publications.py`. Forgotten when the process ends."""

from __future__ import annotations

import threading
from datetime import datetime

from featurestore.ports.publications import Publication, Published, PushSpan, stands_in_place


class MemoryPublications:
    def __init__(self) -> None:
        self._history: dict[tuple[str, str], Published] = {}
        self._lock = threading.Lock()

    def record(self, store: str, table: str, run: Publication) -> None:
        with self._lock:
            before = self._history.get((store, table), Published())
            kept = before.runs[:-1] if before.runs and stands_in_place(run, of=before.runs[-1]) else before.runs
            self._history[store, table] = Published((*kept, run), before.pushed)

    def record_push(self, store: str, table: str, pushed_at: datetime) -> None:
        with self._lock:
            before = self._history.get((store, table), Published())
            span = before.pushed or PushSpan(pushed_at, pushed_at)
            wider = PushSpan(min(span.first_at, pushed_at), max(span.last_at, pushed_at))
            self._history[store, table] = Published(before.runs, wider)

    def published(self, store: str, table: str, *, newest: int | None = None) -> Published:
        found = self._history.get((store, table), Published())
        return found if newest is None else Published(found.runs[max(0, len(found.runs) - newest) :], found.pushed)

    def forget(self, store: str, table: str) -> None:
        with self._lock:
            self._history.pop((store, table), None)
