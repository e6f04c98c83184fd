"""The online store in this process's memory, for tests and for trying things out; gone when the process ends.

It keeps the same bytes as the stores on disk and in Redis, so that what works here works there.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock

import pyarrow as pa

from featurestore.adapters.row_codec import GENERATION, KNOWN_AT, TIMES, CodecCache
from featurestore.adapters.stored_moments import encode_moment
from featurestore.errors import ConcurrentChange
from featurestore.ports.online_store import (
    Fill,
    Filled,
    FillRequest,
    Key,
    OnlineTable,
    TableRead,
    TableRows,
    WriteCount,
)


@dataclass(slots=True)
class _Content:
    filled: Filled | None = None
    generation: int = 1
    nonce: bytes = field(default_factory=lambda: os.urandom(8))
    rows: dict[bytes, bytes] = field(default_factory=dict)


class MemoryOnlineStore:
    """An OnlineStore that several threads may share. It forgets no row by itself."""

    def __init__(self) -> None:
        self._codecs = CodecCache()
        self._tables: dict[bytes, _Content] = {}
        self._lock = Lock()

    def read(self, reads: Sequence[TableRead]) -> list[TableRows]:
        codecs = [self._codecs.of(read.table) for read in reads]
        with self._lock:
            contents = [self._tables.get(codec.identity, _Content()) for codec in codecs]
            found = [
                (content.filled, [content.rows.get(codec.encode_key(key)) for key in read.keys])
                for codec, content, read in zip(codecs, contents, reads, strict=True)
            ]
        return [codec.decode_rows(*one) for codec, one in zip(codecs, found, strict=True)]

    def sample_keys(self, table: OnlineTable, count: int) -> list[Key]:
        codec = self._codecs.of(table)
        with self._lock:
            keys = sorted(self._tables.get(codec.identity, _Content()).rows)
        wanted = min(count, len(keys))
        return [codec.decode_key(keys[position * len(keys) // wanted]) for position in range(wanted)]

    def all_keys(self, table: OnlineTable) -> Iterator[Sequence[Key]]:
        yield self.sample_keys(table, sys.maxsize)

    def begin(self, request: FillRequest) -> Fill:
        with self._lock:
            content = self._tables.setdefault(self._codecs.of(request.table).identity, _Content())
            content.generation += request.replaces
            return Fill(request, content.generation, content.nonce)

    def write(self, fill: Fill, rows: pa.RecordBatchReader) -> WriteCount:
        codec = self._codecs.of(fill.request.table)
        written = total = 0
        for batch in rows:
            encoded = codec.encode_rows(batch, fill.generation)
            total += len(encoded.keys)
            with self._lock:
                stored = self._content(fill).rows
                for key, row in zip(encoded.keys, encoded.values, strict=True):
                    if key not in stored or _replaces(fill, stored[key], row):
                        stored[key] = row
                        written += 1
        return WriteCount(written, total - written)

    def finish(self, fill: Fill, filled_to: datetime) -> None:
        with self._lock:
            content = self._content(fill)
            if fill.request.replaces:
                content.rows = {key: row for key, row in content.rows.items() if not _is_superseded(fill, row)}
            before = content.filled.to if content.filled else filled_to
            content.filled = Filled(max(before, filled_to))

    def drop(self, table: OnlineTable) -> None:
        with self._lock:
            self._tables.pop(self._codecs.of(table).identity, None)

    def close(self) -> None:
        """There is nothing to release."""

    def _content(self, fill: Fill) -> _Content:
        content = self._tables.get(self._codecs.of(fill.request.table).identity)
        if content is None or (content.generation, content.nonce) != (fill.generation, fill.nonce):
            raise ConcurrentChange(f"{fill.request.table.name} was dropped or is being copied anew. Run it again.")
        return content


def _replaces(fill: Fill, stored: bytes, row: bytes) -> bool:
    return stored[TIMES] <= row[TIMES] or _is_superseded(fill, stored)


def _is_superseded(fill: Fill, stored: bytes) -> bool:
    """Whether the row is of an earlier generation, and the fill speaks of it."""
    known_to = fill.request.known_to
    is_spoken_of = known_to is None or stored[KNOWN_AT] <= encode_moment(known_to)
    return int.from_bytes(stored[GENERATION]) < fill.generation and is_spoken_of
