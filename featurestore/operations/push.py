"""Push: rows of one moment to a view, durable at once, offline at once, and online within the same call.

In this order: the rows are appended to the view's frame source, exactly once for a key; the view's table gets what they
lead to; the online store gets what is visible by now. Each of these can be repeated, so that the same push again
finishes what one that was interrupted began.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from featurestore.compiler.arrived_rows import arrived_rows
from featurestore.compiler.hops import boundary, hop_at
from featurestore.compiler.row_wise import is_row_wise
from featurestore.errors import ConcurrentChange, InvalidRequest, QueryError
from featurestore.graph.declared_sources import declared_source
from featurestore.graph.resolved import ResolvedView
from featurestore.graph.written import EVENT_TIMESTAMP
from featurestore.intervals import floor_to, show_moment
from featurestore.operations.add_rows import add_rows
from featurestore.operations.fill_views import FillRequest, fill_views
from featurestore.operations.fitted_column import as_moments
from featurestore.operations.fitted_frame import check_same_rows
from featurestore.operations.push_frame import check_key
from featurestore.operations.push_online import Arrived, OnlineState, bring_online
from featurestore.operations.pushed_rows import stamped_rows
from featurestore.operations.sides import OfflineSide, OnlineSide
from featurestore.operations.source_rows import rejected_among
from featurestore.ports.engine import Query
from featurestore.ports.frames import FrameStore, Pushed
from featurestore.spec.source import FrameSource

_HOUR, _MICROSECOND = timedelta(hours=1), timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class PushRequest:
    """Rows for a view, in the columns of its source. `key` names this piece of data and no other.

    `known_at` of the source may be left out: the rows are then known `now`, when they arrived.
    """

    view: ResolvedView
    rows: pa.Table
    key: str
    now: datetime
    stamps: frozenset[datetime] = frozenset()
    """Known timestamps among the rows that they were given because they arrived then, by who hands them on."""


@dataclass(frozen=True, slots=True)
class PushResult:
    """Rows that are durable, and where they can be seen."""

    view: str
    table: str
    source: str
    key: str
    rows: int
    """Rows that were pushed."""
    feature_rows: int | None
    """Rows of the view that they lead to; None for a windowed view, whose tiles the next fill computes."""
    rejected: int
    """Rows without a key or a time, which can never be a feature's value."""
    is_new: bool
    """False where the key had been pushed before."""
    known_at: datetime | None
    """When they are known, where they did not say it themselves."""
    source_version: str
    table_version: int | None
    """The version of the view's table that has them; None until the next fill."""
    online: OnlineState
    online_from: datetime | None = None
    """With LATER: the moment from which on the last of them can be online."""
    reason: str | None = None
    """Why they are not online now, and what to do."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """The rows as they are durable in the source."""

    pushed: Pushed
    rows: pa.Table
    view_rows: pa.Table
    """What they lead to."""
    stamp: datetime | None


def push(request: PushRequest, frames: FrameStore, offline: OfflineSide, online: OnlineSide) -> PushResult:
    """Make the rows durable, then visible. The same key again changes nothing, and finishes what is unfinished.

    Raises InvalidRequest, before anything is kept, for views that can not be pushed to, rows that do not fit, and other
    rows under a key that was pushed before. What is not online is told by the result, and raises nothing.
    """
    source = pushable_source(request.view)
    check_key(request.key, f"view '{request.view.name}'")
    offline.claim()
    kept = _kept(source, request, frames, offline)
    if request.view.is_windowed:
        return _at_next_hop(request, kept)
    if _are_first(request.view, kept.view_rows, offline):
        _fill_first(request, offline)
    added = add_rows(request.view, kept.view_rows, offline)
    stamps = request.stamps if kept.stamp is None else frozenset([kept.stamp])
    brought = bring_online(request.view, Arrived(added.rows, request.now, stamps, is_new=kept.pushed.is_new), online)
    return PushResult(
        view=request.view.name,
        table=request.view.table,
        source=source.name,
        key=request.key,
        rows=kept.rows.num_rows,
        feature_rows=added.rows.num_rows,
        rejected=_rejected(request.view, kept.rows, added.rows, offline),
        is_new=kept.pushed.is_new,
        known_at=kept.stamp,
        source_version=kept.pushed.version,
        table_version=added.version,
        online=brought.state,
        online_from=brought.online_from,
        reason=brought.reason,
    )


def pushable_source(view: ResolvedView) -> FrameSource:
    """The one source that rows of the view are pushed to. Raises InvalidRequest for a view that has none, or makes more
    of its rows than a projection and a filter of each."""
    sources = tuple(declared_source(source) for source in view.sources)
    names = [*(source.name for source in view.sources), *(upstream.name for upstream in view.upstreams)]
    named = ", ".join(f"'{name}'" for name in names)
    if len(sources) != 1 or view.upstreams or not isinstance(sources[0], FrameSource):
        raise InvalidRequest(
            f"View '{view.name}' can not be pushed to: it reads {named}, and rows are pushed to views over one "
            "FrameSource alone. Write to where its sources are and run `knownat run --due`."
        )
    if not view.is_windowed and not is_row_wise(view):
        raise InvalidRequest(
            f"View '{view.name}' can not be pushed to: its query is no projection and filter of each row of {named} "
            "with the source's own event timestamp, so that one row alone does not say what becomes of it. Push to the "
            f"source (`project.push({named}, rows, key=…)`) and run `knownat run --due`."
        )
    return sources[0]


def _kept(source: FrameSource, request: PushRequest, frames: FrameStore, offline: OfflineSide) -> _Kept:
    """The rows, durable: as they are, or as they were kept when the key was pushed before."""
    stamped = stamped_rows(source, request.rows, request.now)
    rows = view_rows(request.view, stamped.rows, offline)
    if source.known_at is None and frames.kept(source, request.key) is None:
        _check_not_answered(source, request, stamped.rows, offline)
    pushed = frames.append(source, stamped.rows, request.key)
    if pushed.is_new:
        return _Kept(pushed, stamped.rows, rows, stamped.stamp)
    before = frames.kept(source, request.key)
    assert before is not None  # noqa: S101 - whoever pushed the key first has kept the rows
    check_same_rows(source, request.rows, before, request.key)
    was_stamped = stamped.stamp is not None and source.known_at is not None
    stamp = as_moments(before[str(source.known_at)])[0].as_py() if was_stamped else None
    return _Kept(pushed, before, view_rows(request.view, before, offline), stamp)


def view_rows(view: ResolvedView, source_rows: pa.Table, offline: OfflineSide) -> pa.Table:
    """What the view's query makes of the rows. One that it fails on would keep every later fill from its day."""
    query = Query(arrived_rows(view), {view.sources[0].name: source_rows})
    try:
        with offline.engine.stream(query) as stream:
            return stream.read_all()
    except QueryError as error:
        raise InvalidRequest(f"View '{view.name}' can not be computed from these rows: {error.message}") from error


def _check_not_answered(source: FrameSource, request: PushRequest, rows: pa.Table, offline: OfflineSide) -> None:
    """Where rows do not say when they were known, what happened before the view was filled counts as known then: the
    online store has answered for those moments without it. The first rows of all may be of any time."""
    coverage = offline.coverage.coverage(request.view.table)
    if source.known_at is not None or not coverage.rows:
        return
    filled_to = _answered_to(coverage.covered.intervals[-1].end)
    late = pc.sum(pc.less(as_moments(rows[source.event_timestamp]), pa.scalar(filled_to))).as_py()
    if late:
        raise InvalidRequest(
            f"{late} rows happened before {show_moment(filled_to)}, up to which view '{request.view.name}' is filled, "
            f"and source '{source.name}' does not say when rows became known: training sets would hold them as known "
            "before anybody knew them. Declare known_at= on the source, and late rows are known when they arrive. To "
            f"change the past all the same, use project.push('{source.name}', …) and `knownat run --due`."
        )


def _answered_to(filled_to: datetime) -> datetime:
    """A view is filled as often as somebody likes, up to the very moment, and rows take a while to be pushed: those of
    the hour under way are taken."""
    return min(filled_to, floor_to(filled_to, _HOUR) + _MICROSECOND)


def _are_first(view: ResolvedView, rows: pa.Table, offline: OfflineSide) -> bool:
    """Whether no fill has found a row of the view yet, and these begin before what is filled with none."""
    coverage = offline.coverage.coverage(view.table)
    if coverage.rows or not rows.num_rows:
        return False
    covered, first = coverage.covered, pc.min(as_moments(rows[EVENT_TIMESTAMP])).as_py()
    return not covered or first < covered.intervals[0].start


def _fill_first(request: PushRequest, offline: OfflineSide) -> None:
    """The view's first rows: whoever asks for a training set wants to know how far it is filled."""
    with suppress(ConcurrentChange):  # another first push fills it in this moment
        for _ in fill_views(FillRequest((request.view,)), offline, now=request.now):
            pass


def _at_next_hop(request: PushRequest, kept: _Kept) -> PushResult:
    view = request.view
    assert view.every is not None  # noqa: S101 - a windowed view has one
    online_from = boundary(hop_at(request.now, view.every) + 1, view.every) + view.publish_delay
    return PushResult(
        view=view.name,
        table=view.table,
        source=kept.pushed.source,
        key=request.key,
        rows=kept.rows.num_rows,
        feature_rows=None,
        rejected=0,
        is_new=kept.pushed.is_new,
        known_at=kept.stamp,
        source_version=kept.pushed.version,
        table_version=None,
        online=OnlineState.LATER,
        online_from=online_from,
        reason=f"The windows count them from the next hop: run `knownat run --due` at {show_moment(online_from)}.",
    )


def _rejected(view: ResolvedView, source_rows: pa.Table, rows: pa.Table, offline: OfflineSide) -> int:
    if rows.num_rows == source_rows.num_rows:
        return 0
    return rejected_among(view, {view.sources[0].name: source_rows}, offline).total
