"""Late rows: what is filled, but for days in which rows have become known since.

Where sources say themselves when a row was known, a row can come long after its day was filled. That day is then
missing again, and the next backfill fills it as it does any other.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time

from featurestore.compiler.late_rows import late_days
from featurestore.compiler.stored_rows import EVENT_DAY
from featurestore.graph.resolved import ResolvedView
from featurestore.graph.written import KNOWN_AT
from featurestore.intervals import DAY, Interval, IntervalSet
from featurestore.operations.backfill import source_relations
from featurestore.operations.sides import OfflineSide
from featurestore.ports.engine import Query
from featurestore.ports.state import Coverage


def still_covered(view: ResolvedView, offline: OfflineSide, *, now: datetime) -> IntervalSet:
    """What is filled and need not be filled again: the coverage without the days of late rows."""
    coverage = offline.coverage.coverage(view.table)
    covered = coverage.covered
    if view.delay is not None or not coverage.fills:
        return covered
    since = min(fill.filled_at for fill in coverage.fills)
    relations, _ = source_relations(view, offline)
    with offline.engine.stream(Query(late_days(view, since=since, until=now), relations)) as rows:
        known = {row[EVENT_DAY]: row[KNOWN_AT] for row in rows.read_all().to_pylist()}
    late = IntervalSet.of(_whole(day) for day, last in known.items() if last > _filled_at(_whole(day), coverage, last))
    return covered - late


def _whole(day: date) -> Interval:
    start = datetime.combine(day, time(), UTC)
    return Interval(start, start + DAY)


def _filled_at(day: Interval, coverage: Coverage, default: datetime) -> datetime:
    """When the day was last filled: the newest version's fill counts, since it replaced the day."""
    touching = [f for f in coverage.fills if f.interval.start < day.end and day.start < f.interval.end]
    newest = max(touching, key=lambda fill: (fill.version, fill.filled_at), default=None)
    return default if newest is None else newest.filled_at
