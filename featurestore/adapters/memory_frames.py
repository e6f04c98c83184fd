"""The rows of streams in memory: for tests."""

from __future__ import annotations

import threading
from collections.abc import Iterable

import pyarrow as pa

from featurestore.graph.arrow_types import arrow_schema
from featurestore.graph.resolved import Column
from featurestore.ports.entries import EntryId, EntrySpans
from featurestore.ports.frames import Batch, Taken
from featurestore.spec.source import FrameSource


class MemoryFrames:
    """StreamedFrames whose batches all are of one source."""

    def __init__(self) -> None:
        self.batches: list[tuple[str, Batch]] = []
        self._taken: dict[str, EntrySpans] = {}
        self._lock = threading.Lock()

    def taken(self, source: FrameSource, stream: str) -> Taken:  # noqa: ARG002 - there is one
        with self._lock:
            return Taken(stream, self._taken.get(stream, EntrySpans()), len(self.batches))

    def take(self, source: FrameSource, batch: Batch, taken: Taken) -> int | None:  # noqa: ARG002 - there is one
        with self._lock:
            if taken.version != len(self.batches):
                return None
            self.batches.append((taken.stream, batch))
            self._taken[taken.stream] = taken.entries
            return len(self.batches)

    def kept_of(self, source: FrameSource, stream: str, entries: Iterable[EntryId]) -> pa.Table:
        wanted = set(entries)
        of_stream = [batch for name, batch in self.batches if name == stream]
        kept = [batch.rows for batch in of_stream if any(entry in batch.entries for entry in wanted)]
        schema = arrow_schema(tuple(Column(name, dtype) for name, dtype in source.columns))
        return pa.concat_tables([schema.empty_table(), *kept])
