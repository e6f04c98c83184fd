"""Moments as columns of any type of moment hold them."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

import pyarrow as pa
import pyarrow.compute as pc

from featurestore.intervals import Interval


def as_moment(value: datetime | date) -> datetime:
    """In UTC; a naive value is read as UTC, and a date as its midnight."""
    if not isinstance(value, datetime):
        return datetime.combine(value, time(), UTC)
    value = datetime.combine(value.date(), value.time(), value.tzinfo)  # of a nanosecond type, without its nanoseconds
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def happened_within(column: str, schema: pa.Schema, interval: Interval) -> pc.Expression:
    """Whether a row may have happened in the interval: never less, and little more than is exactly in it."""
    kind = schema.field(column).type
    return (pc.field(column) >= _edge(interval.start, kind)) & (pc.field(column) <= _edge(interval.end, kind))


def rows_within(rows: pa.Table, column: str, interval: Interval) -> pa.Table:
    """The rows that may have happened in the interval."""
    return rows.filter(happened_within(column, rows.schema, interval))


def _edge(moment: datetime, kind: pa.DataType) -> pa.Scalar:
    if pa.types.is_date(kind):
        return pa.scalar(moment.date(), pa.date32()).cast(kind)
    told = moment.replace(tzinfo=None) if kind.tz is None else moment
    return pa.scalar(told, pa.timestamp("us", tz=kind.tz)).cast(kind, safe=False)
