"""Each entry of a stream is appended once, whatever comes again, and shown online once it is durable."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from featurestore.adapters.memory_frames import MemoryFrames
from featurestore.adapters.memory_stream import MemoryEntries, MemoryStream
from featurestore.errors import ConcurrentChange, SourceError, StoreUnavailable
from featurestore.operations.consume import Consumed, Feed, Stalled, consume
from featurestore.ports.entries import EntryId, EntrySpans, Span
from featurestore.ports.frames import Batch, Taken
from featurestore.ports.stream import Delivery
from featurestore.spec.dtypes import DType
from featurestore.spec.source import FrameSource

VISITS = FrameSource("visits", columns={"at": DType.TIMESTAMP, "visitors": DType.INT64}, event_timestamp="at")
NOON = datetime(2024, 3, 10, 12, tzinfo=UTC)
GONE = Stalled("store_unavailable", "gone")
LONG_AGO, AT_ONCE = timedelta(days=1), timedelta(0)


class Scene:
    """A stream, a source, and what was shown online."""

    def __init__(self) -> None:
        self.entries = MemoryEntries(lambda: datetime(2024, 3, 10, tzinfo=UTC))
        self.frames = MemoryFrames()
        self.shown: list[int] = []
        self.answered: datetime | None = None

    def add(self, *visitors: object) -> list[EntryId]:
        moment = b"2024-03-10"
        return [self.entries.add({b"at": moment, b"visitors": str(number).encode()}) for number in visitors]

    def feed(
        self, consumer: str = "a", *, group: str = "group", claim_after: timedelta = LONG_AGO, most: int = 10
    ) -> Feed:
        stream = MemoryStream(self.entries, group, consumer, claim_after=claim_after)
        return Feed(VISITS, stream, self.frames, self, lambda: NOON, most)

    def show(self, rows: pa.Table, arrived_at: datetime | None) -> None:  # noqa: ARG002 - the port's
        self.shown += rows["visitors"].to_pylist()

    def answered_to(self) -> datetime | None:
        return self.answered

    def refusal(self, rows: pa.Table) -> str | None:
        return "unlucky" if 13 in rows["visitors"].to_pylist() else None

    @property
    def appended(self) -> list[int]:
        return [value for _, batch in self.frames.batches for value in batch.rows["visitors"].to_pylist()]

    @property
    def taken(self) -> EntrySpans:
        return self.frames.taken(VISITS, "memory").entries


@pytest.fixture
def scene() -> Scene:
    return Scene()


def until_idle(feed: Feed) -> list[Consumed]:
    told: list[Consumed] = []
    for one in consume(feed):
        if one == Consumed():
            return told
        told.append(one)
        assert len(told) < 100
    raise AssertionError("consuming has no end of its own")


class Broken:
    """An outlet that fails the first time."""

    def __init__(self, scene: Scene, error: Exception) -> None:
        self._scene, self._fail = scene, failing_once(error)

    def show(self, rows: pa.Table, arrived_at: datetime | None) -> None:
        self._fail()
        self._scene.show(rows, arrived_at)

    def answered_to(self) -> datetime | None:
        return None

    def refusal(self, rows: pa.Table) -> str | None:
        return self._scene.refusal(rows)


def failing_once(error: Exception) -> Callable[..., None]:
    errors = [error]

    def call(*_: object) -> None:
        if errors:
            raise errors.pop()

    return call


def test_entries_are_appended_shown_and_acknowledged(scene: Scene) -> None:
    first, *_, last = scene.add(1, 2, 3)

    told = until_idle(scene.feed())

    assert told == [Consumed(appended=3, version=1)]
    assert (scene.appended, scene.shown) == ([1, 2, 3], [1, 2, 3])
    assert scene.feed().stream.progress().pending == 0
    assert scene.taken == EntrySpans.of([Span(first, last)])


def test_batches_are_as_large_as_they_may_be_and_what_was_taken_stays_one_span(scene: Scene) -> None:
    scene.add(*range(25))

    told = until_idle(scene.feed(most=10))

    assert [one.entries for one in told] == [10, 10, 5]
    assert len(scene.taken.spans) == 1


def test_what_is_no_row_is_put_aside_and_the_rest_appended(scene: Scene) -> None:
    scene.add(1, "x", 3, "y")

    told = until_idle(scene.feed())

    assert told == [Consumed(appended=2, rejected=2, version=1)]
    assert [one.entry.fields[b"visitors"] for one in scene.entries.rejected] == [b"x", b"y"]
    assert scene.appended == [1, 3]


def test_rows_that_the_view_can_not_be_computed_from_are_put_aside_and_no_others(scene: Scene) -> None:
    scene.add(1, 13, 2, 3, 13, 4, 13)

    told = until_idle(scene.feed())

    assert told == [Consumed(appended=4, rejected=3, version=1)]
    assert scene.appended == [1, 2, 3, 4]
    assert {one.reason for one in scene.entries.rejected} == {"unlucky"}


def test_a_batch_without_a_row_makes_no_commit(scene: Scene) -> None:
    scene.add("x", "y")

    assert until_idle(scene.feed()) == [Consumed(rejected=2)]
    assert scene.frames.batches == []


def test_what_was_appended_and_not_acknowledged_is_shown_again_but_not_appended(scene: Scene) -> None:
    scene.add(1, 2)
    with pytest.raises(KeyError):
        until_idle(replace(scene.feed(), outlet=Broken(scene, KeyError("killed"))))

    told = until_idle(scene.feed())

    assert told == [Consumed(repeated=2)]
    assert (scene.appended, scene.shown) == ([1, 2], [1, 2])


def test_what_comes_again_in_another_batch_is_told_apart_entry_by_entry(scene: Scene) -> None:
    scene.add(1, 2)
    with pytest.raises(KeyError):
        until_idle(replace(scene.feed(), outlet=Broken(scene, KeyError("killed"))))
    scene.add(3)
    scene.feed().stream.read(10)

    told = until_idle(scene.feed())

    assert told == [Consumed(appended=1, repeated=2, version=2)]
    assert scene.appended == [1, 2, 3]


def test_what_another_has_appended_meanwhile_is_left_out(scene: Scene) -> None:
    scene.add(1, 2)
    slow = scene.feed("slow")
    delivery = slow.stream.read(10)
    scene.add(3)
    until_idle(scene.feed("fast", claim_after=AT_ONCE))

    class Late(MemoryStream):
        """Goes on with what it was given before others claimed it."""

        def pending(self, most: int) -> Delivery:  # noqa: ARG002 - the port's
            return delivery

    late = Late(scene.entries, "group", "slow", claim_after=LONG_AGO)
    told = next(consume(replace(slow, stream=late)))

    assert told == Consumed(repeated=2)
    assert sorted(scene.appended) == [1, 2, 3]


def test_a_conflict_is_looked_into_and_what_is_left_is_appended(scene: Scene) -> None:
    first, second = scene.add(1, 2)

    class Overtaken(MemoryFrames):
        """Somebody else takes the first entry just before the first try."""

        tried = False

        def take(self, source: FrameSource, batch: Batch, taken: Taken) -> int | None:
            if not self.tried:
                self.tried = True
                other = Taken(taken.stream, EntrySpans.of([Span.of(first)]), taken.version)
                super().take(source, Batch(batch.rows.slice(0, 1), other.entries), other)
            return super().take(source, batch, taken)

    scene.frames = Overtaken()

    told = until_idle(scene.feed())

    assert told == [Consumed(appended=1, repeated=1, version=2)]
    assert scene.appended == [1, 2]
    assert scene.taken == EntrySpans.of([Span(first, second)])


def test_a_source_that_others_append_to_all_the_time_is_tried_again_later(scene: Scene) -> None:
    scene.add(1)

    class Busy(MemoryFrames):
        busy = True

        def take(self, source: FrameSource, batch: Batch, taken: Taken) -> int | None:
            return None if self.busy else super().take(source, batch, taken)

    scene.frames = frames = Busy()
    running = consume(scene.feed())

    stalled = next(running)
    frames.busy = False

    assert stalled.stalled is not None
    assert stalled.stalled.code == ConcurrentChange.code
    assert next(running) == Consumed(appended=1, version=1)


@pytest.mark.parametrize("method", ["read", "pending", "claim", "acknowledge", "progress", "empty"])
def test_an_outage_anywhere_stalls_and_nothing_is_lost_or_doubled(scene: Scene, method: str) -> None:
    scene.add(1, 2, 3)
    feed, fail = scene.feed(), failing_once(StoreUnavailable("gone"))
    real = getattr(feed.stream, method)

    class Failing(MemoryStream):
        """Fails the first time one method is called."""

    def failing(_: object, *arguments: object) -> object:
        fail()
        return real(*arguments)

    setattr(Failing, method, failing)
    feed = replace(feed, stream=Failing(scene.entries, "group", "a", claim_after=LONG_AGO))

    told = until_idle(feed)

    assert GONE in [one.stalled for one in told]
    assert scene.appended == [1, 2, 3]
    assert scene.shown == [1, 2, 3]
    assert scene.feed().stream.progress().pending == 0


def test_an_online_store_that_is_away_is_shown_the_rows_when_it_is_back(scene: Scene) -> None:
    scene.add(1, 2)

    told = until_idle(replace(scene.feed(), outlet=Broken(scene, StoreUnavailable("gone"))))

    assert told == [Consumed(appended=2, version=1, stalled=GONE), Consumed(repeated=2)]
    assert (scene.appended, scene.shown) == ([1, 2], [1, 2])


def test_a_group_that_begins_again_appends_nothing_twice(scene: Scene) -> None:
    scene.add(*range(5))
    until_idle(scene.feed())
    scene.entries.drop_group("group")
    scene.add(5)

    told = until_idle(scene.feed())

    assert told == [Consumed(appended=1, repeated=5, version=2)]
    assert scene.appended == list(range(6))


def test_another_group_appends_nothing_twice_either(scene: Scene) -> None:
    scene.add(*range(5))
    until_idle(scene.feed())

    assert until_idle(scene.feed(group="mistyped")) == [Consumed(repeated=5)]


def test_what_was_put_aside_is_not_put_aside_again_by_a_group_that_begins_again(scene: Scene) -> None:
    scene.add(1, "x", 3)
    until_idle(scene.feed())
    scene.entries.drop_group("group")

    assert until_idle(scene.feed()) == [Consumed(repeated=3)]
    assert len(scene.entries.rejected) == 1


def test_entries_that_were_deleted_before_anyone_appended_them_are_told(scene: Scene) -> None:
    lost, _ = scene.add(1, 2)
    scene.feed().stream.read(10)
    scene.entries.delete(lost)

    assert until_idle(scene.feed()) == [Consumed(appended=1, gone=1, version=1)]
    assert scene.feed().stream.progress().pending == 0


def test_an_entry_in_the_hands_of_another_is_never_taken_for_appended(scene: Scene) -> None:
    *_, held = scene.add(1, 2)
    slow = scene.feed("slow", most=2)
    delivery = slow.stream.read(2)
    scene.add(3)
    for one in (*delivery.spans.spans,):
        scene.entries.delete(one.first)  # trimmed: no longer in the stream, but in the hands of the slow one

    until_idle(scene.feed("fast"))

    assert held not in scene.taken


def test_a_stream_whose_ids_went_back_is_refused(scene: Scene) -> None:
    scene.add(1, 2, 3)
    until_idle(scene.feed())
    anew = Scene()
    anew.frames = scene.frames
    running = consume(anew.feed())
    assert next(running) == Consumed()
    anew.add(4)

    with pytest.raises(SourceError, match=r"up to entry 3-0, and the stream's newest entry is 1-0.*XSETID memory 3-0"):
        next(running)

    assert anew.feed().stream.progress().pending == 1


def test_rows_of_a_time_that_was_answered_without_them_are_put_aside_unless_they_were_appended(scene: Scene) -> None:
    scene.add(1)
    with pytest.raises(KeyError):
        until_idle(replace(scene.feed(), outlet=Broken(scene, KeyError("killed"))))
    scene.answered = NOON
    scene.add(2)
    scene.entries.add({b"at": b"2024-03-10T12:00:00", b"visitors": b"3"})

    told = until_idle(scene.feed())

    assert told == [Consumed(repeated=1), Consumed(appended=1, rejected=1, version=2)]
    assert "declare known_at= on source 'visits'" in scene.entries.rejected[0].reason
    assert scene.appended == [1, 3]
