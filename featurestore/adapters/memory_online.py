"""The online store in this process's memory, for tests and for trying things out; gone when the process ends.

It keeps the same bytes as the stores on disk and in Redis, so that what works here works there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock

import pyarrow as pa

from featurestore.adapters.row_codec import TIME_BYTES, CodecCache
from featurestore.ports.online_store import Key, OnlineTable, TableRead, TableRows, WriteCount


@dataclass(slots=True)
class _Content:
    filled_to: datetime | None = None
    rows: dict[bytes, bytes] = field(default_factory=dict)


class MemoryOnlineStore:
    """An OnlineStore that several threads may share."""

    def __init__(self) -> None:
        self._codecs = CodecCache()
        self._tables: dict[bytes, _Content] = {}
        self._lock = Lock()

    def read(self, reads: Sequence[TableRead]) -> list[TableRows]:
        with self._lock:
            found = [self._read_table(read) for read in reads]
        return [
            TableRows(filled_to, [None if row is None else self._codecs.of(read.table).decode_row(row) for row in rows])
            for read, (filled_to, rows) in zip(reads, found, strict=True)
        ]

    def sample_keys(self, table: OnlineTable, count: int) -> list[Key]:
        codec = self._codecs.of(table)
        with self._lock:
            keys = sorted(self._tables.get(codec.identity, _Content()).rows)
        wanted = min(count, len(keys))
        return [codec.decode_key(keys[position * len(keys) // wanted]) for position in range(wanted)]

    def write_newer(self, table: OnlineTable, rows: pa.RecordBatchReader) -> WriteCount:
        codec = self._codecs.of(table)
        written = kept = 0
        for batch in rows:
            encoded = list(codec.encode_rows(batch))
            with self._lock:
                stored = self._tables.setdefault(codec.identity, _Content()).rows
                for key, row in encoded:
                    present = stored.get(key)
                    if present is not None and present[:TIME_BYTES] > row[:TIME_BYTES]:
                        kept += 1
                    else:
                        stored[key] = row
                        written += 1
        return WriteCount(written, kept)

    def replace(self, table: OnlineTable, rows: pa.RecordBatchReader) -> WriteCount:
        codec = self._codecs.of(table)
        encoded = [pair for batch in rows for pair in codec.encode_rows(batch)]
        with self._lock:
            self._tables.setdefault(codec.identity, _Content()).rows = dict(encoded)
        return WriteCount(len(encoded), 0)

    def mark_filled(self, table: OnlineTable, filled_to: datetime) -> None:
        with self._lock:
            content = self._tables.setdefault(self._codecs.of(table).identity, _Content())
            if content.filled_to is None or content.filled_to < filled_to:
                content.filled_to = filled_to

    def drop(self, table: OnlineTable) -> None:
        with self._lock:
            self._tables.pop(self._codecs.of(table).identity, None)

    def _read_table(self, read: TableRead) -> tuple[datetime | None, list[bytes | None]]:
        codec = self._codecs.of(read.table)
        content = self._tables.get(codec.identity, _Content())
        return content.filled_to, [content.rows.get(codec.encode_key(key)) for key in read.keys]
