"""Run what is due: for each view, fill what is missing, late or restated, then bring the online store up to date.

For schedules: it may be called at any frequency, and while another call of it still runs. Each view is worked on under
a lock of its own, so that a second caller takes other views, or finds out who is at them and leaves. An error of one
view does not keep the others from being done.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from featurestore.errors import KnownatError
from featurestore.graph.resolved import ResolvedView
from featurestore.operations.backfill import DEFAULT_CHUNK_DAYS
from featurestore.operations.clock import check_clock, set_back
from featurestore.operations.fill_chunks import ChunkFilled
from featurestore.operations.fill_views import FillRequest, fill_views
from featurestore.operations.hold_rows import held_rows
from featurestore.operations.materialize import Materialized, MaterializeRequest, materialize
from featurestore.operations.outdated import outdated
from featurestore.operations.sides import OfflineSide, OnlineSide
from featurestore.operations.sources_once import SourcesOnce
from featurestore.operations.state_once import CoverageOnce, ProgressOnce
from featurestore.plan.stages import HeldRows, LateRows
from featurestore.ports.locks import Locks
from featurestore.ports.online_store import OnlineTable, TableRead


@dataclass(frozen=True, slots=True)
class DueRequest:
    """The views to bring up to date, upstream views first. `set_back`: those that were filled by a clock that was ahead
    are filled as of now; else they are refused."""

    views: tuple[ResolvedView, ...]
    now: datetime
    chunk_days: int = DEFAULT_CHUNK_DAYS
    set_back: bool = False


@dataclass(frozen=True, slots=True)
class Busy:
    """Somebody else is bringing this view up to date."""

    view: str
    table: str
    holder: str


@dataclass(frozen=True, slots=True)
class Refused:
    """This view could not be brought up to date, or not all the way: `code` and `message` say why."""

    view: str
    table: str
    code: str
    message: str


Due = ChunkFilled | Materialized | LateRows | HeldRows | Busy | Refused


def run_due(request: DueRequest, offline: OfflineSide, online: OnlineSide, locks: Locks) -> Iterator[Due]:
    """Do what is due, view by view, and tell what came of it. Consume the iterator: work happens as it is read."""
    sources = SourcesOnce(offline.sources)
    for view in request.views:
        with locks.hold(view.table) as holder:
            if holder is not None:
                yield Busy(view.name, view.table, holder)
                continue
            try:
                yield from _bring_up_to_date(view, request, (offline, online), sources)
            except KnownatError as error:
                yield Refused(view.name, view.table, error.code, error.message)


def _bring_up_to_date(
    view: ResolvedView, request: DueRequest, sides: tuple[OfflineSide, OnlineSide], sources: SourcesOnce
) -> Iterator[Due]:
    (offline, online), now = sides, request.now
    if request.set_back:
        yield from set_back(view, offline, online, now=now)
    told = replace(online, progress=ProgressOnce(online.progress))
    deciding = replace(offline, sources=sources, coverage=CoverageOnce(offline.coverage))
    check_clock([view], deciding, told, now=now)
    is_filled = False
    for chunk in fill_views(FillRequest((view,)), offline, now=now, chunk_days=request.chunk_days, deciding=deciding):
        is_filled = True
        yield chunk
    if is_filled and view.keeps_removed:
        # What was captured is known from a moment on that lies after the run's beginning: go on to there.
        now = max(now, offline.clock())
        yield from fill_views(FillRequest((view,)), offline, now=now, chunk_days=request.chunk_days)
    if not is_filled:  # state says what it said
        offline = replace(offline, coverage=deciding.coverage)
    if view.lateness is not None and (late := outdated(view, offline, now=now).late):
        yield late
    if (held := held_rows(view, offline.coverage.coverage(view.table))) is not None:
        yield held
    if _is_online(view, told):
        yield materialize(MaterializeRequest(view, now), offline, told, now=now)


def _is_online(view: ResolvedView, online: OnlineSide) -> bool:
    """Whether somebody asked for the view online before: state remembers it of a store that has lost it, and the store
    says it where state has forgotten how far it was."""
    if online.progress.last(online.address, view.table) is not None:
        return True
    return online.store.read([TableRead(OnlineTable.of(view), [])])[0].filled is not None
