"""A shelf for serving logs that is made when it is asked for something: who logs nothing does not load it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pyarrow as pa

from featurestore.graph.resolved import FeatureSet
from featurestore.ports.serving_log import Log, LogQuery, LogShelf


class LateLogShelf:
    """The shelf that `make` gives, which is called each time: shelves hold nothing but the place of their logs."""

    def __init__(self, make: Callable[[], LogShelf]) -> None:
        self._make = make

    def append(self, features: FeatureSet, rows: pa.Table) -> None:
        self._make().append(features, rows)

    def logs(self) -> tuple[Log, ...]:
        return self._make().logs()

    def rows(self, log: Log, query: LogQuery, columns: tuple[str, ...] | None = None) -> Iterator[pa.Table]:
        return self._make().rows(log, query, columns)
