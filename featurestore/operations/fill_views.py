"""Fill views: which intervals of the applied views a person or a schedule wants filled, and their backfill."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from featurestore.errors import InvalidRequest, KnownatError, SourceDrifted, SourceError
from featurestore.graph.chain_order import upstream_first
from featurestore.graph.resolved import ResolvedView
from featurestore.intervals import show_moment
from featurestore.operations.backfill import DEFAULT_CHUNK_DAYS, chunks_of
from featurestore.operations.drift import all_of_them
from featurestore.operations.fill_chunks import Chunk, ChunkFilled, fill_chunks
from featurestore.operations.missing import EventTime, missing
from featurestore.operations.sides import OfflineSide
from featurestore.operations.sources_once import SourcesOnce


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

    @property
    def event_time(self) -> EventTime:
        return EventTime(self.start, self.end, self.recompute, self.accept_removed)


def fill_views(
    request: FillRequest,
    offline: OfflineSide,
    *,
    now: datetime,
    chunk_days: int = DEFAULT_CHUNK_DAYS,
    deciding: OfflineSide | None = None,
) -> Iterator[ChunkFilled]:
    """Backfill each view in turn, after those that it reads. Consume the iterator: work happens as it is read. Running
    it again does nothing.

    A view whose sources can not be read, or have drifted, does not keep the others from being filled: SourceError or
    SourceDrifted comes after the last of them. `deciding`: where to look for what is to be done, if that was
    looked at in this run already.
    """
    broken: list[KnownatError] = []
    looked_at = deciding or replace(offline, sources=SourcesOnce(offline.sources))

    def chunks(views: Sequence[ResolvedView]) -> Iterator[Chunk]:
        for view in views:
            try:
                found = missing(view, request.event_time, looked_at, now=now)
                if found.longer is not None:  # else another process has filled it since, as far as that is known
                    looked_at.coverage.replace(view.table, found.longer.fill, found.longer.by)
                pieces = chunks_of(view, found.days, offline, chunk_days=chunk_days) if found.days else ()
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
