"""The online store: the newest row of each key, for each view at each fingerprint, read in one round trip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
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
class OnlineRow:
    """A stored row: both timestamps in UTC, the values in the table's order, None for null."""

    event_timestamp: datetime
    known_at: datetime
    values: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class TableRead:
    """The keys wanted of one table."""

    table: OnlineTable
    keys: Sequence[Key]


@dataclass(frozen=True, slots=True)
class TableRows:
    """The answer to a TableRead: a row or None for each key, in order."""

    filled_to: datetime | None
    """Up to when the table is filled; None: never filled, or the store lost it. Then `rows` says nothing."""
    rows: Sequence[OnlineRow | None]


@dataclass(frozen=True, slots=True)
class WriteCount:
    """How many rows a write stored, and how many it left alone because the stored ones are newer."""

    written: int
    kept: int


class OnlineReader(Protocol):
    """Raises StoreUnavailable when the store does not answer, StoreCorrupted when it answers something else."""

    def read(self, reads: Sequence[TableRead]) -> list[TableRows]:
        """Rows and fill markers of several tables, in one round trip. An unknown key is None, never an error."""
        ...

    def sample_keys(self, table: OnlineTable, count: int) -> list[Key]:
        """Up to `count` keys that are stored, all of them if there are no more than that."""
        ...


class OnlineWriter(Protocol):
    """The batches written have the table's key columns, `event_timestamp`, `known_at`, then its values.

    Raises StoreUnavailable, or StoreRefused when the store is set up to drop rows. What was written before an error
    stays; writing again finishes the job.
    """

    def write_newer(self, table: OnlineTable, rows: pa.RecordBatchReader) -> WriteCount:
        """Store each row unless its key has one with a greater event timestamp, or the same one and a greater known
        timestamp."""
        ...

    def replace(self, table: OnlineTable, rows: pa.RecordBatchReader) -> WriteCount:
        """Make `rows` the whole content of the table: store all, older or not, then remove the keys that are not
        among them. Readers find the old or the new row of a key at any moment."""
        ...

    def mark_filled(self, table: OnlineTable, filled_to: datetime) -> None:
        """Say up to when the table is filled. Call it after the rows are written; it never goes back."""
        ...

    def drop(self, table: OnlineTable) -> None:
        """Remove the table's marker, then its rows."""
        ...


class OnlineStore(OnlineReader, OnlineWriter, Protocol):
    """Both sides of one store."""
