"""The online store: the newest row of each key, for each view at each fingerprint, read in one round trip."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

import pyarrow as pa

from featurestore.graph.resolved import Column, ResolvedView


@dataclass(frozen=True, slots=True)
class OnlineTable:
    """The rows of one view at one fingerprint. Two tables share no rows unless name and columns are the same."""

    name: str
    keys: tuple[Column, ...]
    values: tuple[Column, ...]

    @classmethod
    def of(cls, view: ResolvedView) -> OnlineTable:
        return cls(view.table, view.keys, view.stored_values)


Key = tuple[object, ...]
"""One value for each key column: str, int, bool, date or datetime (UTC)."""


@dataclass(frozen=True, slots=True)
class TableRead:
    """The keys wanted of one table."""

    table: OnlineTable
    keys: Sequence[Key]


@dataclass(frozen=True, slots=True)
class Filled:
    """A table is whole up to a moment. `keeps`: how long after it happened a row is kept at least; None: for ever."""

    to: datetime
    keeps: timedelta | None = None

    def keeps_for(self, ttl: timedelta | None) -> bool:
        """Whether every row that counts by this TTL is still there."""
        return self.keeps is None or (ttl is not None and ttl <= self.keeps)


@dataclass(frozen=True, slots=True)
class OnlineRow:
    """A stored row: both timestamps in UTC, the values in the table's order, None for null."""

    event_timestamp: datetime
    known_at: datetime
    values: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class TableRows:
    """The answer to a TableRead, column by column, because that is how it is used: whoever asks for a hundred keys
    wants a few features of all of them. Each column has an entry for each key, in order; None where there is no row."""

    filled: Filled | None
    """None: never filled, or the store lost it. Then the rest says nothing."""
    event_timestamps: Sequence[int | None]
    """Microseconds since 1970 in UTC."""
    known_at: Sequence[int | None]
    values: Sequence[Sequence[object]]
    """A column for each of the table's values; None for a null, too."""
    unreadable: Mapping[int, frozenset[int]] = field(default_factory=dict)
    """Rows with values that nobody can be told (a date in no year from 1 to 9999), and which of their values: these are
    None. Such a row is told by itself, and hides no other."""


@dataclass(frozen=True, slots=True)
class WriteCount:
    """How many rows a write stored, and how many it left alone because the stored ones are newer."""

    written: int
    kept: int


@dataclass(frozen=True, slots=True)
class FillRequest:
    """What a writer is about to do.

    `replaces`: the rows to come are the table's whole content up to `known_to`, in place of all that it holds. Of what
    became known later it says nothing, so that a row which was pushed meanwhile stays.
    """

    table: OnlineTable
    now: datetime
    replaces: bool = False
    known_to: datetime | None = None
    keeps: timedelta | None = None
    """How long after it happened a row must be kept; the store may then forget it."""


@dataclass(frozen=True, slots=True)
class Fill:
    """A writer's turn. A replacing one begins a new generation: its rows replace those of earlier generations whatever
    their times, and writers of earlier generations can store nothing more."""

    request: FillRequest
    generation: int
    nonce: bytes
    """Of the table's record. A store that was flushed has none, or another."""
    expires: bool = False
    """Whether rows are given an expiry."""


class OnlineReader(Protocol):
    """Raises StoreUnavailable when the store does not answer, StoreCorrupted when it answers something else."""

    def read(self, reads: Sequence[TableRead]) -> list[TableRows]:
        """Rows and fill markers of several tables, in one round trip. An unknown key is None, never an error."""
        ...

    def sample_keys(self, table: OnlineTable, count: int) -> list[Key]:
        """Up to `count` keys that are stored, all of them if there are no more than that."""
        ...

    def all_keys(self, table: OnlineTable) -> Iterator[Sequence[Key]]:
        """Every key that is stored from the first call to the last, some at a time; one may come twice."""
        ...


class AsyncOnlineReader(Protocol):
    """The same answers without holding an event loop up."""

    async def read(self, reads: Sequence[TableRead]) -> list[TableRows]: ...

    async def close(self) -> None: ...


class OnlineWriter(Protocol):
    """A writer begins, writes as often as it likes, and finishes, or leaves it at that if others say how far the table
    is filled. The batches have the table's key columns, `event_timestamp`, `known_at`, then its values.

    Raises StoreUnavailable, or StoreRefused when the store is set up to drop rows. What was written before an error
    stays; beginning again finishes the job.
    """

    def begin(self, request: FillRequest) -> Fill:
        """Readers see no difference yet. Raises StoreCorrupted when the table's place is taken by another one."""
        ...

    def write(self, fill: Fill, rows: pa.RecordBatchReader) -> WriteCount:
        """Store each row unless its key has one with a greater event timestamp, or the same one and a greater known
        timestamp; rows of an earlier generation that this fill speaks of are replaced in any case. Readers find the old
        or the new row of a key at any moment. Raises ConcurrentChange when the fill's turn is over."""
        ...

    def finish(self, fill: Fill, filled_to: datetime) -> None:
        """Say up to when the table is filled, which never goes back; before that, a replacing fill removes what is left
        of earlier generations. Raises ConcurrentChange when the store lost rows since the fill began, or another
        replacing fill began since: the table is then marked by nobody, or by that one."""
        ...

    def drop(self, table: OnlineTable) -> None:
        """Remove the table's marker, then its rows."""
        ...


class OnlineStore(OnlineReader, OnlineWriter, Protocol):
    """Both sides of one store."""
