"""A stream that others add entries to, as one consumer of a group reads it: at least once, whatever crashes.

An entry is given to one consumer of the group. Until that one acknowledges it, it is kept for it, and after a while it
may be claimed by another. That it is appended once is not decided here: see `StreamedFrames` in `ports/frames.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from featurestore.ports.entries import NO_ENTRIES, Entry, EntryId, EntrySpans, Gap


@dataclass(frozen=True, slots=True)
class Delivery:
    """Entries in the order of the stream. `spans` are those entries and no others, as few as are known to be enough.
    `gone` were given to this consumer and have been deleted from the stream since: nobody can read them any more."""

    entries: tuple[Entry, ...] = ()
    spans: EntrySpans = NO_ENTRIES
    gone: tuple[EntryId, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.entries or self.gone)


@dataclass(frozen=True, slots=True)
class Rejected:
    """An entry that is no row, and why."""

    entry: Entry
    reason: str


@dataclass(frozen=True, slots=True)
class StreamProgress:
    """How far a group is."""

    last: EntryId
    """The newest entry that was ever added; BEFORE_ALL for a new stream."""
    lag: int | None
    """How many entries were given to nobody yet; None where the stream does not know."""
    pending: int
    """How many were given to someone and are not acknowledged."""


class StreamReader(Protocol):
    """One consumer's way of reading. A group that is not there yet, or no more, begins with the oldest entry.

    Everything raises StoreUnavailable when the stream does not answer in time, StoreRefused when it may not be read.
    """

    def read(self, most: int) -> Delivery:
        """Entries that nobody was given yet: waits a moment for the first, then as long as is worth while for more."""
        ...

    def pending(self, most: int) -> Delivery:
        """Entries that this consumer was given before and has not acknowledged."""
        ...

    def claim(self, most: int) -> Delivery:
        """Entries that any consumer was given long ago and has not acknowledged: they are this consumer's from now
        on. Empty where there are none; call it again for more. What is gone needs no acknowledgment."""
        ...

    def acknowledge(self, entries: Iterable[EntryId]) -> None:
        """These are dealt with: nobody is given them again."""
        ...

    def put_aside(self, rejected: Sequence[Rejected]) -> int:
        """Add each to the stream of what was rejected, and acknowledge it, both or neither. Leaves out those that were
        acknowledged before; returns how many were not."""
        ...


class StreamState(Protocol):
    """What can be asked of a stream."""

    def empty(self, gaps: Sequence[Gap]) -> tuple[Gap, ...]:
        """Those of the gaps with no entry in the stream, nor one that a consumer of the group was given and has not
        acknowledged."""
        ...

    def progress(self) -> StreamProgress: ...


class Stream(StreamReader, StreamState, Protocol):
    """Both."""

    @property
    def name(self) -> str: ...
