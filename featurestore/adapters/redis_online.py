"""The online store in one Redis: a string for each row, read with a single MGET over all tables of a request."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import pyarrow as pa
from redis import Redis
from redis.exceptions import RedisError

from featurestore.adapters import redis_layout as layout
from featurestore.adapters.redis_address import RedisAddress
from featurestore.adapters.redis_answers import refuse_eviction, translated_errors
from featurestore.adapters.redis_connections import task_pool, thread_pool, within
from featurestore.adapters.redis_fills import encoded_portions, expiries, may_expire, turn_is_over
from featurestore.adapters.redis_layout import FIRST_GENERATION, RedisLayout, TableRecord, check_identity
from featurestore.adapters.redis_task_calls import TaskCalls
from featurestore.adapters.redis_thread_calls import ThreadCalls
from featurestore.adapters.row_codec import EarlierTable, EncodedRows, RowCodec
from featurestore.adapters.stored_moments import encode_moment
from featurestore.ports.online_store import Fill, FillRequest, Key, OnlineTable, TableRead, TableRows, WriteCount

_ROWS_PER_CALL = 1_000  # one script call holds Redis for about 2 ms
_KEYS_PER_SCAN = 1_000
_WRITE_TEXT = layout.WRITE.encode()
_RETRIES = 1  # a pooled connection that a restart broke is replaced; a time-out is not tried again


class RedisOnlineStore:
    """An OnlineStore in the Redis at `address`, under keys that begin with `namespace:`.

    A read fails with StoreUnavailable at once when the connection is refused, and after `timeout_seconds`, all in all,
    whatever the server and the line do; a pooled connection that turns out broken is replaced once. Writes wait
    `write_timeout_seconds` for each answer.
    """

    def __init__(
        self,
        address: RedisAddress,
        *,
        namespace: str = "knownat",
        timeout_seconds: float = 0.5,
        write_timeout_seconds: float = 10.0,
    ) -> None:
        self._layout = RedisLayout(namespace)
        self._timeout_seconds = timeout_seconds
        self._write_timeout_seconds = write_timeout_seconds
        self._calls = ThreadCalls(thread_pool(address))
        self._writes = Redis.from_pool(thread_pool(address, retries=_RETRIES))
        self._address = address.name
        self._begin = self._writes.register_script(layout.BEGIN)
        self._sweep = self._writes.register_script(layout.SWEEP)
        self._unfill = self._writes.register_script(layout.UNFILL)
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
        try:
            with within(self._timeout_seconds):
                found: list[Any] = self._calls.ask(b"MGET", *wanted)
        except (RedisError, OSError):
            with translated_errors(self._address, self._layout.namespace):  # entered only now: it takes 2 µs
                raise
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

    def all_keys(self, table: OnlineTable) -> Iterator[Sequence[Key]]:
        codec = self._layout.codec(table)
        for keys in self._scan(codec):
            yield [self._layout.key_of(codec, key) for key in keys]

    def begin(self, request: FillRequest) -> Fill:
        policy = self._eviction_policy()
        refuse_eviction(self._address, policy)
        expires = may_expire(request, policy)
        codec = self._layout.codec(request.table)
        kept = layout.keeps(request.keeps if expires else None)
        arguments: list[bytes | int] = [codec.identity, os.urandom(8), kept, int(request.replaces)]
        with self._asking():
            data = self._begin(keys=[self._layout.record(codec)], args=arguments)
        record = TableRecord.decode(bytes(data))
        check_identity(codec, record)
        return Fill(request, record.generation, record.nonce, expires)

    def write(self, fill: Fill, rows: pa.RecordBatchReader) -> WriteCount:
        codec = self._layout.codec(fill.request.table)
        given: list[int] = []
        written = 0

        def commands() -> Iterator[list[bytes]]:
            for encoded in encoded_portions(codec, fill, rows, _ROWS_PER_CALL):
                given.append(len(encoded.keys))
                yield self._write_command(codec, fill, encoded)

        answers = self._calls.ask_each(commands(), self._write_timeout_seconds)
        while True:
            with translated_errors(self._address, self._layout.namespace, written):
                stored = next(answers, None)
            if stored is None:
                return WriteCount(written, sum(given) - written)
            if stored < 0:
                answers.close()
                raise turn_is_over(fill, written)
            written += int(stored)

    def _write_command(self, codec: RowCodec, fill: Fill, encoded: EncodedRows) -> list[bytes]:
        """By EVAL: beside a thousand rows a script's text is nothing, and a server may forget what it has loaded."""
        generation, nonce = layout.turn(fill)
        row = self._layout.row
        return [
            b"EVAL", _WRITE_TEXT, b"%d" % (1 + len(encoded.keys)),
            self._layout.record(codec), *[row(codec, key) for key in encoded.keys],
            generation, layout.known_to(fill), b"%d" % fill.expires, nonce,
            *encoded.values, *[b"%d" % left for left in expiries(fill, encoded)],
        ]  # fmt: skip

    def finish(self, fill: Fill, filled_to: datetime) -> None:
        codec = self._layout.codec(fill.request.table)
        generation, nonce = layout.turn(fill)
        if fill.request.replaces and fill.generation > FIRST_GENERATION:  # before the first there is nothing to remove
            for keys in self._scan(codec):
                if keys:
                    with self._asking():
                        self._sweep(keys=keys, args=[generation, layout.known_to(fill)])
        kept = layout.keeps(fill.request.keeps if fill.expires else None)
        arguments: list[bytes | int] = [generation, nonce, encode_moment(filled_to), kept, int(fill.request.replaces)]
        with self._asking():
            if not self._finish(keys=[self._layout.record(codec)], args=arguments):
                raise turn_is_over(fill, None)
        if fill.request.replaces:
            self._drop_earlier(codec)

    def drop(self, table: OnlineTable) -> None:
        codec = self._layout.codec(table)
        self._drop(codec)
        self._drop_earlier(codec)

    def _drop_earlier(self, codec: RowCodec) -> None:
        with self._asking():
            is_there = self._writes.exists(self._layout.record(codec.earlier))
        if is_there:
            self._drop(codec.earlier)

    def _drop(self, codec: RowCodec | EarlierTable) -> None:
        with self._asking():
            self._unfill(keys=[self._layout.record(codec)])
        for found in self._scan(codec):
            self._delete(found)
        # Last, so that a record that is not there says that there are no rows.
        self._delete([self._layout.record(codec)])

    def close(self) -> None:
        """Close all connections; the next call opens new ones."""
        self._calls.close()
        self._writes.close()

    def _scan(self, codec: RowCodec | EarlierTable) -> Iterator[list[bytes]]:
        cursor = 0
        pattern = self._layout.pattern(codec)
        while True:
            with self._asking():
                answer: tuple[int, list[Any]] = self._writes.scan(cursor, match=pattern, count=_KEYS_PER_SCAN)
            cursor, keys = answer
            yield keys
            if cursor == 0:
                return

    def _delete(self, keys: list[bytes]) -> None:
        if keys:
            with self._asking():
                self._writes.unlink(*keys)

    def _eviction_policy(self) -> str:
        """By INFO, because ACLs and hosted servers often forbid CONFIG."""
        with self._asking():
            return str(self._writes.info("memory").get("maxmemory_policy", "unknown"))

    @contextmanager
    def _asking(self, written: int = 0) -> Iterator[None]:
        """One question of a writer."""
        with translated_errors(self._address, self._layout.namespace, written), within(self._write_timeout_seconds):
            yield


class AsyncRedisReader:
    """The reading side of a RedisOnlineStore, for one event loop."""

    def __init__(self, address: RedisAddress, *, namespace: str = "knownat", timeout_seconds: float = 0.5) -> None:
        self._layout = RedisLayout(namespace)
        self._timeout_seconds = timeout_seconds
        self._calls = TaskCalls(task_pool(address))
        self._address = address.name

    async def read(self, reads: Sequence[TableRead]) -> list[TableRows]:
        codecs = self._layout.codecs(reads)
        wanted = self._layout.wanted(codecs, reads)
        if not wanted:
            return []
        try:
            async with asyncio.timeout(self._timeout_seconds):
                found: list[Any] = await self._calls.ask(b"MGET", *wanted)
        except (RedisError, OSError):
            with translated_errors(self._address, self._layout.namespace):
                raise
        return self._layout.answers(codecs, reads, found)

    async def close(self) -> None:
        await self._calls.close()
