"""Rows as the online store holds them, for an audit: a row that can not be read is told for its key, and does not hide
the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from featurestore.errors import StoreCorrupted
from featurestore.intervals import EPOCH
from featurestore.ports.online_store import Filled, Key, OnlineReader, OnlineRow, OnlineTable, TableRead, TableRows


@dataclass(frozen=True, slots=True)
class UnreadableRow:
    """There are bytes, and they are no row of this table, or not the one that was written."""

    reason: str


StoredRow = OnlineRow | UnreadableRow | None
"""None: there is no row for the key."""


@dataclass(frozen=True, slots=True)
class StoredRows:
    """A row for each key, in order, and how far the table was filled when they were read; None: it is not there."""

    filled: Filled | None
    rows: tuple[StoredRow, ...] = ()


@dataclass(frozen=True, slots=True)
class SampledKeys:
    """Keys that the store holds; `unreadable` says why they could not be told."""

    keys: tuple[Key, ...]
    unreadable: str | None = None


def how_filled(store: OnlineReader, table: OnlineTable) -> Filled | None:
    """How far the table is filled; None where it is not in the store."""
    return store.read([TableRead(table, [])])[0].filled


def stored_rows(store: OnlineReader, table: OnlineTable, keys: Sequence[Key]) -> StoredRows:
    """Raises StoreCorrupted only where more than rows is unreadable."""
    how_filled(store, table)  # if this can not be read, no row can be blamed
    parts = _read(store, table, keys)
    return StoredRows(parts[0].filled, tuple(row for part in parts for row in part.rows))


def keys_sampled(store: OnlineReader, table: OnlineTable, count: int) -> SampledKeys:
    try:
        return SampledKeys(tuple(store.sample_keys(table, count)))
    except StoreCorrupted as error:
        return SampledKeys((), error.message)


def _read(store: OnlineReader, table: OnlineTable, keys: Sequence[Key]) -> list[StoredRows]:
    """All at once, so that the rows are of one moment; where that fails, by halves down to the rows to blame."""
    try:
        answer = store.read([TableRead(table, keys)])[0]
    except StoreCorrupted as error:
        if len(keys) > 1:
            middle = len(keys) // 2
            return [*_read(store, table, keys[:middle]), *_read(store, table, keys[middle:])]
        unreadable = UnreadableRow(error.message)
        return [StoredRows(how_filled(store, table), (unreadable,))]
    return [StoredRows(answer.filled, tuple(_row(answer, place) for place in range(len(keys))))]


def _row(answer: TableRows, place: int) -> StoredRow:
    event, known = answer.event_timestamps[place], answer.known_at[place]
    if place in answer.unreadable:
        return UnreadableRow("The row holds a date or a timestamp in no year from 1 to 9999.")
    if event is None or known is None:
        return None
    values = tuple(column[place] for column in answer.values)
    return OnlineRow(EPOCH + timedelta(0, 0, event), EPOCH + timedelta(0, 0, known), values)
