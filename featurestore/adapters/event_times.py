"""Moments as columns of any type of moment hold them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from featurestore.errors import SourceError
from featurestore.intervals import EPOCH, Interval

Span = tuple[datetime, datetime]

_MICROSECONDS = {"s": 1_000_000, "ms": 1000, "us": 1}
_MICROSECONDS_OF_DAY = 86_400_000_000
_INT64 = 1 << 63


@dataclass(frozen=True, slots=True)
class EventColumn:
    """The column that says when the rows of a source happened."""

    source: str
    name: str


def as_moment(value: datetime | date) -> datetime:
    """In UTC; a naive value is read as UTC, and a date as its midnight."""
    if not isinstance(value, datetime):
        return datetime.combine(value, time(), UTC)
    value = datetime.combine(value.date(), value.time(), value.tzinfo)  # of a nanosecond type, without its nanoseconds
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def span_of(values: pa.Array | pa.ChunkedArray, column: EventColumn) -> Span | None:
    """The first and last of a column's moments; None where all are null. Raises SourceError for one that is in no year
    from 1 to 9999."""
    kind = values.type
    if pa.types.is_date64(kind):
        values = values.cast(pa.date32())
    numbers = values.cast(pa.int32() if pa.types.is_date(kind) else pa.int64())
    edges = pc.min_max(numbers).as_py()
    return None if edges["min"] is None else spanned(edges["min"], edges["max"], values.type, column)


def spanned(first: int, last: int, kind: pa.DataType, column: EventColumn) -> Span:
    """Two moments that are stored as numbers of days or of a unit since 1970. Raises SourceError as `span_of` does."""
    return _moment(first, kind, column), _moment(last, kind, column)


def happened_within(column: str, schema: pa.Schema, interval: Interval) -> pc.Expression:
    """Whether a row may have happened in the interval: never less, and little more than is exactly in it."""
    kind = schema.field(column).type
    return (pc.field(column) >= _edge(interval.start, kind)) & (pc.field(column) <= _edge(interval.end, kind))


def rows_within(rows: pa.Table, column: str, interval: Interval) -> pa.Table:
    """The rows that may have happened in the interval."""
    return rows.filter(happened_within(column, rows.schema, interval))


def _moment(number: int, kind: pa.DataType, column: EventColumn) -> datetime:
    try:
        return EPOCH + timedelta(microseconds=_microseconds(number, kind))
    except OverflowError as error:
        told = "infinity" if abs(number) >= (1 << 31 if pa.types.is_date(kind) else _INT64) - 1 else f"{number:,}"
        raise SourceError(
            f"source '{column.source}': '{column.name}' holds {told} ({kind}, counted from 1970), which is in no year "
            "from 1 to 9999: correct the rows, or leave them out of the source"
        ) from error


def _microseconds(number: int, kind: pa.DataType) -> int:
    if pa.types.is_date(kind):
        return number * _MICROSECONDS_OF_DAY
    return number // 1000 if kind.unit == "ns" else number * _MICROSECONDS[kind.unit]


def _edge(moment: datetime, kind: pa.DataType) -> pa.Scalar:
    if pa.types.is_date(kind):
        return pa.scalar(moment.date(), pa.date32()).cast(kind)
    microseconds = (moment - EPOCH) // timedelta(microseconds=1)
    unit = {"ns": 1000, "us": 1}.get(kind.unit)
    number = microseconds * unit if unit is not None else microseconds // _MICROSECONDS[kind.unit]
    return pa.scalar(max(min(number, _INT64 - 1), -_INT64), pa.int64()).cast(kind)
