"""A small online table and batches of its rows, as the tests of the online stores write them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pyarrow as pa

from featurestore.graph.arrow_types import arrow_schema
from featurestore.graph.resolved import Column
from featurestore.ports.online_store import OnlineRow, OnlineStore, OnlineTable, TableRead, TableRows
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


def delays(*rows: Row) -> pa.RecordBatchReader:
    return rows_of(DELAYS, rows)


def read_one(store: OnlineStore, table: OnlineTable, *keys: Row) -> TableRows:
    [answer] = store.read([TableRead(table, keys)])
    return answer


def delay_of(store: OnlineStore, tail: str) -> object:
    """The stored delay of one tail number, None where there is no row."""
    [row] = read_one(store, DELAYS, (tail,)).rows
    return None if row is None else row.values[0]


def stored(row: Row, keys: int = 1) -> OnlineRow:
    """What reading this row must give."""
    event_timestamp, known_at, *values = row[keys:]
    assert isinstance(event_timestamp, datetime)
    assert isinstance(known_at, datetime)
    return OnlineRow(event_timestamp, known_at, tuple(values))
