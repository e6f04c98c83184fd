"""What is missing of a view's table: the days to be filled, and how much further it is filled because nothing happened.

Time passes for every view, and mostly without rows. Where sources have none between what is filled and now, the last
fill is said to reach so far: no rows are read and no table gets a version. What was found is remembered with the
sources' versions, so that the next run need not even look as long as those stay what they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from featurestore.compiler.first_event import is_dated_by_source, next_event_rows
from featurestore.graph.resolved import ResolvedView
from featurestore.graph.written import EVENT_TIMESTAMP
from featurestore.intervals import DAY, END_OF_TIME, Interval, IntervalSet, floor_to
from featurestore.operations.drift import read_sources, source_versions
from featurestore.operations.first_event import first_event
from featurestore.operations.hold_rows import held_days
from featurestore.operations.outdated import outdated
from featurestore.operations.sides import OfflineSide
from featurestore.operations.source_parts import parts_seen
from featurestore.plan.build import SourceSpan, wanted_end, wanted_interval
from featurestore.ports.engine import Query
from featurestore.ports.source_reader import SourceSnapshot
from featurestore.ports.state import Coverage, FilledInterval, FilledPart, Settled

_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class EventTime:
    """The part of a view's event time that is asked for; None leaves it open. `recompute`: also what is filled, and
    `accept_removed`: also the days in which rows stayed that are gone from their sources."""

    start: datetime | None = None
    end: datetime | None = None
    recompute: bool = False
    accept_removed: bool = False

    @property
    def is_all(self) -> bool:
        """Whether nothing is missing or outdated once it is filled."""
        return self == EventTime()


@dataclass(frozen=True, slots=True)
class Longer:
    """A fill, and the same fill reaching further, since nothing happened until then."""

    fill: FilledInterval
    by: FilledInterval


@dataclass(frozen=True, slots=True)
class Missing:
    """`days` are to be filled; `longer` is to be said, and adds none of them."""

    days: IntervalSet
    longer: Longer | None = None


def missing(view: ResolvedView, asked: EventTime, offline: OfflineSide, *, now: datetime) -> Missing:
    """What is to be done for one view. Nothing outside of what its sources hold and what is filled already."""
    coverage = offline.coverage.coverage(view.table)
    if asked.is_all and (found := _settled(view, coverage, offline, now)) is not None:
        return found
    snapshots, covered = read_sources(view, offline), coverage.covered
    spans = {one.source: SourceSpan(one.rows, one.first, one.last) for one in snapshots}
    wanted = wanted_interval(view, spans, now, first=first_event(view, offline), covered=covered)
    possible = covered | IntervalSet((wanted,) if wanted else ())
    if not possible:
        return Missing(possible)
    start = asked.start or possible.intervals[0].start
    end = asked.end or possible.intervals[-1].end
    inside = IntervalSet((Interval(start, end),) if start < end else ())
    if asked.recompute:
        return Missing(possible & inside)
    old, held = outdated(view, offline, now=now), held_days(coverage)
    again = old.days | held if asked.accept_removed else old.days
    lacking = _Lacking(coverage, (possible - covered) & inside, again & inside, snapshots)
    # Days with rows that stayed are outdated as soon as their source is declared in another way.
    return _without_quiet_time(view, lacking, offline, settles=asked.is_all and not old.late and not held)


def quiet_until(view: ResolvedView, coverage: Coverage, offline: OfflineSide) -> datetime | None:
    """Up to when sources have no row after what is filled, as far as that can be told without reading any; None where
    it can not."""
    last = coverage.last
    if last is None:
        return None
    if last.settled is not None and last.settled.source_versions == source_versions(view, offline):
        return last.settled.until
    return None if _later_parts(view, last, read_sources(view, offline)) else END_OF_TIME


def say_quiet(view: ResolvedView, time: Interval, offline: OfflineSide) -> None:
    """Time has passed in which sources have no rows, as `quiet_until` told. Where somebody has filled the view since,
    they know more."""
    last = offline.coverage.coverage(view.table).last
    if last is not None and last.interval.end == time.start:
        offline.coverage.replace(view.table, last, replace(last, interval=Interval(last.interval.start, time.end)))


@dataclass(frozen=True, slots=True)
class _Lacking:
    coverage: Coverage
    new: IntervalSet
    """What was never filled."""
    outdated: IntervalSet
    snapshots: Sequence[SourceSnapshot]

    @property
    def tail(self) -> Interval | None:
        """The time that has passed since what is filled."""
        last = self.coverage.last
        return next((piece for piece in self.new if last is not None and piece.start == last.interval.end), None)


def _settled(view: ResolvedView, coverage: Coverage, offline: OfflineSide, now: datetime) -> Missing | None:
    """Nothing is to be filled, where that was found before and sources are what they were; None: somebody has to
    look."""
    last = coverage.last
    if last is None or last.settled is None or last.settled.source_versions != source_versions(view, offline):
        return None
    filled = {one.name: offline.coverage.coverage(one.table).filled_to for one in view.upstreams}
    end = wanted_end(view, now, filled)
    if end is None or last.settled.until < end:
        return None
    longer = Longer(last, replace(last, interval=Interval(last.interval.start, end)))
    return Missing(IntervalSet(), longer if last.interval.end < end else None)


def _without_quiet_time(view: ResolvedView, lacking: _Lacking, offline: OfflineSide, *, settles: bool) -> Missing:
    """What is lacking, but for the time since what is filled if nothing happened in it. A day that is filled again
    is filled as far as is wanted. Where nothing is left and `settles`, what was found is remembered."""
    last, tail = lacking.coverage.last, lacking.tail
    rest = (lacking.new - IntervalSet((tail,) if tail else ())) | lacking.outdated
    is_settled = settles and not rest
    if last is None or not (tail or is_settled):
        return Missing(rest)
    day = IntervalSet((Interval(floor_to(last.interval.end - _MICROSECOND, DAY), last.interval.end),))
    next_row = END_OF_TIME if rest & day else _next_row(view, last, lacking.snapshots, offline)
    if tail and (rest & day or next_row < tail.end):
        return Missing(lacking.new | lacking.outdated)
    versions = tuple((one.source, one.version) for one in lacking.snapshots)
    by = replace(
        last,
        interval=Interval(last.interval.start, tail.end if tail else last.interval.end),
        parts=_with_later(last, _later_parts(view, last, lacking.snapshots)),
        settled=Settled(versions, next_row) if is_settled else None,
    )
    return Missing(rest, Longer(last, by) if by != last else None)


def _later_parts(
    view: ResolvedView, last: FilledInterval, snapshots: Sequence[SourceSnapshot]
) -> tuple[FilledPart, ...]:
    """The parts of sources that could have a row after what is filled. A span may be told a microsecond short, where a
    source has nanoseconds."""
    end = last.interval.end - _MICROSECOND
    return tuple(part for part in parts_seen(view, snapshots) if part.last is None or part.last >= end)


def _with_later(last: FilledInterval, later: Sequence[FilledPart]) -> tuple[FilledPart, ...] | None:
    """What the fill remembers of its sources, with the parts that its time reaches by now."""
    if last.parts is None:
        return None
    known = {(part.source, part.name) for part in last.parts}
    return (*last.parts, *(part for part in later if (part.source, part.name) not in known))


def _next_row(
    view: ResolvedView, last: FilledInterval, snapshots: Sequence[SourceSnapshot], offline: OfflineSide
) -> datetime:
    """The event time of the first row after what is filled; END_OF_TIME where there is none."""
    later = _later_parts(view, last, snapshots)
    if not later:
        return END_OF_TIME
    ends = [part.last for part in later if part.last is not None]
    is_dated = len(ends) == len(later) and max(ends) < END_OF_TIME - 2 * _MICROSECOND
    until = max(ends) + 2 * _MICROSECOND if is_dated else END_OF_TIME
    narrowed = is_dated_by_source(view) and last.interval.end < until < END_OF_TIME
    sources = read_sources(view, offline, within=Interval(last.interval.end, until)) if narrowed else snapshots
    relations = {one.source: one.relation for one in sources}
    with offline.engine.stream(Query(next_event_rows(view, since=last.interval.end), relations)) as rows:
        found: datetime | None = rows.read_all()[EVENT_TIMESTAMP][0].as_py()
    return END_OF_TIME if found is None else found
