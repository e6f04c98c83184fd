"""The machine's clock against what was done by it before: a run whose clock is behind that changes nothing.

What was filled by a clock that was ahead answers for moments that have not come: windows have slid on, rows count as
known. Once that is so, a right clock looks like one that is behind, and only people know which of them was wrong. So
both are told, and `set_back` is what to do when the earlier one was: it fills the views again as of now.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from featurestore.errors import ClockBehind
from featurestore.graph.resolved import ResolvedView
from featurestore.intervals import DAY, Interval, IntervalSet, ceil_to, floor_to, show_moment
from featurestore.operations.backfill import backfill
from featurestore.operations.fill_chunks import ChunkFilled
from featurestore.operations.materialize import Materialized, MaterializeRequest, materialize
from featurestore.operations.open_table import record_commits, version_to_replace
from featurestore.operations.sides import OfflineSide, OnlineSide
from featurestore.plan.build import wanted_end
from featurestore.ports.online_store import OnlineTable

_TOLERANCE = timedelta(minutes=1)
"""By so much the clocks of machines that work on one project may differ."""
_MICROSECOND = timedelta(microseconds=1)


def check_clock(views: Iterable[ResolvedView], offline: OfflineSide, online: OnlineSide, *, now: datetime) -> None:
    """Raises ClockBehind, with every view that was filled by a clock further on than `now`."""
    ahead = {view.name: until for view in views if (until := filled_ahead(view, offline, online, now=now)) is not None}
    if not ahead:
        return
    listed = ", ".join(f"'{name}' as of {show_moment(until)}" for name, until in ahead.items())
    raise ClockBehind(
        f"This clock says {show_moment(now)}, and views were filled before: {listed}. Nothing was changed. If this "
        f"clock is wrong, set it. If the one before was ahead, `knownat run --due --set-back {' '.join(ahead)}` fills "
        "them as of now."
    )


def filled_ahead(view: ResolvedView, offline: OfflineSide, online: OnlineSide, *, now: datetime) -> datetime | None:
    """What the clock said at least that filled the view, on either side, if that has not come yet; else None."""
    covered = offline.coverage.coverage(view.table).covered
    told = [covered.intervals[-1].end - _MICROSECOND + (view.delay or timedelta(0))] if covered else []
    last = online.progress.last(online.address, view.table)
    told += [] if last is None else [last.materialized_at]
    latest = max(told, default=now)
    return latest if latest > now + _TOLERANCE else None


def set_back(
    view: ResolvedView, offline: OfflineSide, online: OnlineSide, *, now: datetime
) -> Iterator[ChunkFilled | Materialized]:
    """Fill the view as of `now`, offline and online, in place of what was filled by a clock that was ahead. Nothing
    happens where none was. Consume the iterator; after a crash, the same call finishes the job.

    While the online table is copied anew, lookups of it are refused.
    """
    if filled_ahead(view, offline, online, now=now) is None:
        return
    yield from _set_back_offline(view, offline, now)
    if (last := online.progress.last(online.address, view.table)) is None or last.materialized_at <= now:
        return
    online.store.drop(OnlineTable.of(view))
    online.publications.forget_after(online.address, view.table, now)
    yield materialize(MaterializeRequest(view, now, full=True), offline, online, now=now)


def _set_back_offline(view: ResolvedView, offline: OfflineSide, now: datetime) -> Iterator[ChunkFilled]:
    coverage = offline.coverage.coverage(view.table)
    filled = {one.name: offline.coverage.coverage(one.table).filled_to for one in view.upstreams}
    end = wanted_end(view, now, filled)
    if end is None or not coverage.fills or coverage.covered.intervals[-1].end <= end:
        return
    today = floor_to(end - _MICROSECOND, DAY)
    _empty(view, Interval(today + DAY, max(ceil_to(coverage.covered.intervals[-1].end, DAY), today + 2 * DAY)), offline)
    offline.coverage.cut(view.table, today, now)
    yield from backfill(view, IntervalSet((Interval(today, end),)), offline, now=now)


def _empty(view: ResolvedView, days: Interval, offline: OfflineSide) -> None:
    """Days that have not come hold nothing: a source may have lost what it said of them."""
    offline.tables.replace(view.table, days, (), based_on=version_to_replace(view.table, offline))
    record_commits(view.table, offline.ledger)
