"""A stream in Redis, read as one consumer of a group.

The group is created with the stream when it is not there, at the oldest entry: also after a restart that lost it. Every
wait has an end. A read is never sent twice: when its answer is lost, Redis may have given entries to this consumer
already, which finds them by `pending`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic
from typing import Any, TypeVar

from redis import Redis
from redis.exceptions import InvalidResponse, NoPermissionError, OutOfMemoryError, RedisError, ResponseError

from featurestore.adapters.redis_address import RedisAddress
from featurestore.adapters.redis_connections import thread_pool, within
from featurestore.errors import InvalidRequest, StoreCorrupted, StoreRefused, StoreUnavailable
from featurestore.ports.entries import BEFORE_ALL, Entry, EntryId, EntrySpans, Gap, Span
from featurestore.ports.stream import Delivery, Rejected, StreamProgress

T = TypeVar("T")

REJECTED = ":rejected"
"""What the stream of rejected entries is called, after the name of the stream they came from."""

_OLDEST_SERVER = 7
_GROUP_IS_GONE = ("NOGROUP", "no such key", "UNBLOCKED")
"""How Redis says it, the last to somebody who was waiting for entries."""
_MOST_FIELDS = 1_000
"""Of an entry that is put aside. A script can pass on no more than some thousands of texts."""

# Put aside first: a script that Redis ends for want of memory has not acknowledged anything then.
_PUT_ASIDE = """
if #redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[2], ARGV[2], 1) == 0 then return 0 end
redis.call('XADD', KEYS[2], '*', unpack(ARGV, 3))
return redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
"""


@dataclass(frozen=True, slots=True)
class Membership:
    """Who reads what."""

    stream: str
    group: str
    consumer: str


@dataclass(frozen=True, slots=True)
class Pace:
    """How long a consumer waits, and for what. `gather`: for more entries, once there is one. `claim_after`: until what
    another consumer was given may be claimed. `timeout`: for any answer."""

    wait: timedelta = timedelta(milliseconds=500)
    gather: timedelta = timedelta(milliseconds=200)
    claim_after: timedelta = timedelta(seconds=60)
    timeout: timedelta = timedelta(milliseconds=500)


class RedisStream:
    """A Stream in the one Redis at `address`."""

    def __init__(self, address: RedisAddress, member: Membership, pace: Pace) -> None:
        self._member = member
        self._pace = pace
        # One retry replaces a pooled connection that a restart broke, for what can be said twice.
        self._commands = Redis.from_pool(thread_pool(address, retries=1))
        self._reads = Redis.from_pool(thread_pool(address))
        self._address = address.name
        self._put_aside = self._commands.register_script(_PUT_ASIDE)
        self._group_is_known = False
        self._claim_from = str(BEFORE_ALL)

    @property
    def name(self) -> str:
        return self._member.stream

    def read(self, most: int) -> Delivery:
        found = self._read_new(most, self._pace.wait)
        if not found:
            return Delivery()
        replies, until = [found], monotonic() + self._pace.gather.total_seconds()
        while (room := most - sum(map(len, replies))) > 0 and (left := until - monotonic()) > 0:
            replies.append(self._read_new(room, timedelta(seconds=left)))
        # What one reply holds are neighbors. Between two replies, others may have been given something.
        spans = EntrySpans.of(Span(reply[0].id, reply[-1].id) for reply in replies if reply)
        return Delivery(tuple(entry for reply in replies for entry in reply), spans)

    def pending(self, most: int) -> Delivery:
        member = self._member
        answer = self._in_group(
            lambda: self._reads.xreadgroup(member.group, member.consumer, {member.stream: "0"}, count=most)
        )
        return _one_by_one(_entries(answer))

    def claim(self, most: int) -> Delivery:
        member = self._member
        idle = int(self._pace.claim_after.total_seconds() * 1000)
        answer = self._in_group(
            lambda: self._commands.xautoclaim(
                member.stream, member.group, member.consumer, idle, start_id=self._claim_from, count=most
            )
        )
        self._claim_from = answer[0].decode()
        given = _one_by_one([_entry(*one) for one in answer[1]])
        deleted = tuple(_id(one) for one in answer[2])  # Redis has acknowledged those itself
        return Delivery(given.entries, given.spans, (*given.gone, *deleted))

    def acknowledge(self, entries: Iterable[EntryId]) -> None:
        if listed := list(map(str, entries)):
            with self._translated_errors():
                self._commands.xack(self._member.stream, self._member.group, *listed)

    def put_aside(self, rejected: Sequence[Rejected]) -> int:
        return int(self._in_group(lambda: self._put_all_aside(rejected))) if rejected else 0

    def empty(self, gaps: Sequence[Gap]) -> tuple[Gap, ...]:
        if not gaps:
            return ()
        found = self._in_group(lambda: self._between(gaps))
        return tuple(gap for gap, *between in zip(gaps, found[::2], found[1::2], strict=True) if not any(between))

    def progress(self) -> StreamProgress:
        answer = self._in_group(self._told_progress)
        stream, groups = answer
        [group] = [one for one in groups if one["name"] == self._member.group.encode()]
        lag = group.get("lag")  # a server before 7.0 does not tell it
        last, pending = _id(stream["last-generated-id"]), int(group["pending"])
        return StreamProgress(last, None if lag is None else int(lag), pending)

    def close(self) -> None:
        """Close all connections; the next call opens new ones."""
        self._commands.close()
        self._reads.close()

    def _read_new(self, most: int, wait: timedelta) -> list[Entry]:
        member = self._member
        milliseconds = max(int(wait.total_seconds() * 1000), 1)  # 0 would be for ever
        answer = self._in_group(
            lambda: self._reads.xreadgroup(
                member.group, member.consumer, {member.stream: ">"}, count=most, block=milliseconds
            ),
            wait,
        )
        return _entries(answer)

    def _put_all_aside(self, rejected: Sequence[Rejected]) -> int:
        keys = [self._member.stream, self._member.stream + REJECTED]
        with self._commands.pipeline(transaction=False) as pipeline:
            for one in rejected:
                told = [part for pair in list(one.entry.fields.items())[:_MOST_FIELDS] for part in pair]
                said = ["knownat:id", str(one.entry.id), "knownat:reason", one.reason]
                self._put_aside(keys, [self._member.group, str(one.entry.id), *said, *told], client=pipeline)
            return sum(pipeline.execute())

    def _between(self, gaps: Sequence[Gap]) -> list[Any]:
        with self._commands.pipeline(transaction=True) as pipeline:
            for gap in gaps:
                after, before = f"({gap.after}", f"({gap.before}"
                pipeline.xrange(self._member.stream, after, before, count=1)
                pipeline.xpending_range(self._member.stream, self._member.group, after, before, 1)
            return list(pipeline.execute())

    def _told_progress(self) -> list[Any]:
        with self._commands.pipeline(transaction=True) as pipeline:
            pipeline.xinfo_stream(self._member.stream)
            pipeline.xinfo_groups(self._member.stream)
            answer = list(pipeline.execute())
        if all(group["name"] != self._member.group.encode() for group in answer[1]):
            raise ResponseError("NOGROUP")
        return answer

    def _in_group(self, ask: Callable[[], T], waits: timedelta = timedelta(0)) -> T:
        """The answer. `waits`: how long Redis itself may wait before it gives one."""
        with self._translated_errors(waits):
            if not self._group_is_known:
                self._join()
            try:
                return ask()
            except ResponseError as error:
                if not any(told in str(error) for told in _GROUP_IS_GONE):
                    raise
                self._join()  # a restart may have lost it, or somebody has deleted the stream
                return ask()

    def _join(self) -> None:
        self._refuse_eviction()
        self._refuse_old_servers()
        try:
            self._commands.xgroup_create(self._member.stream, self._member.group, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):  # otherwise it is there
                raise
        self._group_is_known = True

    def _refuse_eviction(self) -> None:
        policy = str(self._commands.info("memory").get("maxmemory_policy", "unknown"))
        if policy != "noeviction" and not policy.startswith("volatile-"):
            raise StoreRefused(
                f"Redis at {self._address} has the maxmemory-policy '{policy}', which may silently drop a whole stream "
                "when its memory is full: expected noeviction or volatile-*. Nothing was read. Set it with "
                "`CONFIG SET maxmemory-policy noeviction` and in redis.conf."
            )

    def _refuse_old_servers(self) -> None:
        version = str(self._commands.info("server").get("redis_version", "0"))
        if int(version.partition(".")[0]) < _OLDEST_SERVER:
            raise StoreRefused(
                f"Redis at {self._address} is {version}, and reading a stream needs {_OLDEST_SERVER}.0 or later, which "
                "tells of entries that were deleted before anyone had read them. Nothing was read."
            )

    @contextmanager
    def _translated_errors(self, waits: timedelta = timedelta(0)) -> Iterator[None]:
        """What is asked in the block has one deadline, all in all."""
        member = self._member
        try:
            with within((self._pace.timeout + waits).total_seconds()):
                yield
        except OutOfMemoryError as error:
            raise StoreRefused(
                f"Redis at {self._address} is full (maxmemory) and takes nothing more, such as entries that are put "
                "aside. Raise maxmemory or trim the stream; nothing that was not appended is acknowledged."
            ) from error
        except NoPermissionError as error:
            raise StoreRefused(
                f"Redis at {self._address} does not permit a command that reading a stream needs: {error}. Grant this "
                f"user +@stream +@transaction +@scripting +@connection +info on ~{member.stream} and "
                f"~{member.stream}{REJECTED}."
            ) from error
        except InvalidResponse as error:
            raise StoreCorrupted(f"What answers at {self._address} does not speak Redis's protocol.") from error
        except (RedisError, OSError) as error:
            if "WRONGTYPE" in str(error):
                raise InvalidRequest(
                    f"'{member.stream}' or '{member.stream}{REJECTED}' in the Redis at {self._address} is not a "
                    "stream: name the one that entries are added to with XADD."
                ) from error
            raise StoreUnavailable(
                f"Redis at {self._address} does not answer: {str(error).rstrip('.') or type(error).__name__}. Check "
                "that it runs, that the address and password are right, and that it is not overloaded."
            ) from error


def _one_by_one(entries: Iterable[Entry]) -> Delivery:
    """Entries that may have others between them; those without a field have been deleted."""
    listed = list(entries)
    kept = tuple(entry for entry in listed if entry.fields)
    gone = tuple(entry.id for entry in listed if not entry.fields)
    return Delivery(kept, EntrySpans.of(Span.of(entry.id) for entry in kept), gone)


def _entries(answer: Any) -> list[Entry]:
    """Of the one stream that was read."""
    return [_entry(*one) for _, entries in answer for one in entries]


def _entry(name: bytes, fields: Mapping[bytes, bytes] | None) -> Entry:
    return Entry(_id(name), fields or {})


def _id(name: bytes) -> EntryId:
    return EntryId.parse(name.decode())
