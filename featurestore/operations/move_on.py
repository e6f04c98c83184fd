"""Move on: an online store in which nothing changes as time passes is told how far it is filled, and no rows are read.

What a row-level view answers changes when its table gets another version, or when a row that is in it becomes visible.
When that will be is looked up once, the first time that nothing was to be copied.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from featurestore.compiler.newest import next_visible_rows, next_visible_since
from featurestore.compiler.visibility import VISIBLE_FROM
from featurestore.graph.resolved import ResolvedView
from featurestore.intervals import DAY, END_OF_TIME, Interval, floor_to
from featurestore.operations.kept_online import kept_online
from featurestore.operations.open_table import recorded_version
from featurestore.operations.sides import OfflineSide, OnlineSide
from featurestore.ports.engine import Query
from featurestore.ports.offline_store import Snapshot
from featurestore.ports.online_store import FillRequest, OnlineTable, TableRead
from featurestore.ports.publications import Publication
from featurestore.ports.state import Materialization, Unchanging


@dataclass(frozen=True, slots=True)
class Moving:
    """How far a view's online table is to be brought: up to `until`, with what is visible `as_of` then."""

    view: ResolvedView
    until: datetime
    as_of: datetime
    now: datetime


def moved_on(moving: Moving, last: Materialization, offline: OfflineSide, online: OnlineSide) -> bool:
    """Say that the table is filled up to `until`, if it is certain that no answer changes until `as_of`; False, and
    nothing is said, if it is not, or if the store is not as `last` left it."""
    view, unchanging = moving.view, last.unchanging
    if unchanging is None or unchanging.until <= moving.as_of:
        return False
    if recorded_version(view.table, offline) != unchanging.version:
        return False
    table = OnlineTable.of(view)
    [before] = online.store.read([TableRead(table, [])])
    fill = online.store.begin(FillRequest(table, moving.now, keeps=kept_online(view, before.filled)))
    # Asked again: of a store that was emptied before the fill began, the fill's own turn says nothing.
    [found] = online.store.read([TableRead(table, [])])
    if found.filled is None or found.filled.to != last.filled_to or not found.filled.keeps_for(view.ttl):
        return False
    online.store.finish(fill, moving.until)
    done = replace(last, filled_to=moving.until, rows=0, materialized_at=moving.now)
    online.progress.record(online.address, done, after=last)
    return True


def moved_before(last: Materialization | None, *, now: datetime) -> Publication | None:
    """How far the store was moved on, as a run that changed nothing: said when something changes again, since that
    waited no longer than from there. Each of those runs could say it, which is a third of what they would do. What a
    clock said that was ahead is not told."""
    if last is None or last.unchanging is None or last.materialized_at > now:
        return None
    at = last.materialized_at
    return Publication(last.filled_to, at, at, last.version, 0, is_full=False)


def unchanging_from(moving: Moving, snapshot: Snapshot, offline: OfflineSide) -> Unchanging | None:
    """Until when no answer of the table changes, which was copied as it is `as_of`; None for windows, in which each
    boundary may change something."""
    view = moving.view
    if view.every is not None:
        return None
    files = snapshot.files
    if view.delay is not None:  # what becomes visible then has happened in the days before
        first = floor_to(moving.as_of - view.delay - view.publish_delay, DAY)
        days = Interval(first, END_OF_TIME)
        files = offline.tables.snapshot(view.table, version=snapshot.version, days=days).files
    query = Query(next_visible_rows(view, rows=view.table), {view.table: files}, next_visible_since(moving.as_of))
    with offline.engine.stream(query) as rows:
        found: datetime | None = rows.read_all()[VISIBLE_FROM][0].as_py()
    return Unchanging(snapshot.version, END_OF_TIME if found is None else found)
