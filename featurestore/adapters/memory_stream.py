"""A stream in memory, with groups and consumers: for tests."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from featurestore.ports.entries import BEFORE_ALL, Entry, EntryId, EntrySpans, Gap, Span
from featurestore.ports.stream import Delivery, Rejected, StreamProgress


@dataclass(slots=True)
class _Given:
    consumer: str
    at: datetime


@dataclass(slots=True)
class _Group:
    last: EntryId = BEFORE_ALL
    given: dict[EntryId, _Given] = field(default_factory=dict)


class MemoryEntries:
    """What the members of all groups share. Tests add to it and delete from it as others would."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.clock = clock
        self.entries: dict[EntryId, Entry] = {}
        self.rejected: list[Rejected] = []
        self.last = BEFORE_ALL
        self.groups: dict[str, _Group] = {}

    def add(self, fields: Mapping[bytes, bytes]) -> EntryId:
        self.last = EntryId(self.last.milliseconds + 1, 0)
        self.entries[self.last] = Entry(self.last, fields)
        return self.last

    def delete(self, entry: EntryId) -> None:
        self.entries.pop(entry, None)

    def drop_group(self, group: str) -> None:
        self.groups.pop(group, None)


class MemoryStream:
    """A Stream over shared entries, for one consumer. It never waits."""

    def __init__(self, shared: MemoryEntries, group: str, consumer: str, *, claim_after: timedelta) -> None:
        self._shared = shared
        self._group_name = group
        self._consumer = consumer
        self._claim_after = claim_after

    @property
    def name(self) -> str:
        return "memory"

    def read(self, most: int) -> Delivery:
        group = self._group
        entries = tuple(entry for entry in self._shared.entries.values() if entry.id > group.last)[:most]
        for entry in entries:
            group.last = entry.id
            group.given[entry.id] = _Given(self._consumer, self._shared.clock())
        return Delivery(entries, EntrySpans.of(Span(entry.id, entry.id) for entry in entries))

    def pending(self, most: int) -> Delivery:
        own = sorted(one for one, given in self._group.given.items() if given.consumer == self._consumer)
        return self._given(own[:most])

    def claim(self, most: int) -> Delivery:
        group, now = self._group, self._shared.clock()
        idle = sorted(one for one, given in group.given.items() if now - given.at >= self._claim_after)[:most]
        for one in idle:
            group.given[one] = _Given(self._consumer, now)
        delivery = self._given(idle)
        self.acknowledge(delivery.gone)
        return delivery

    def acknowledge(self, entries: Iterable[EntryId]) -> None:
        for entry in entries:
            self._group.given.pop(entry, None)

    def put_aside(self, rejected: Sequence[Rejected]) -> int:
        unacknowledged = [one for one in rejected if one.entry.id in self._group.given]
        self._shared.rejected.extend(unacknowledged)
        self.acknowledge(one.entry.id for one in unacknowledged)
        return len(unacknowledged)

    def empty(self, gaps: Sequence[Gap]) -> tuple[Gap, ...]:
        there = {*self._shared.entries, *self._group.given}
        return tuple(gap for gap in gaps if not any(gap.after < entry < gap.before for entry in there))

    def progress(self) -> StreamProgress:
        group = self._group
        lag = sum(entry > group.last for entry in self._shared.entries)
        return StreamProgress(self._shared.last, lag, len(group.given))

    @property
    def _group(self) -> _Group:
        return self._shared.groups.setdefault(self._group_name, _Group())

    def _given(self, ids: Sequence[EntryId]) -> Delivery:
        entries = tuple(self._shared.entries[one] for one in ids if one in self._shared.entries)
        gone = tuple(one for one in ids if one not in self._shared.entries)
        return Delivery(entries, EntrySpans.of(Span.of(entry.id) for entry in entries), gone)
