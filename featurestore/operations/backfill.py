"""Backfill: fill a view's table for intervals of event time, chunk by chunk.

A chunk is the unit of work: its rows are written, committed as the whole content of their days, and only then recorded
as filled. After a crash the chunk that was under way is done again, with the same outcome.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from featurestore.compiler.stored_rows import EVENT_DAY, rejected_rows, stored_rows
from featurestore.graph.resolved import ResolvedSource, ResolvedView
from featurestore.intervals import DAY, EPOCH, Interval, IntervalSet, split_days, whole_days
from featurestore.operations.sides import OfflineSide
from featurestore.ports.engine import Query, Relation
from featurestore.ports.state import FilledInterval
from featurestore.spec.source import ParquetSource

DEFAULT_CHUNK_DAYS = 31
_MOST_CHUNKS = 100


@dataclass(frozen=True, slots=True)
class Rejected:
    """Source rows that can never be a feature's value, by what they lack."""

    no_event_timestamp: int
    no_known_at: int
    no_key: int

    @property
    def total(self) -> int:
        return self.no_event_timestamp + self.no_known_at + self.no_key


@dataclass(frozen=True, slots=True)
class ChunkFilled:
    """One chunk of a backfill is done."""

    view: str
    interval: Interval
    rows: int
    """Rows (or tiles) now stored for the chunk."""
    chunk: int
    """Its number, from 1."""
    chunks: int


def create_table(view: ResolvedView, offline: OfflineSide) -> None:
    """Create the view's table, empty, unless it is there."""
    if offline.tables.exists(view.table):
        return
    offline.coverage.forget(view.table)  # of a table that was deleted
    schema = offline.engine.schema(Query(stored_rows(view, _any_interval()), _empty_relations(view, offline)))
    offline.tables.create(view.table, schema)


def backfill(
    view: ResolvedView,
    missing: IntervalSet,
    offline: OfflineSide,
    *,
    now: datetime,
    chunk_days: int = DEFAULT_CHUNK_DAYS,
) -> Iterator[ChunkFilled]:
    """Fill `missing`, widened to whole days, reporting each chunk when it is durable and recorded.

    The table must exist. Consume the iterator: work happens as it is read, and stops when it is not. Raises
    ConcurrentChange when another process fills the same table: what is done stays done.
    """
    days = max(chunk_days, int(missing.duration / DAY) // _MOST_CHUNKS)
    chunks = [chunk for piece in _replaced(view, missing, offline) for chunk in split_days(piece, days)]
    for number, chunk in enumerate(chunks, start=1):
        rows = _fill(view, chunk, offline, now)
        yield ChunkFilled(view.name, chunk, rows, number, len(chunks))


def count_rejected(view: ResolvedView, offline: OfflineSide) -> Rejected:
    """How many of the sources' rows a backfill leaves out, and why."""
    relations, _ = source_relations(view, offline)
    row = offline.engine.stream(Query(rejected_rows(view), relations)).read_all().to_pylist()[0]
    return Rejected(int(row["no_event_timestamp"]), int(row["no_known_at"]), int(row["no_key"]))


def _replaced(view: ResolvedView, missing: IntervalSet, offline: OfflineSide) -> IntervalSet:
    """`missing` widened to the days whose whole content will be replaced, up to where anything is filled or wanted: a
    day that was filled further than `missing` reaches is filled as far again."""
    covered = offline.coverage.coverage(view.table).covered
    ends = [piece.end for piece in (*missing, *covered)]
    return whole_days(missing, until=max(ends)) if ends else missing


def _fill(view: ResolvedView, chunk: Interval, offline: OfflineSide, now: datetime) -> int:
    based_on = offline.tables.snapshot(view.table).version  # first: a fill that came after it makes ours fail
    relations, versions = source_relations(view, offline)
    query = Query(stored_rows(view, chunk), relations)
    files = offline.engine.write(query, offline.tables.staging_folder(view.table), partition_by=EVENT_DAY)
    version = offline.tables.replace(view.table, chunk, files, based_on=based_on)
    rows = sum(file.rows for file in files)
    offline.coverage.record(view.table, FilledInterval(chunk, version, rows, versions, now))
    return rows


def source_relations(
    view: ResolvedView, offline: OfflineSide
) -> tuple[dict[str, Relation], tuple[tuple[str, str], ...]]:
    """What the view's sources hold now, and which versions of them that is."""
    snapshots = [offline.sources.read(declared_source(source)) for source in view.sources]
    relations = {snapshot.source: snapshot.relation for snapshot in snapshots}
    return relations, tuple((snapshot.source, snapshot.version) for snapshot in snapshots)


def _empty_relations(view: ResolvedView, offline: OfflineSide) -> dict[str, Relation]:
    return {source.name: offline.sources.read(declared_source(source)).schema.empty_table() for source in view.sources}


def declared_source(source: ResolvedSource) -> ParquetSource:
    """The source as it was declared, which is what readers of sources take."""
    return ParquetSource(
        source.name,
        path=source.path,
        event_timestamp=source.event_timestamp,
        known_at=source.known_at,
        delay=source.delay,
    )


def _any_interval() -> Interval:
    return Interval(EPOCH, EPOCH + DAY)
