"""Publications in memory: the twin of `sql_publications.py`. Forgotten when the process ends."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import datetime

from featurestore.ports.publications import (
    Publication,
    Published,
    Push,
    PushSpan,
    first_and_last,
    stands_in_place,
)


class MemoryPublications:
    def __init__(self) -> None:
        self._history: dict[tuple[str, str], Published] = {}
        self._lock = threading.Lock()

    def keep(self, store: str, table: str, history: Published) -> None:
        """Begin with a history that an earlier release recorded."""
        with self._lock:
            self._history[store, table] = history

    def record(self, store: str, table: str, run: Publication) -> None:
        with self._lock:
            before = self._history.get((store, table), Published())
            kept = before.runs[:-1] if before.runs and stands_in_place(run, of=before.runs[-1]) else before.runs
            self._history[store, table] = replace(before, runs=(*kept, run))

    def record_push(self, store: str, table: str, push: Push) -> None:
        with self._lock:
            before = self._history.get((store, table), Published())
            self._history[store, table] = replace(before, pushes=(*before.pushes, push))

    def published(self, store: str, table: str, *, newest: int | None = None) -> Published:
        found = self._history.get((store, table), Published())
        if newest is None:
            return found
        return Published(found.runs[max(0, len(found.runs) - newest) :], found.pushed, first_and_last(found.push_span))

    def forget_after(self, store: str, table: str, moment: datetime) -> None:
        with self._lock:
            before = self._history.get((store, table), Published())
            runs = tuple(run for run in before.runs if run.published_at <= moment)
            pushes = tuple(push for push in before.pushes if push.at <= moment)
            self._history[store, table] = Published(runs, _until(before.pushed, moment), pushes)

    def forget(self, store: str, table: str) -> None:
        with self._lock:
            self._history.pop((store, table), None)


def _until(pushed: PushSpan | None, moment: datetime) -> PushSpan | None:
    if pushed is None or pushed.first_at > moment:
        return None
    return PushSpan(pushed.first_at, min(pushed.last_at, moment))
