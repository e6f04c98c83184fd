"""The online store in one Redis: a string for each row, read with a single MGET over all tables of a request."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from featurestore.adapters import redis_layout as layout
from featurestore.adapters.redis_client import address_of, connect, connect_async, refuse_eviction, translated_errors
from featurestore.adapters.redis_layout import RedisLayout, TableRecord, check_identity
from featurestore.adapters.row_codec import EncodedRows, RowCodec
from featurestore.adapters.stored_moments import encode_moment, to_microseconds
from featurestore.errors import ConcurrentChange
from featurestore.ports.online_store import Fill, FillRequest, Key, OnlineTable, TableRead, TableRows, WriteCount

_ROWS_PER_CALL = 1_000  # one script call holds Redis for about 2 ms
_KEYS_PER_SCAN = 1_000
_LEAST_KEPT = timedelta(days=1)
"""A row that is older than it must be kept is kept so long all the same, to be told as expired."""


class RedisOnlineStore:
    """An OnlineStore in the Redis at `url`, under keys that begin with `namespace:`.

    A read fails with StoreUnavailable at once when the connection is refused, and after `timeout_seconds` when the
    server hangs; a pooled connection that turns out broken is replaced once. Writes wait `write_timeout_seconds`
    for each answer. Raises SettingsError when the URL is not one.
    """

    def __init__(
        self,
        url: str,
        *,
        namespace: str = "knownat",
        timeout_seconds: float = 0.5,
        write_timeout_seconds: float = 10.0,
    ) -> None:
        self._layout = RedisLayout(namespace)
        self._reads = connect(url, timeout_seconds)
        self._writes = connect(url, write_timeout_seconds)
        self._address = address_of(self._reads)
        self._begin = self._writes.register_script(layout.BEGIN)
        self._write = self._writes.register_script(layout.WRITE)
        self._sweep = self._writes.register_script(layout.SWEEP)
        self._finish = self._writes.register_script(layout.FINISH)

    @property
    def address(self) -> str:
        """Where the server is, without user or password: how errors and state name it."""
        return self._address

    def read(self, reads: Sequence[TableRead]) -> list[TableRows]:
        codecs = self._layout.codecs(reads)
        wanted = self._layout.wanted(codecs, reads)
        if not wanted:
            return []
        with self._translated_errors():
            found: list[Any] = self._reads.mget(wanted)
        return self._layout.answers(codecs, reads, found)

    def sample_keys(self, table: OnlineTable, count: int) -> list[Key]:
        codec = self._layout.codec(table)
        sample: dict[bytes, None] = {}
        # Redis scans in the order of its hash table, which is a spread over the keys already.
        for keys in self._scan(codec):
            sample.update(dict.fromkeys(keys))
            if len(sample) >= count:
                break
        return [self._layout.key_of(codec, key) for key in list(sample)[:count]]

    def begin(self, request: FillRequest) -> Fill:
        policy = self._eviction_policy()
        refuse_eviction(self._address, policy)
        # Where keys with an expiry may be evicted, rows get none: what is merely old is removed by the next full copy.
        expires = request.keeps is not None and policy == "noeviction"
        codec = self._layout.codec(request.table)
        kept = layout.keeps(request.keeps if expires else None)
        arguments: list[bytes | int] = [codec.identity, os.urandom(8), kept, int(request.replaces)]
        with self._translated_errors():
            data = self._begin(keys=[self._layout.record(codec)], args=arguments)
        record = TableRecord.decode(bytes(data))
        check_identity(codec, record)
        return Fill(request, record.generation, record.nonce, expires)

    def write(self, fill: Fill, rows: pa.RecordBatchReader) -> WriteCount:
        codec = self._layout.codec(fill.request.table)
        generation, nonce = layout.turn(fill)
        turn: list[bytes | int] = [generation, layout.known_to(fill), int(fill.expires), nonce]
        written = total = 0
        for encoded in self._portions(codec, fill, rows):
            keys = [self._layout.record(codec), *(self._layout.row(codec, key) for key in encoded.keys)]
            with self._translated_errors(written):
                stored = int(self._write(keys=keys, args=[*turn, *encoded.values, *_expiries(fill, encoded)]))
            if stored < 0:
                raise _turn_is_over(fill, written)
            written += stored
            total += len(encoded.keys)
        return WriteCount(written, total - written)

    def finish(self, fill: Fill, filled_to: datetime) -> None:
        codec = self._layout.codec(fill.request.table)
        generation, nonce = layout.turn(fill)
        if fill.request.replaces:
            for keys in self._scan(codec):
                if keys:
                    with self._translated_errors():
                        self._sweep(keys=keys, args=[generation, layout.known_to(fill)])
        kept = layout.keeps(fill.request.keeps if fill.expires else None)
        arguments: list[bytes | int] = [generation, nonce, encode_moment(filled_to), kept, int(fill.request.replaces)]
        with self._translated_errors():
            if not self._finish(keys=[self._layout.record(codec)], args=arguments):
                raise _turn_is_over(fill, None)

    def drop(self, table: OnlineTable) -> None:
        codec = self._layout.codec(table)
        self._delete([self._layout.record(codec)])
        for found in self._scan(codec):
            self._delete(found)

    def close(self) -> None:
        """Close all connections; the next call opens new ones."""
        self._reads.close()
        self._writes.close()

    def _portions(self, codec: RowCodec, fill: Fill, rows: pa.RecordBatchReader) -> Iterator[EncodedRows]:
        """The encoded rows, as many at a time as one call takes."""
        for batch in rows:
            for start in range(0, batch.num_rows, _ROWS_PER_CALL):
                yield codec.encode_rows(batch.slice(start, _ROWS_PER_CALL), fill.generation)

    def _scan(self, codec: RowCodec) -> Iterator[list[bytes]]:
        cursor = 0
        pattern = self._layout.pattern(codec)
        while True:
            with self._translated_errors():
                answer: tuple[int, list[Any]] = self._writes.scan(cursor, match=pattern, count=_KEYS_PER_SCAN)
            cursor, keys = answer
            yield keys
            if cursor == 0:
                return

    def _delete(self, keys: list[bytes]) -> None:
        if keys:
            with self._translated_errors():
                self._writes.unlink(*keys)

    def _eviction_policy(self) -> str:
        """By INFO, because ACLs and hosted servers often forbid CONFIG."""
        with self._translated_errors():
            return str(self._writes.info("memory").get("maxmemory_policy", "unknown"))

    def _translated_errors(self, written: int = 0) -> AbstractContextManager[None]:
        return translated_errors(self._address, self._layout.namespace, written)


class AsyncRedisReader:
    """The reading side of a RedisOnlineStore, for one event loop."""

    def __init__(self, url: str, *, namespace: str = "knownat", timeout_seconds: float = 0.5) -> None:
        self._layout = RedisLayout(namespace)
        self._client = connect_async(url, timeout_seconds)
        self._address = address_of(self._client)  # type: ignore[arg-type]  # both clients have such a pool

    async def read(self, reads: Sequence[TableRead]) -> list[TableRows]:
        codecs = self._layout.codecs(reads)
        wanted = self._layout.wanted(codecs, reads)
        if not wanted:
            return []
        with translated_errors(self._address, self._layout.namespace):
            found: list[Any] = await self._client.mget(wanted)
        return self._layout.answers(codecs, reads, found)

    async def close(self) -> None:
        await self._client.aclose()


def _expiries(fill: Fill, encoded: EncodedRows) -> list[int]:
    """For how many milliseconds each row is kept, by the clock of whoever fills: that of a replay may be years ago."""
    if not fill.expires or fill.request.keeps is None:
        return []
    ends = encoded.event_timestamps + fill.request.keeps // timedelta(microseconds=1)
    left = (ends - to_microseconds(fill.request.now)) // 1_000
    kept: list[int] = np.maximum(left, _LEAST_KEPT // timedelta(milliseconds=1)).tolist()
    return kept


def _turn_is_over(fill: Fill, written: int | None) -> ConcurrentChange:
    told = "It was not marked as filled" if written is None else f"{written} rows were written"
    return ConcurrentChange(
        f"While {fill.request.table.name} was being copied, the online store was flushed, or another process began to "
        f"copy all of it. {told}; run `knownat materialize` again."
    )
