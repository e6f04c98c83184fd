"""What every stream promises, run on the one in memory and on a real Redis."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import pytest
from redis import Redis

from featurestore.adapters.memory_stream import MemoryEntries, MemoryStream
from featurestore.adapters.redis_address import read_address
from featurestore.adapters.redis_stream import Membership, Pace, RedisStream
from featurestore.ports.entries import BEFORE_ALL, EntryId, EntrySpans, Gap, Span
from featurestore.ports.stream import Delivery, Rejected, Stream

NEVER, AT_ONCE = timedelta(days=1), timedelta(0)


class World(Protocol):
    """Everything around a stream: who adds to it and deletes from it, and who reads it."""

    def member(self, consumer: str, *, group: str = "group", claim_after: timedelta = NEVER) -> Stream: ...

    def add(self, **fields: str) -> EntryId: ...

    def delete(self, entry: EntryId) -> None: ...

    def drop_group(self) -> None: ...

    def rejected(self) -> list[tuple[str, str, Mapping[bytes, bytes]]]:
        """Id, reason, and fields."""
        ...


class MemoryWorld:
    def __init__(self) -> None:
        self._shared = MemoryEntries(lambda: datetime(2024, 3, 10, tzinfo=UTC))

    def member(self, consumer: str, *, group: str = "group", claim_after: timedelta = NEVER) -> Stream:
        return MemoryStream(self._shared, group, consumer, claim_after=claim_after)

    def add(self, **fields: str) -> EntryId:
        return self._shared.add({name.encode(): value.encode() for name, value in fields.items()})

    def delete(self, entry: EntryId) -> None:
        self._shared.delete(entry)

    def drop_group(self) -> None:
        self._shared.drop_group("group")

    def rejected(self) -> list[tuple[str, str, Mapping[bytes, bytes]]]:
        return [(str(one.entry.id), one.reason, one.entry.fields) for one in self._shared.rejected]


class RedisWorld:
    def __init__(self, url: str, client: Redis) -> None:
        self._url, self._client = url, client
        self._stream = f"stream [{uuid.uuid4()}]"
        self._opened: list[RedisStream] = []

    def member(self, consumer: str, *, group: str = "group", claim_after: timedelta = NEVER) -> Stream:
        soon = timedelta(milliseconds=50)
        pace = Pace(wait=soon, gather=soon, claim_after=claim_after, timeout=timedelta(seconds=10))
        self._opened.append(RedisStream(read_address(self._url), Membership(self._stream, group, consumer), pace))
        return self._opened[-1]

    def add(self, **fields: str) -> EntryId:
        return EntryId.parse(self._client.xadd(self._stream, fields).decode())  # type: ignore[arg-type, union-attr]

    def delete(self, entry: EntryId) -> None:
        self._client.xdel(self._stream, str(entry))

    def drop_group(self) -> None:
        self._client.xgroup_destroy(self._stream, "group")

    def rejected(self) -> list[tuple[str, str, Mapping[bytes, bytes]]]:
        entries: Any = self._client.xrange(f"{self._stream}:rejected")
        return [(told.pop(b"knownat:id").decode(), told.pop(b"knownat:reason").decode(), told) for _, told in entries]

    def close(self) -> None:
        for stream in self._opened:
            stream.close()


@pytest.fixture(params=["memory", "redis"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    if request.param == "memory":
        yield MemoryWorld()
        return
    url = request.getfixturevalue("redis_url")
    with Redis.from_url(url, protocol=2) as client:
        opened = RedisWorld(url, client)
        yield opened
        opened.close()


def ids(delivery: Delivery) -> list[EntryId]:
    return [entry.id for entry in delivery.entries]


def covers(delivery: Delivery) -> bool:
    """Whether the spans are all of the entries."""
    return all(entry in delivery.spans for entry in ids(delivery))


def test_a_stream_that_nobody_made_is_empty(world: World) -> None:
    stream = world.member("a")

    assert not stream.read(10)
    assert not stream.pending(10)
    assert not stream.claim(10)
    assert (stream.progress().last, stream.progress().pending) == (BEFORE_ALL, 0)


def test_a_new_group_begins_with_the_oldest_entry(world: World) -> None:
    added = [world.add(number=str(number)) for number in range(3)]

    delivery = world.member("a").read(10)

    assert ids(delivery) == added
    assert [entry.fields for entry in delivery.entries] == [{b"number": str(number).encode()} for number in range(3)]
    assert covers(delivery)


def test_an_entry_is_given_to_one_consumer_of_a_group(world: World) -> None:
    first, second = world.member("a"), world.member("b")
    added = [world.add(number=str(number)) for number in range(4)]

    given = [ids(first.read(2)), ids(second.read(2)), ids(first.read(2))]

    assert given == [added[:2], added[2:], []]


def test_another_group_is_given_everything(world: World) -> None:
    added = world.add(number="1")

    assert ids(world.member("a").read(1)) == [added]
    assert ids(world.member("a", group="other").read(1)) == [added]


def test_what_was_given_is_pending_until_it_is_acknowledged(world: World) -> None:
    stream = world.member("a")
    first, second = world.add(number="1"), world.add(number="2")
    stream.read(10)

    before = ids(world.member("a").pending(10))
    stream.acknowledge([first])

    assert before == [first, second]
    assert ids(stream.pending(10)) == [second]
    assert covers(stream.pending(10))
    assert stream.progress().pending == 1


def test_acknowledging_again_or_nothing_is_harmless(world: World) -> None:
    stream = world.member("a")
    added = world.add(number="1")
    stream.read(10)

    for entries in ([added], [added], []):
        stream.acknowledge(entries)

    assert not stream.pending(10)


def test_what_a_consumer_left_is_claimed_after_a_while(world: World) -> None:
    added = [world.add(number=str(number)) for number in range(3)]
    world.member("dead").read(10)

    at_once = world.member("b", claim_after=NEVER).claim(10)
    claimed = world.member("b", claim_after=AT_ONCE).claim(10)

    assert not at_once
    assert ids(claimed) == added
    assert covers(claimed)
    assert not world.member("dead").pending(10)
    assert ids(world.member("b").pending(10)) == added


def test_claiming_goes_on_until_nothing_is_left(world: World) -> None:
    added = [world.add(number=str(number)) for number in range(5)]
    world.member("dead").read(10)
    stream = world.member("b", claim_after=AT_ONCE)
    claimed = []

    while delivery := stream.claim(2):
        claimed += ids(delivery)
        stream.acknowledge(ids(delivery))

    assert claimed == added


def test_an_entry_that_was_deleted_before_it_was_dealt_with_is_told(world: World) -> None:
    stream = world.member("a")
    kept, lost = world.add(number="1"), world.add(number="2")
    stream.read(10)
    world.delete(lost)

    delivery = stream.pending(10)

    assert (ids(delivery), delivery.gone) == ([kept], (lost,))
    stream.acknowledge([kept, lost])
    assert not stream.pending(10)


def test_an_entry_that_was_deleted_before_it_was_claimed_is_told_once(world: World) -> None:
    lost, kept = world.add(number="1"), world.add(number="2")
    world.member("dead").read(10)
    world.delete(lost)
    stream = world.member("b", claim_after=AT_ONCE)

    delivery = stream.claim(10)

    assert (ids(delivery), delivery.gone) == ([kept], (lost,))
    stream.acknowledge([kept])
    assert not stream.claim(10)


def test_what_is_put_aside_keeps_its_fields_and_is_acknowledged(world: World) -> None:
    stream = world.member("a")
    added = world.add(number="x", other="Łódź")
    [entry] = stream.read(10).entries

    assert stream.put_aside([Rejected(entry, "not a number")]) == 1

    assert world.rejected() == [(str(added), "not a number", {b"number": b"x", b"other": "Łódź".encode()})]
    assert not stream.pending(10)


def test_what_was_put_aside_or_acknowledged_by_another_is_not_put_aside_again(world: World) -> None:
    slow = world.member("slow")
    for number in range(3):
        world.add(number=str(number))
    first, second, third = slow.read(10).entries
    fast = world.member("fast", claim_after=AT_ONCE)
    fast.claim(10)
    fast.put_aside([Rejected(first, "fast")])
    fast.acknowledge([second.id])

    assert slow.put_aside([Rejected(one, "slow") for one in (first, second, third)]) == 1

    assert [(told, reason) for told, reason, _ in world.rejected()] == [
        (str(first.id), "fast"),
        (str(third.id), "slow"),
    ]
    assert slow.put_aside([]) == 0


def test_a_gap_is_empty_unless_an_entry_is_in_it_or_in_the_hands_of_someone(world: World) -> None:
    stream = world.member("a")
    one, two, three, four, five = (world.add(number=str(number)) for number in range(5))
    stream.read(10)
    stream.acknowledge([one, two, three, five])
    world.delete(three)
    world.delete(four)

    gaps = [Gap(one, two), Gap(one, three), Gap(two, four), Gap(three, five), Gap(one, five)]

    assert stream.empty(gaps) == (gaps[0], gaps[2])
    assert stream.empty([]) == ()


def test_spans_of_what_is_read_have_nothing_of_others_in_between(world: World) -> None:
    first, second = world.member("a"), world.member("b")
    added = [world.add(number=str(number)) for number in range(6)]

    of_first, of_second = first.read(2).spans, second.read(2).spans
    of_first = of_first | first.read(2).spans

    assert [one in of_first for one in added] == [True, True, False, False, True, True]
    assert not any(one in of_first and one in of_second for one in added)


def test_progress_tells_the_newest_entry_the_lag_and_what_is_pending(world: World) -> None:
    stream = world.member("a")
    stream.read(1)
    added = [world.add(number=str(number)) for number in range(5)]
    stream.read(2)

    progress = stream.progress()

    assert (progress.last, progress.lag, progress.pending) == (added[-1], 3, 2)


def test_a_group_that_is_gone_is_made_again_and_given_everything(world: World) -> None:
    stream = world.member("a")
    added = world.add(number="1")
    stream.read(1)
    stream.acknowledge([added])
    world.drop_group()

    progress, pending, again = stream.progress(), stream.pending(1), stream.read(1)

    assert (progress.pending, ids(pending), ids(again)) == (0, [], [added])


def test_entries_that_are_neighbors_can_be_told_as_one_span(world: World) -> None:
    added = [world.add(number=str(number)) for number in range(4)]

    delivery = world.member("a").read(4)

    joined = delivery.spans.without(world.member("a").empty(delivery.spans.gaps))
    assert covers(delivery)
    assert joined == EntrySpans.of([Span(added[0], added[-1])])
