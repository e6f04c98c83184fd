"""State in memory: the twins of `sql_state.py`, for tests and trying things out. Forgotten when the process ends."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import datetime

from featurestore.adapters.dataset_ids import choose_dataset
from featurestore.graph.resolved import Graph
from featurestore.intervals import Interval
from featurestore.ports.state import (
    AppliedGraph,
    Coverage,
    FilledInterval,
    Manifest,
    Materialization,
    check_replaced,
)


class MemoryCatalog:
    def __init__(self) -> None:
        self._applied: list[AppliedGraph] = []
        self._lock = threading.Lock()

    def current(self) -> AppliedGraph | None:
        return self._applied[-1] if self._applied else None

    def serial(self) -> int | None:
        return self._applied[-1].serial if self._applied else None

    def promote(self, graph: Graph, applied_at: datetime, *, replacing: int | None) -> AppliedGraph:
        with self._lock:
            check_replaced(self.serial(), replacing)
            applied = AppliedGraph(len(self._applied) + 1, graph, applied_at)
            self._applied.append(applied)
        return applied

    def history(self) -> tuple[AppliedGraph, ...]:
        return tuple(self._applied)


class MemoryCoverage:
    def __init__(self) -> None:
        self._fills: dict[str, tuple[FilledInterval, ...]] = {}
        self._lock = threading.Lock()

    def coverage(self, table: str) -> Coverage:
        return Coverage(table, self._fills.get(table, ()))

    def record(self, table: str, fill: FilledInterval) -> None:
        with self._lock:
            older = (other for other in self._fills.get(table, ()) if not _contains(fill, other))
            self._fills[table] = (fill, *(replace(other, settled=None) for other in older))

    def replace(self, table: str, fill: FilledInterval, by: FilledInterval) -> bool:
        with self._lock:
            fills = self._fills.get(table, ())
            self._fills[table] = tuple(by if one == fill else one for one in fills)
            return fill in fills

    def cut(self, table: str, end: datetime, at: datetime) -> None:
        with self._lock:
            kept = [fill for fill in self._fills.get(table, ()) if fill.interval.start < end]
            self._fills[table] = tuple(
                replace(
                    fill,
                    interval=Interval(fill.interval.start, min(fill.interval.end, end)),
                    filled_at=min(fill.filled_at, at),
                    settled=None,
                )
                for fill in kept
            )

    def forget(self, table: str) -> None:
        with self._lock:
            self._fills.pop(table, None)


class MemoryMaterializations:
    def __init__(self) -> None:
        self._last: dict[tuple[str, str], Materialization] = {}
        self._lock = threading.Lock()

    def last(self, store: str, table: str) -> Materialization | None:
        return self._last.get((store, table))

    def record(self, store: str, materialization: Materialization, *, after: Materialization | None) -> None:
        with self._lock:
            undisturbed = self._last.pop((store, materialization.table), None) == after
            if undisturbed:
                self._last[store, materialization.table] = materialization

    def all(self, store: str) -> tuple[Materialization, ...]:
        return tuple(last for (name, _), last in sorted(self._last.items()) if name == store)

    def forget(self, store: str, table: str) -> None:
        with self._lock:
            self._last.pop((store, table), None)


class MemoryDatasets:
    def __init__(self) -> None:
        self._manifests: dict[str, Manifest] = {}

    def put(self, manifest: Manifest) -> Manifest:
        return self._manifests.setdefault(manifest.id, manifest)

    def get(self, dataset: str) -> Manifest:
        return self._manifests[choose_dataset(dataset, self._manifests)]

    def all(self) -> tuple[Manifest, ...]:
        return tuple(sorted(self._manifests.values(), key=lambda manifest: (manifest.created_at, manifest.id)))

    def delete(self, dataset: str) -> None:
        self._manifests.pop(dataset, None)


def _contains(outer: FilledInterval, inner: FilledInterval) -> bool:
    within = outer.interval.start <= inner.interval.start and inner.interval.end <= outer.interval.end
    return within and inner.version <= outer.version
