"""Hold rows: what a table holds and its sources hold no more stays in the days that are filled again.

Only where a changed source says so (`removed_rows="hold"`); what others have lost goes. It is decided from what the
table holds, so a fill that is repeated after a crash, or because something else has changed, holds the same rows again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time

from featurestore.compiler.held_rows import gone_rows_of_days, needs_day_counts, rows_with_gone
from featurestore.compiler.late_rows import ROWS
from featurestore.compiler.row_wise import takes_rows_alone
from featurestore.compiler.stored_rows import EVENT_DAY
from featurestore.errors import QueryError
from featurestore.graph.resolved import ResolvedSource, ResolvedView, SourceKind
from featurestore.intervals import DAY, Interval, IntervalSet, split_days
from featurestore.operations.computed_days import ComputedDays, chosen_files, relation_of, stored_files, undamaged
from featurestore.operations.sides import OfflineSide
from featurestore.operations.source_parts import part_changes
from featurestore.plan.stages import HeldRows
from featurestore.ports.engine import ParquetFiles, Query
from featurestore.ports.state import Coverage, DayRows, FilledPart, HeldDay, Holding
from featurestore.spec.source import RemovedRows

_STORED, _COMPUTED = "stored_rows", "computed_rows"


def holds_removed(source: ResolvedSource) -> bool:
    """Whether rows that are gone from the source are to stay. What was pushed is never gone."""
    return source.removed_rows is RemovedRows.HOLD and source.kind is not SourceKind.FRAME


def counts_days(view: ResolvedView) -> bool:
    """Whether the sources' rows have to be counted by day: because a lateness speaks of them, or because nothing else
    tells that some are gone."""
    return view.lateness is not None or (any(map(holds_removed, view.sources)) and needs_day_counts(view))


def with_held_rows(computed: ComputedDays, offline: OfflineSide) -> ComputedDays:
    """The same, with the rows that the table holds for these days and the sources hold no more, where they are to
    stay."""
    if not any(map(holds_removed, computed.view.sources)):
        return computed
    if not (stored := stored_files(computed, offline)).paths:
        return computed
    filled = _filled(offline.coverage.coverage(computed.view.table), computed.interval)
    if not (sources := _holding_sources(computed.view, filled, computed.parts)):
        return computed
    fewer = _fewer_days(filled, computed)
    if not (gone := _gone(computed, stored, fewer, offline)).by_day:
        return computed
    return _counting_held(_completed(computed, gone, sources, offline), filled)


def held_rows(view: ResolvedView, coverage: Coverage) -> HeldRows | None:
    """The rows that the view's table holds and its sources hold no more, by what its fills remember."""
    held = [one for holding in coverage.holdings for one in holding.held]
    if not held:
        return None
    sources = tuple(sorted({name for one in held for name in one.sources}))
    rows, days = sum(one.rows for one in held), IntervalSet.of(map(_day, {one.day for one in held}))
    return HeldRows(view.name, rows, days, sources, is_windowed=view.is_windowed)


def held_days(coverage: Coverage, *, unless: Iterable[str] = ()) -> IntervalSet:
    """What is filled of the days with held rows, but for those that one of the sources `unless` holds."""
    kept = set(unless)
    return IntervalSet.of(
        piece
        for holding in coverage.holdings
        for one in holding.held
        if not kept.intersection(one.sources)
        for piece in IntervalSet((_day(one.day),)) & IntervalSet((holding.interval,))
    )


def _filled(coverage: Coverage, interval: Interval) -> tuple[Holding, ...]:
    """What was filled of the interval."""
    pieces = ((one.fill, IntervalSet((one.interval,)) & IntervalSet((interval,))) for one in coverage.holdings)
    return tuple(Holding(piece, fill) for fill, inside in pieces for piece in inside)


def _holding_sources(view: ResolvedView, filled: Sequence[Holding], parts: Sequence[FilledPart]) -> tuple[str, ...]:
    """The sources for which rows that are gone are to stay: those that changed since, or for which rows stay already.
    Where nothing has changed and days are filled again all the same, any source may be why; so it may where the table
    has rows of time that is not said to be filled: a clock was put right, or a fill was killed before it said so."""
    holding = {source.name for source in view.sources if holds_removed(source)}
    if not filled:
        return tuple(sorted(holding))
    changed = {name for one in filled for name in _losing_sources(view, one, parts)}
    changed |= {name for one in filled for day in one.held for name in day.sources}
    return tuple(sorted(changed & holding))


def _losing_sources(view: ResolvedView, held: Holding, parts: Sequence[FilledPart]) -> set[str]:
    if held.fill.parts is None:
        return {source.name for source in view.sources}
    changes = part_changes(held, parts)
    if not changes:
        return {source.name for source in view.sources}
    only_grows = takes_rows_alone(view)
    return {change.source for change in changes if change.before is not None or not only_grows}


def _fewer_days(filled: Sequence[Holding], computed: ComputedDays) -> frozenset[date]:
    """The days on which the sources have fewer rows than when they were filled."""
    if computed.day_rows is None:
        return frozenset()
    now = {one.day: one.rows for one in computed.day_rows}
    before = {one.day: one.rows for held in filled for one in held.fill.day_rows or ()}
    days = {part.start.date() for held in filled for part in split_days(held.interval, 1)}
    return frozenset(day for day in days if now.get(day, 0) < before.get(day, 0))


@dataclass(frozen=True, slots=True)
class _Gone:
    """Rows of stored files that are gone, and how many of them each day has."""

    stored: ParquetFiles
    by_day: dict[date, int]
    fewer: frozenset[date]


def _gone(computed: ComputedDays, stored: ParquetFiles, fewer: frozenset[date], offline: OfflineSide) -> _Gone:
    """Of damaged files nothing is believed, nor told as gone: filling their days again is what mends them. Reading all
    files for their digests would take as long as the fill, so they are looked at when there is something to tell."""
    try:
        found = _counted(computed, _Gone(stored, {}, fewer), offline)
        suspected = [day.isoformat() for day in found.by_day]
    except QueryError:
        found, suspected = None, list(stored.partitions)
    if found is not None and not suspected:
        return found
    whole = undamaged(computed, stored, suspected, offline)
    if found is not None and whole == stored:
        return found
    return _counted(computed, _Gone(whole, {}, fewer), offline)


def _counted(computed: ComputedDays, gone: _Gone, offline: OfflineSide) -> _Gone:
    view, fewer = computed.view, sorted(gone.fewer)
    counted = gone_rows_of_days(view, computed.interval, stored=_STORED, computed=_COMPUTED, fewer=fewer)
    relations = {_STORED: gone.stored, _COMPUTED: relation_of(computed, computed.files, gone.stored, offline)}
    with offline.engine.stream(Query(counted, relations)) as rows:
        by_day = {row[EVENT_DAY]: row[ROWS] for row in rows.read_all().to_pylist()}
    return replace(gone, by_day=by_day)


def _completed(computed: ComputedDays, gone: _Gone, sources: tuple[str, ...], offline: OfflineSide) -> ComputedDays:
    """With the gone rows among those of their days."""
    view, days = computed.view, {day.isoformat() for day in gone.by_day}
    staying = tuple(file for file in computed.files if file.partition not in days)
    replaced = tuple(file for file in computed.files if file.partition in days)
    stored = chosen_files(gone.stored, [day in days for day in gone.stored.partitions])
    query = rows_with_gone(view, computed.interval, stored=_STORED, computed=_COMPUTED, fewer=sorted(gone.fewer))
    relations = {_STORED: stored, _COMPUTED: relation_of(computed, replaced, stored, offline)}
    folder = offline.tables.staging_folder(view.table)
    written = offline.engine.write(Query(query, relations), folder, partition_by=EVENT_DAY)
    offline.ledger.files.remove(view.table, [file.path for file in replaced])
    held = tuple(HeldDay(day, rows, sources) for day, rows in sorted(gone.by_day.items()))
    return replace(computed, files=(*staying, *written), held=held)


def _counting_held(computed: ComputedDays, filled: Sequence[Holding]) -> ComputedDays:
    """Days whose rows stayed count as many rows as before: else the next fill would find none missing."""
    if computed.day_rows is None:
        return computed
    held = {one.day for one in computed.held}
    before = {one.day: one.rows for piece in filled for one in piece.fill.day_rows or () if one.day in held}
    now = {one.day: one.rows for one in computed.day_rows}
    rows = {**now, **{day: max(count, now.get(day, 0)) for day, count in before.items()}}
    return replace(computed, day_rows=tuple(DayRows(day, count) for day, count in sorted(rows.items())))


def _day(day: date) -> Interval:
    start = datetime.combine(day, time(), UTC)
    return Interval(start, start + DAY)
