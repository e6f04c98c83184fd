"""A small online table and batches of its rows, as the tests of the online stores write them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pyarrow as pa

from featurestore.adapters.stored_moments import from_microseconds
from featurestore.graph.arrow_types import arrow_schema
from featurestore.graph.resolved import Column
from featurestore.ports.online_store import (
    Filled,
    FillRequest,
    OnlineRow,
    OnlineStore,
    OnlineTable,
    OnlineWriter,
    TableRead,
    TableRows,
    WriteCount,
)
from featurestore.spec.dtypes import DType

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DELAYS = OnlineTable("delays@0a1b2c3d", (Column("tail", DType.STRING),), (Column("delay", DType.FLOAT64),))

Row = tuple[object, ...]
"""The keys, the event timestamp, the known timestamp, the values."""


def after(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def rows_of(table: OnlineTable, rows: Iterable[Row], *, batch_rows: int = 100_000) -> pa.RecordBatchReader:
    """The rows as the stream that a store is given."""
    times = (Column("event_timestamp", DType.TIMESTAMP), Column("known_at", DType.TIMESTAMP))
    schema = arrow_schema((*table.keys, *times, *table.values))
    listed = list(rows)
    columns = [pa.array([row[i] for row in listed], field.type) for i, field in enumerate(schema)]
    batch = pa.RecordBatch.from_arrays(columns, schema=schema)
    batches = [batch.slice(start, batch_rows) for start in range(0, len(listed), batch_rows)]
    return pa.RecordBatchReader.from_batches(schema, batches)


def write(store: OnlineWriter, table: OnlineTable, rows: pa.RecordBatchReader) -> WriteCount:
    """Store what is newer, and say nothing of how far the table is filled."""
    return store.write(store.begin(FillRequest(table, NOON)), rows)


def replace(store: OnlineWriter, table: OnlineTable, rows: pa.RecordBatchReader, filled_to: datetime) -> WriteCount:
    """Make the rows all that the table holds."""
    fill = store.begin(FillRequest(table, NOON, replaces=True))
    count = store.write(fill, rows)
    store.finish(fill, filled_to)
    return count


def mark(store: OnlineWriter, table: OnlineTable, filled_to: datetime) -> None:
    store.finish(store.begin(FillRequest(table, NOON)), filled_to)


def filled_to(store: OnlineStore, table: OnlineTable) -> datetime | None:
    filled: Filled | None = read_one(store, table).filled
    return None if filled is None else filled.to


def delays(*rows: Row) -> pa.RecordBatchReader:
    return rows_of(DELAYS, rows)


def read_one(store: OnlineStore, table: OnlineTable, *keys: Row) -> TableRows:
    [answer] = store.read([TableRead(table, keys)])
    return answer


def rows_found(answer: TableRows) -> list[OnlineRow | None]:
    """The answer row by row."""
    return [
        None
        if event is None or known is None
        else OnlineRow(
            from_microseconds(event), from_microseconds(known), tuple(column[row] for column in answer.values)
        )
        for row, (event, known) in enumerate(zip(answer.event_timestamps, answer.known_at, strict=True))
    ]


def rows_at(store: OnlineStore, table: OnlineTable, *keys: Row) -> list[OnlineRow | None]:
    return rows_found(read_one(store, table, *keys))


def delay_of(store: OnlineStore, tail: str) -> object:
    """The stored delay of one tail number, None where there is no row."""
    [row] = rows_at(store, DELAYS, (tail,))
    return None if row is None else row.values[0]


def stored(row: Row, keys: int = 1) -> OnlineRow:
    """What reading this row must give."""
    event_timestamp, known_at, *values = row[keys:]
    assert isinstance(event_timestamp, datetime)
    assert isinstance(known_at, datetime)
    return OnlineRow(event_timestamp, known_at, tuple(values))
