"""Fill views: which intervals of the applied views a person or a schedule wants filled, and their backfill."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from featurestore.errors import InvalidRequest, KnownatError, SourceDrifted, SourceError
from featurestore.graph.chain_order import upstream_first
from featurestore.graph.resolved import ResolvedView
from featurestore.intervals import Interval, IntervalSet, show_moment
from featurestore.operations.backfill import DEFAULT_CHUNK_DAYS, chunks_of
from featurestore.operations.drift import all_of_them, read_sources
from featurestore.operations.fill_chunks import Chunk, ChunkFilled, fill_chunks
from featurestore.operations.first_event import first_event
from featurestore.operations.hold_rows import held_days
from featurestore.operations.outdated import outdated
from featurestore.operations.sides import OfflineSide
from featurestore.plan.build import SourceSpan, wanted_interval


@dataclass(frozen=True, slots=True)
class FillRequest:
    """Views, and the event time to fill them for: all that their sources hold, or the part in `[start, end)`.

    Only what is missing is filled, and the days for which sources have changed since, unless `recompute`: then what is
    filled already is filled again, too. `accept_removed`: rows that are gone from their sources go this once, also from
    the days in which they stayed until now.
    """

    views: tuple[ResolvedView, ...]
    start: datetime | None = None
    end: datetime | None = None
    recompute: bool = False
    accept_removed: bool = False

    def __post_init__(self) -> None:
        if self.start is not None and self.end is not None and not self.start < self.end:
            raise InvalidRequest(
                f"A backfill starts before it ends, got {show_moment(self.start)} to {show_moment(self.end)}."
            )


def fill_views(
    request: FillRequest, offline: OfflineSide, *, now: datetime, chunk_days: int = DEFAULT_CHUNK_DAYS
) -> Iterator[ChunkFilled]:
    """Backfill each view in turn, after those that it reads. Consume the iterator: work happens as it is read. Running
    it again does nothing.

    A view whose sources can not be read, or have drifted, does not keep the others from being filled: SourceError or
    SourceDrifted comes after the last of them.
    """
    broken: list[KnownatError] = []

    def chunks(views: Sequence[ResolvedView]) -> Iterator[Chunk]:
        for view in views:
            try:
                intervals = intervals_to_fill(view, request, offline, now=now)
                pieces = chunks_of(view, intervals, offline, chunk_days=chunk_days)
            except (SourceError, SourceDrifted) as error:
                broken.append(error)
            else:
                yield from pieces

    for views in _independent(request.views):
        try:
            yield from fill_chunks(chunks(views), offline, now=now, accept_removed=request.accept_removed)
        except (SourceError, SourceDrifted) as error:
            broken.append(error)
    if broken:
        raise all_of_them(broken)


def _independent(views: Iterable[ResolvedView]) -> Iterator[tuple[ResolvedView, ...]]:
    """The views in groups that are filled one after another: within one, none reads another's table."""
    group: dict[str, ResolvedView] = {}
    for view in upstream_first(views):
        if any(upstream.table in group for upstream in view.upstreams):
            yield tuple(group.values())
            group = {}
        group[view.table] = view
    yield tuple(group.values())


def intervals_to_fill(view: ResolvedView, request: FillRequest, offline: OfflineSide, *, now: datetime) -> IntervalSet:
    """What a request means for one view. Nothing outside of what its sources hold and what is filled already."""
    coverage = offline.coverage.coverage(view.table)
    covered = coverage.covered
    wanted = wanted_interval(view, _spans(view, offline), now, first=first_event(view, offline), covered=covered)
    possible = covered | IntervalSet((wanted,) if wanted else ())
    if not possible:
        return possible
    start = request.start or possible.intervals[0].start
    end = request.end or possible.intervals[-1].end
    inside = IntervalSet((Interval(start, end),) if start < end else ())
    if request.recompute:
        return possible & inside
    due = possible - covered | outdated(view, offline, now=now).days
    return (due | held_days(coverage) if request.accept_removed else due) & inside


def _spans(view: ResolvedView, offline: OfflineSide) -> dict[str, SourceSpan]:
    found = read_sources(view, offline)
    return {snapshot.source: SourceSpan(snapshot.rows, snapshot.first, snapshot.last) for snapshot in found}
