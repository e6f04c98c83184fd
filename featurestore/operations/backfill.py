"""Backfill: fill a view's table for intervals of event time, chunk by chunk.

A chunk is the unit of work: its rows are written, committed as the whole content of their days, and only then recorded
as filled. After a crash the chunk that was under way is done again, with the same outcome.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from featurestore.compiler.stored_rows import stored_rows
from featurestore.graph.chained import stored_schema
from featurestore.graph.declared_sources import declared_source
from featurestore.graph.resolved import ResolvedView
from featurestore.intervals import DAY, EPOCH, Interval, IntervalSet, split_days, whole_days
from featurestore.operations.fill_chunks import Chunk, ChunkFilled, fill_chunks
from featurestore.operations.open_table import record_commits
from featurestore.operations.sides import OfflineSide
from featurestore.ports.engine import Query, Relation

DEFAULT_CHUNK_DAYS = 31
_MOST_CHUNKS = 100


def create_table(view: ResolvedView, offline: OfflineSide) -> None:
    """Create the view's table, empty, unless it is there."""
    if offline.tables.exists(view.table):
        return
    offline.coverage.forget(view.table)  # of a table that was deleted
    offline.ledger.commits.forget(view.table)
    schema = offline.engine.schema(Query(stored_rows(view, _any_interval()), _empty_relations(view, offline)))
    offline.tables.create(view.table, schema)
    record_commits(view.table, offline.ledger)


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
    yield from fill_chunks(chunks_of(view, missing, offline, chunk_days=chunk_days), offline, now=now)


def chunks_of(
    view: ResolvedView, missing: IntervalSet, offline: OfflineSide, *, chunk_days: int = DEFAULT_CHUNK_DAYS
) -> tuple[Chunk, ...]:
    """`missing` in pieces of whole days, each of which is computed and committed by itself."""
    days = max(chunk_days, int(missing.duration / DAY) // _MOST_CHUNKS)
    pieces = [chunk for piece in _replaced(view, missing, offline) for chunk in split_days(piece, days)]
    return tuple(Chunk(view, piece, number, len(pieces)) for number, piece in enumerate(pieces, start=1))


def _replaced(view: ResolvedView, missing: IntervalSet, offline: OfflineSide) -> IntervalSet:
    """`missing` widened to the days whose whole content will be replaced, up to where anything is filled or wanted: a
    day that was filled further than `missing` reaches is filled as far again."""
    covered = offline.coverage.coverage(view.table).covered
    ends = [piece.end for piece in (*missing, *covered)]
    return whole_days(missing, until=max(ends)) if ends else missing


def _empty_relations(view: ResolvedView, offline: OfflineSide) -> dict[str, Relation]:
    schemas = {source.name: offline.sources.read(declared_source(source)).schema for source in view.sources}
    schemas |= {upstream.name: stored_schema(upstream) for upstream in view.upstreams}
    return {name: schema.empty_table() for name, schema in schemas.items()}


def _any_interval() -> Interval:
    return Interval(EPOCH, EPOCH + DAY)
