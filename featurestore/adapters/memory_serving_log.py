"""Serving logs in memory: the twin of `delta_serving_log.py` for tests."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pyarrow as pa

from featurestore.adapters.logged_rows import asked_rows
from featurestore.graph.resolved import FeatureSet
from featurestore.ports.serving_log import Log, LogQuery, log_identity


class MemoryLogShelf:
    def __init__(self) -> None:
        self._logs: dict[str, tuple[Log, tuple[pa.Table, ...]]] = {}
        self._lock = threading.Lock()

    def append(self, features: FeatureSet, rows: pa.Table) -> None:
        identity = log_identity(features)
        with self._lock:
            log, tables = self._logs.get(identity, (Log(identity, features), ()))
            self._logs[identity] = (log, (*tables, rows))

    def logs(self) -> tuple[Log, ...]:
        return tuple(log for _, (log, _) in sorted(self._logs.items()))

    def rows(self, log: Log, query: LogQuery, columns: tuple[str, ...] | None = None) -> Iterator[pa.Table]:
        _, tables = self._logs[log.identity]
        for table in tables:
            asked = asked_rows(table, query)
            yield asked if columns is None else asked.select(list(columns))
