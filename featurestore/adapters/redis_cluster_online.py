"""The online store in a Redis Cluster: the layout of the single server, read in one round trip to each node at once.

Guards (`redis_cluster_guards`) tell when a part of the cluster lost its rows. A write is told as done when a replica of
each node has it, where there is one, so that a failover loses nothing that was told as done.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from hashlib import sha1
from itertools import zip_longest
from typing import Any

import pyarrow as pa
from redis.crc import key_slot
from redis.exceptions import ConnectionError as RedisConnectionError

from featurestore.adapters import redis_cluster_guards as guarding
from featurestore.adapters import redis_layout as layout
from featurestore.adapters.redis_address import Node, RedisAddress, host_and_port
from featurestore.adapters.redis_answers import refuse_eviction, translated_errors
from featurestore.adapters.redis_cluster_calls import Call, Command
from featurestore.adapters.redis_cluster_client import AsyncClusterClient, ClusterClient
from featurestore.adapters.redis_cluster_guards import NUMBER_BYTES, Guards, is_trusted
from featurestore.adapters.redis_cluster_reading import ClusterQuestion, result, sampled_guards
from featurestore.adapters.redis_connections import within
from featurestore.adapters.redis_fills import encoded_portions, expiries, may_expire, turn_is_over
from featurestore.adapters.redis_layout import RedisLayout, TableRecord, check_identity
from featurestore.adapters.row_codec import EarlierTable, EncodedRows, RowCodec
from featurestore.adapters.stored_moments import encode_moment
from featurestore.ports.online_store import Fill, FillRequest, Key, OnlineTable, TableRead, TableRows, WriteCount

_ROWS_PER_CALL = 5_000  # spread over the nodes' slots: one pipeline for each node
_KEYS_PER_SCAN = 1_000
_CONFIRM: Command = ("WAIT", 1, 1_000)
_SCRIPTS = {
    sha1(source.encode(), usedforsecurity=False).hexdigest(): source  # the name that Redis gives to a script
    for source in (guarding.BEGIN, guarding.NOTE, layout.WRITE_ROWS, layout.SWEEP, layout.FINISH)
}
_NAMES = {source: name for name, source in _SCRIPTS.items()}


class RedisClusterStore:
    """An OnlineStore in the cluster that the nodes of `address` belong to, under keys that begin with `namespace:`.

    Deadlines are those of RedisOnlineStore. A node that is gone makes its share of the keys unavailable until its
    replica has taken over; a request that meets a new master asks again, within the same deadline.
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
        self._guards = Guards(namespace)
        self._timeout_seconds = timeout_seconds
        self._write_timeout_seconds = write_timeout_seconds
        self._client = ClusterClient(address, _SCRIPTS)
        self._address = address.name

    @property
    def address(self) -> str:
        """The nodes of the settings, without user or password: how errors and state name the cluster."""
        return self._address

    def read(self, reads: Sequence[TableRead]) -> list[TableRows]:
        question = ClusterQuestion(self._layout, self._guards, reads)
        with translated_errors(self._address, self._layout.namespace), within(self._timeout_seconds):
            self._client.run(question.calls)
            self._client.run(question.parts())
            self._client.run(question.more())
            return question.answers()

    def sample_keys(self, table: OnlineTable, count: int) -> list[Key]:
        codec = self._layout.codec(table)
        found = [self._sample(node, codec, count) for node in self._masters()]
        mixed = [key for keys in zip_longest(*found) for key in keys if key is not None]
        return [self._layout.key_of(codec, key) for key in mixed[:count]]

    def all_keys(self, table: OnlineTable) -> Iterator[Sequence[Key]]:
        codec = self._layout.codec(table)
        for node in self._masters():
            for keys in self._scan(node, codec):
                yield [self._layout.key_of(codec, key) for key in keys]

    def begin(self, request: FillRequest) -> Fill:
        self._client.forget_slots()
        expires = may_expire(request, self._eviction_policy())
        codec = self._layout.codec(request.table)
        record = self._one(self._layout.record(codec), "GET")
        if request.replaces or record is None:
            number, youngest = self._guarded()
        else:
            number, youngest = record[layout.GENERATION_OF_RECORD], bytes(NUMBER_BYTES)
        kept = layout.keeps(request.keeps if expires else None)
        arguments = [codec.identity, os.urandom(8), kept, int(request.replaces), number, youngest]
        found = TableRecord.decode(self._script(guarding.BEGIN, self._layout.record(codec), arguments))
        check_identity(codec, found)
        generation = found.generation.to_bytes(NUMBER_BYTES)
        if generation > number:  # two copies began at once, or this one twice as its connection broke
            self._on_keys(self._guards.places, guarding.NOTE, [generation])
        return Fill(request, found.generation, found.nonce, expires)

    def write(self, fill: Fill, rows: pa.RecordBatchReader) -> WriteCount:
        codec = self._layout.codec(fill.request.table)
        written = total = 0
        for encoded in encoded_portions(codec, fill, rows, _ROWS_PER_CALL):
            # Rows' slots know nothing of turns. Of a writer whose turn ends just now, what is in this portion may still
            # be stored, as rows of its own generation, which never replace those of a later one.
            if not self._has_turn(codec, fill, written):
                raise turn_is_over(fill, written)
            written += self._write(codec, fill, encoded, written)
            total += len(encoded.keys)
        return WriteCount(written, total - written)

    def finish(self, fill: Fill, filled_to: datetime) -> None:
        codec = self._layout.codec(fill.request.table)
        generation, nonce = layout.turn(fill)
        if fill.request.replaces:
            for node in self._masters():
                for keys in self._scan(node, codec):
                    self._on_keys(keys, layout.SWEEP, [generation, layout.known_to(fill)])
        guards = {call.slot: result(call) for call in self._run(sampled_guards(self._guards))}
        kept = layout.keeps(fill.request.keeps if fill.expires else None)
        arguments = [generation, nonce, encode_moment(filled_to), kept, int(fill.request.replaces)]
        is_whole = is_trusted(guards, guards, generation)
        if not is_whole or not self._script(layout.FINISH, self._layout.record(codec), arguments):
            raise turn_is_over(fill, None)
        if fill.request.replaces:
            self._drop_earlier(codec)

    def drop(self, table: OnlineTable) -> None:
        codec = self._layout.codec(table)
        self._one(self._layout.record(codec), "UNLINK")
        self._drop_rows(codec)
        self._drop_earlier(codec)

    def _drop_earlier(self, codec: RowCodec) -> None:
        record = self._layout.record(codec.earlier)
        if self._one(record, "GET") is not None:
            self._drop_rows(codec.earlier)
            self._one(record, "UNLINK")  # last: it says that there are rows

    def _drop_rows(self, codec: RowCodec | EarlierTable) -> None:
        for node in self._masters():
            for keys in self._scan(node, codec):
                self._run([Call(key_slot(key), ("UNLINK", key)) for key in keys], changes=True)

    def close(self) -> None:
        """Close all connections; the next call opens new ones."""
        self._client.close()

    def _guarded(self) -> tuple[bytes, bytes]:
        """A new copy's number, and that of the youngest guard, after making those that are missing."""
        noted = self._run([Call(key_slot(place), ("GET", place)) for place in self._guards.places])
        number = (1 + max(int.from_bytes(result(call) or b"") for call in noted)).to_bytes(NUMBER_BYTES)
        self._on_keys(self._guards.places, guarding.NOTE, [number])
        made = [Call(slot, ("SET", name, number, "NX", "GET")) for slot, name in enumerate(self._guards.by_slot)]
        return number, max(result(call) or number for call in self._run(made, changes=True))

    def _has_turn(self, codec: RowCodec, fill: Fill, written: int) -> bool:
        name = self._layout.record(codec)
        call = Call(key_slot(name), ("GETRANGE", name, layout.TURN_OF_RECORD.start, layout.TURN_OF_RECORD.stop - 1))
        with self._asking(written):
            self._client.run([call])
            return bool(result(call) == b"".join(layout.turn(fill)))

    def _write(self, codec: RowCodec, fill: Fill, encoded: EncodedRows, before: int) -> int:
        """How many of the rows were stored."""
        generation, nonce = layout.turn(fill)
        turn = (generation, layout.known_to(fill), int(fill.expires), nonce)
        ends: list[tuple[int, ...]] = [(end,) for end in expiries(fill, encoded)] or [()] * len(encoded.keys)
        calls = [
            _script_call(layout.WRITE_ROWS, self._layout.row(codec, key), (*turn, value, *end))
            for key, value, end in zip(encoded.keys, encoded.values, ends, strict=True)
        ]
        with self._asking(before):
            confirmed = self._client.run(calls, then=_CONFIRM)
        stored = sum(call.answer for call in calls if isinstance(call.answer, int))
        with self._asking(before + stored):
            self._check(calls, confirmed)
        return stored

    def _masters(self) -> tuple[Node, ...]:
        with self._asking():
            return self._client.slots().masters

    def _sample(self, node: Node, codec: RowCodec, count: int) -> list[bytes]:
        sample: dict[bytes, None] = {}
        # Redis scans in the order of its hash table, which is a spread over the keys already.
        for keys in self._scan(node, codec):
            sample.update(dict.fromkeys(keys))
            if len(sample) >= count:
                break
        return list(sample)

    def _scan(self, node: Node, codec: RowCodec | EarlierTable) -> Iterator[list[bytes]]:
        cursor, pattern = b"0", self._layout.pattern(codec)
        while True:
            cursor, keys = self._ask(node, ("SCAN", cursor, "MATCH", pattern, "COUNT", _KEYS_PER_SCAN))
            yield keys
            if int(cursor) == 0:
                return

    def _eviction_policy(self) -> str:
        """That of all masters: noeviction only if it is everywhere."""
        policies: set[str] = set()
        for node in self._masters():
            lines = self._ask(node, ("INFO", "memory")).decode().splitlines()
            told = dict(line.split(":", 1) for line in lines if ":" in line)
            policies.add(policy := told.get("maxmemory_policy", "unknown"))
            refuse_eviction(host_and_port(node), policy)
        return max(policies)  # volatile-* come after noeviction

    def _ask(self, node: Node, command: Command) -> Any:
        with self._asking():
            [answer] = self._client.ask({node: [command]})[node]
            if isinstance(answer, Exception):
                raise answer
            return answer

    def _one(self, key: bytes, command: str) -> Any:
        [call] = self._run([Call(key_slot(key), (command, key))], changes=command != "GET")
        return result(call)

    def _script(self, source: str, key: bytes, arguments: Sequence[Any]) -> Any:
        [call] = self._run([_script_call(source, key, arguments)], changes=True)
        return result(call)

    def _on_keys(self, keys: Sequence[bytes], source: str, arguments: Sequence[Any]) -> None:
        self._run([_script_call(source, key, arguments) for key in keys], changes=True)

    def _run(self, calls: Sequence[Call], *, changes: bool = False) -> Sequence[Call]:
        """Make the calls; what they change is on replicas afterwards. Raises the first error that was answered."""
        with self._asking():
            confirmed = self._client.run(calls, then=_CONFIRM if changes else None)
            self._check(calls, confirmed)
        return calls

    def _check(self, calls: Sequence[Call], confirmed: Sequence[Any]) -> None:
        """Raises the first error that was answered, or when a replica did not say in time that it has the changes."""
        for call in calls:
            result(call)
        for answer in confirmed:
            if isinstance(answer, Exception):
                raise answer
            if answer < 1:
                self._client.forget_slots()  # a replica that is known to be gone will not be waited for
                raise RedisConnectionError(
                    "no replica confirmed in time what was written, and a failover could lose it"
                )

    @contextmanager
    def _asking(self, written: int = 0) -> Iterator[None]:
        """One question of a writer."""
        with translated_errors(self._address, self._layout.namespace, written), within(self._write_timeout_seconds):
            yield


class AsyncRedisClusterReader:
    """The reading side of a RedisClusterStore, for one event loop."""

    def __init__(self, address: RedisAddress, *, namespace: str = "knownat", timeout_seconds: float = 0.5) -> None:
        self._layout = RedisLayout(namespace)
        self._guards = Guards(namespace)
        self._timeout_seconds = timeout_seconds
        self._client = AsyncClusterClient(address)
        self._address = address.name

    async def read(self, reads: Sequence[TableRead]) -> list[TableRows]:
        question = ClusterQuestion(self._layout, self._guards, reads)
        with translated_errors(self._address, self._layout.namespace):
            async with asyncio.timeout(self._timeout_seconds):
                await self._client.run(question.calls)
                await self._client.run(question.parts())
                await self._client.run(question.more())
            return question.answers()

    async def close(self) -> None:
        await self._client.close()


def _script_call(source: str, key: bytes, arguments: Sequence[Any]) -> Call:
    """One key for each call: few share a slot, and where a slot is just moving, its keys are at two nodes."""
    return Call(key_slot(key), ("EVALSHA", _NAMES[source], 1, key, *arguments))
