"""Consume: append the entries of a stream to a frame source, each exactly once, whatever crashes when.

A stream gives each entry at least once. Which entries have been taken is kept in the commits of the source itself, so
an entry is appended and remembered in one step, or neither; only then is it acknowledged. Whoever wants to append reads
first what was taken, and fails where the source has changed since: see decision 20.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

import pyarrow as pa

from featurestore.errors import ConcurrentChange, SourceError, StoreUnavailable
from featurestore.operations.entry_rows import (
    EntryRow,
    read_entries,
    rows_table,
    without_late_rows,
    without_refused_rows,
)
from featurestore.ports.entries import BEFORE_ALL, EntrySpans, Span
from featurestore.ports.frames import Batch, StreamedFrames, Taken
from featurestore.ports.stream import Delivery, Rejected, Stream, StreamProgress
from featurestore.spec.source import FrameSource

_ATTEMPTS = 100


class Outlet(Protocol):
    def show(self, rows: pa.Table, arrived_at: datetime | None) -> None:
        """Make rows visible that are durable. `arrived_at`: when they were read, and known, unless they said otherwise;
        None for rows that were read before. The same rows again change nothing. Raises StoreUnavailable and
        ConcurrentChange for what may pass."""
        ...

    def refusal(self, rows: pa.Table) -> str | None:
        """Why the view can not be computed from these rows; None where it can."""
        ...

    def answered_to(self) -> datetime | None:
        """The moment up to which readers were told that they know everything that happened; None for nothing yet."""
        ...


@dataclass(frozen=True, slots=True)
class Feed:
    """A stream and the source that it feeds, at most `most` entries at a time."""

    source: FrameSource
    stream: Stream
    frames: StreamedFrames
    outlet: Outlet
    clock: Callable[[], datetime]
    most: int = 1_000


@dataclass(frozen=True, slots=True)
class Stalled:
    """A reason that may pass why nothing goes on. What was given and not acknowledged comes again."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Consumed:
    """What became of the entries that were given at once. It is durable, and unless it is stalled, it is visible and
    acknowledged."""

    appended: int = 0
    repeated: int = 0
    """Entries that had been appended or put aside before."""
    rejected: int = 0
    """Entries that are no rows, and were put aside."""
    gone: int = 0
    """Entries that were deleted from the stream before anyone appended them."""
    version: int | None = None
    """The source's version that holds what was appended."""
    stalled: Stalled | None = None

    @property
    def entries(self) -> int:
        return self.appended + self.repeated + self.rejected + self.gone


def consume(feed: Feed) -> Iterator[Consumed]:
    """Consume for as long as the iterator is read, and tell what was done after each batch: stopping there leaves
    nothing half done. Begins with what this consumer was given before, and claims what others have left.

    Raises SourceError when the stream is not the one that was read before, InvalidRequest when the source's rows have
    other columns than it declares, StoreRefused.
    """
    is_resuming = True
    while True:
        try:
            if is_resuming:
                check_stream(feed)
                delivery = feed.stream.pending(feed.most)
                is_resuming = bool(delivery)
            if not is_resuming:
                delivery = feed.stream.claim(feed.most) or feed.stream.read(feed.most)
            done = _settle(feed, delivery)
        except (StoreUnavailable, ConcurrentChange) as error:
            done = Consumed(stalled=Stalled(error.code, error.message))
        is_resuming = is_resuming or done.stalled is not None
        yield done


def check_stream(feed: Feed) -> StreamProgress:
    """How far the group is. Raises SourceError where the stream's newest entry is older than what was taken of it."""
    # In this order: while both are asked, entries may be added and taken.
    taken = feed.frames.taken(feed.source, feed.stream.name).entries.last
    progress = feed.stream.progress()
    if BEFORE_ALL < progress.last < taken:
        raise SourceError(
            f"source '{feed.source.name}' has taken stream '{feed.stream.name}' up to entry {taken}, and the stream's "
            f"newest entry is {progress.last}: it was made anew, or lost its end. Entries with ids that were taken "
            f"before would be left out. Give it greater ids (XSETID {feed.stream.name} {taken}), or use a stream of "
            "another name."
        )
    return progress


def _settle(feed: Feed, delivery: Delivery) -> Consumed:
    """In this order, so that a crash at any point repeats what has an effect once: put aside, append, show online,
    acknowledge."""
    if not delivery:
        return Consumed()
    taken = feed.frames.taken(feed.source, feed.stream.name)
    if any(entry.id in taken.entries for entry in delivery.entries):
        check_stream(feed)  # are they the same entries?
    now = feed.clock()
    rows, unfit = _rows(feed, delivery, taken.entries, now)
    rejected = feed.stream.put_aside(unfit)
    appended, version = _append(feed, rows, delivery.spans, taken)
    repeated = len(delivery.entries) - len(appended) - rejected
    done = Consumed(len(appended), repeated, rejected, len(delivery.gone), version)
    try:
        _show(feed, rows, appended, now)
        feed.stream.acknowledge([*(entry.id for entry in delivery.entries), *delivery.gone])
    except (StoreUnavailable, ConcurrentChange) as error:
        return replace(done, stalled=Stalled(error.code, error.message))
    return done


def _rows(feed: Feed, delivery: Delivery, taken: EntrySpans, now: datetime) -> tuple[list[EntryRow], list[Rejected]]:
    """The rows, and what has to be put aside. What was appended before is not: that may have become late since, or
    unfit, where the source declares other columns now."""
    rows, unfit = read_entries(feed.source, delivery.entries, now=now)
    before = [row for row in rows if row.entry.id in taken]
    answered_to = feed.outlet.answered_to() if feed.source.known_at is None else None
    kept, late = without_late_rows(feed.source, [row for row in rows if row.entry.id not in taken], answered_to)
    fresh, refused = without_refused_rows(feed.source, kept, feed.outlet.refusal)
    return [*before, *fresh], [one for one in (*unfit, *late, *refused) if one.entry.id not in taken]


def _show(feed: Feed, rows: Sequence[EntryRow], appended: Sequence[EntryRow], now: datetime) -> None:
    """The rows as they are kept: what was appended before may not have been shown, and is known since then."""
    if before := {row.entry.id for row in rows} - {row.entry.id for row in appended}:
        kept = feed.frames.kept_of(feed.source, feed.stream.name, before)
        if len(kept):
            feed.outlet.show(kept, None)
    if appended:
        feed.outlet.show(rows_table(feed.source, appended), now)


def _append(feed: Feed, rows: Sequence[EntryRow], spans: EntrySpans, taken: Taken) -> tuple[list[EntryRow], int | None]:
    """The rows that were appended, the others having been before, and the source's version that has them."""
    for _ in range(_ATTEMPTS):
        fresh = [row for row in rows if row.entry.id not in taken.entries]
        if not fresh:
            return [], None
        entries = _joined(taken.entries | spans, feed.stream)
        after = Taken(taken.stream, entries, taken.version)
        of_fresh = spans if len(fresh) == len(rows) else EntrySpans.of(Span.of(row.entry.id) for row in fresh)
        batch = Batch(rows_table(feed.source, fresh), of_fresh)
        if (version := feed.frames.take(feed.source, batch, after)) is not None:
            return fresh, version
        taken = feed.frames.taken(feed.source, feed.stream.name)
    raise ConcurrentChange(
        f"Others append to '{feed.source.name}' all the time. Nothing of this batch was; it is tried again."
    )


def _joined(entries: EntrySpans, stream: Stream) -> EntrySpans:
    """The same entries in as few spans as can be."""
    return entries.without(stream.empty(entries.gaps))
