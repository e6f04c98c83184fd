"""Outdated days: what is filled, but no longer from what the sources hold now.

Sources are compared part by part with what each fill saw of them, by spans and versions alone. A view that declares a
`lateness` says how long after they were known rows still come: rows that come later do not make a day outdated, they
are counted and told instead. Corrected and vanished parts always do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from featurestore.compiler.late_rows import ROWS, late_days, rows_of_days
from featurestore.compiler.stored_rows import EVENT_DAY
from featurestore.graph.resolved import ResolvedView
from featurestore.graph.written import KNOWN_AT
from featurestore.intervals import DAY, Interval, IntervalSet, floor_to, split_days
from featurestore.operations.drift import read_sources
from featurestore.operations.hold_rows import held_days, holds_removed
from featurestore.operations.sides import OfflineSide
from featurestore.operations.source_parts import part_changes, parts_seen
from featurestore.plan.stages import LateRows
from featurestore.ports.engine import Query
from featurestore.ports.state import Coverage, FilledPart, Holding


@dataclass(frozen=True, slots=True)
class Outdated:
    """Which days must be filled again, and the rows that came too late for that, if any."""

    days: IntervalSet
    late: LateRows | None = None


def outdated(view: ResolvedView, offline: OfflineSide, *, now: datetime) -> Outdated:
    """Compare what the view's table was filled from with what its sources hold now."""
    coverage = offline.coverage.coverage(view.table)
    if not coverage.fills:
        return Outdated(IntervalSet())
    snapshots = read_sources(view, offline)
    parts = parts_seen(view, snapshots)
    versions = tuple((snapshot.source, snapshot.version) for snapshot in snapshots)
    # Rows that stayed by an earlier declaration go, or not, by the present one.
    holding_sources = [source.name for source in view.sources if holds_removed(source)]
    days, beyond = held_days(coverage, unless=holding_sources), IntervalSet()
    for holding in coverage.holdings:
        in_time, too_late = _changed(view, holding, parts, versions)
        days, beyond = days | in_time, beyond | too_late
    if not (beyond := beyond - days):
        return Outdated(days)
    relations = {snapshot.source: snapshot.relation for snapshot in snapshots}
    if view.delay is None:
        told = Query(late_days(view, since=_first_fill(coverage, beyond), until=now), relations)
        days |= _known_since(coverage, beyond, _by_day(offline, told, KNOWN_AT))
    counts = _by_day(offline, Query(rows_of_days(view, beyond), relations), ROWS)
    fewer, late = _compared(view, coverage, beyond - days, counts)
    return Outdated(days | fewer, late)


def _changed(
    view: ResolvedView, holding: Holding, parts: Sequence[FilledPart], versions: tuple[tuple[str, str], ...]
) -> tuple[IntervalSet, IntervalSet]:
    """The days of the held piece that parts touch which are not what they were: those to be filled again, and those for
    which rows came later than the view's lateness."""
    fill, held = holding.fill, IntervalSet((holding.interval,))
    if fill.parts is None:
        return (IntervalSet() if fill.source_versions == versions else held), IntervalSet()
    days, grown = IntervalSet(), IntervalSet()
    for change in part_changes(holding, parts):
        touched = change.touched(holding.interval)
        if change.is_growth and view.lateness is not None and fill.day_rows is not None:
            grown |= touched
        else:
            days |= touched
    in_time = grown & _young(view, holding)
    return days | in_time, grown - in_time


def _young(view: ResolvedView, holding: Holding) -> IntervalSet:
    """The days that rows could still come for, in time, when they were filled."""
    since = holding.fill.filled_at - (view.delay or timedelta(0)) - (view.lateness or timedelta(0))
    start = max(floor_to(since, DAY), holding.interval.start)
    return IntervalSet((Interval(start, holding.interval.end),) if start < holding.interval.end else ())


def _first_fill(coverage: Coverage, days: IntervalSet) -> datetime:
    touching = [one.fill.filled_at for one in coverage.holdings if days & IntervalSet((one.interval,))]
    return min(touching)


def _known_since(coverage: Coverage, days: IntervalSet, known: dict[date, datetime]) -> IntervalSet:
    """The days with rows that say themselves that they became known after the day was filled: nobody could have known
    them in time."""
    late = (
        IntervalSet((_whole(day),)) & IntervalSet((holding.interval,))
        for holding in coverage.holdings
        for day, last in known.items()
        if last > holding.fill.filled_at
    )
    return IntervalSet.of(piece for pieces in late for piece in pieces) & days


def _compared(
    view: ResolvedView, coverage: Coverage, days: IntervalSet, counts: dict[date, int]
) -> tuple[IntervalSet, LateRows | None]:
    """Days that have fewer rows than when they were filled, which no late row explains, and the rows that are more."""
    fewer: list[Interval] = []
    more: list[Interval] = []
    rows = 0
    for day, pieces, before in _days_filled(coverage, days):
        difference = counts.get(day, 0) - before
        if difference:
            (more if difference > 0 else fewer).extend(pieces)
            rows += max(difference, 0)
    return IntervalSet.of(fewer), LateRows(view.name, rows, IntervalSet.of(more)) if more else None


def _days_filled(coverage: Coverage, days: IntervalSet) -> Iterator[tuple[date, IntervalSet, int]]:
    """Each of the days, as far as it is held, with the rows it had when it was filled."""
    for holding in coverage.holdings:
        before = {one.day: one.rows for one in holding.fill.day_rows or ()}
        for piece in IntervalSet((holding.interval,)) & days:
            for part in split_days(piece, 1):
                yield part.start.date(), IntervalSet((part,)), before.get(part.start.date(), 0)


def _by_day(offline: OfflineSide, query: Query, column: str) -> dict[date, Any]:
    with offline.engine.stream(query) as rows:
        return {row[EVENT_DAY]: row[column] for row in rows.read_all().to_pylist()}


def _whole(day: date) -> Interval:
    start = datetime.combine(day, time(), UTC)
    return Interval(start, start + DAY)
