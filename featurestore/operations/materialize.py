"""Materialize: copy what has newly become true into the online store, per key."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from featurestore.compiler.hops import boundary, hop_at
from featurestore.compiler.newest import days_read, newest_parameters, newest_rows
from featurestore.errors import NotApplied
from featurestore.graph.resolved import ResolvedView
from featurestore.operations.reach import answers_until
from featurestore.operations.sides import OfflineSide, OnlineSide
from featurestore.ports.engine import Query
from featurestore.ports.online_store import OnlineTable, TableRead
from featurestore.ports.state import Coverage, Materialization


@dataclass(frozen=True, slots=True)
class MaterializeRequest:
    """Fill the online store so that it answers as of `until`. `full` copies every key and removes vanished ones."""

    view: ResolvedView
    until: datetime
    full: bool = False


@dataclass(frozen=True, slots=True)
class Materialized:
    """A view is online up to `filled_to`."""

    view: str
    filled_to: datetime
    written: int
    kept: int


def materialize(
    request: MaterializeRequest, offline: OfflineSide, online: OnlineSide, *, now: datetime
) -> Materialized:
    """Write the rows that changed since the last time, then the marker that says how far the table is filled.

    It stops where the offline table does. Days that were filled again since the last time are copied again.
    Repeating it is harmless. A row that was removed from the source stays until a `full` one. Raises NotApplied when
    the view has nothing filled.
    """
    view = request.view
    table = OnlineTable.of(view)
    last = online.progress.last(online.address, view.table)
    marker = online.store.read([TableRead(table, [])])[0].filled_to
    # A store never goes back: asked for an earlier moment, it is brought up to date where it stands.
    # Read before the rows: a fill that is recorded after this is copied by the next run, whatever this one saw of it.
    coverage = offline.coverage.coverage(view.table)
    until = _reachable(view, max(request.until, marker or request.until), coverage)
    since = None if request.full else _resume_from(view, last, marker, coverage)
    if since is not None and since >= until:
        return Materialized(view.name, since, 0, 0)
    snapshot = offline.tables.snapshot(view.table, days=days_read(view, since=since, until=until))
    query = Query(
        newest_rows(view, resuming=since is not None, rows=view.table),
        {view.table: snapshot.files},
        newest_parameters(view, since=since, until=until),
    )
    with offline.engine.stream(query) as rows:
        count = online.store.replace(table, rows) if since is None else online.store.write_newer(table, rows)
    online.store.mark_filled(table, until)
    done = Materialization(view.table, until, coverage.version, count.written, now)
    online.progress.record(online.address, done, after=last)
    return Materialized(view.name, until, count.written, count.kept)


def _reachable(view: ResolvedView, until: datetime, coverage: Coverage) -> datetime:
    """`until`, or the moment up to which the offline table holds all that is visible, if that is earlier."""
    if coverage.filled_to is None:
        raise NotApplied(
            f"View '{view.name}' has nothing filled: run `knownat apply`, or see whether its sources have rows by now."
        )
    reached = min(until, answers_until(view, coverage.filled_to))
    if view.every is None:
        return reached
    return boundary(hop_at(reached - view.publish_delay, view.every), view.every) + view.publish_delay


def _resume_from(
    view: ResolvedView, last: Materialization | None, marker: datetime | None, coverage: Coverage
) -> datetime | None:
    """Where to go on: where the last materialization stopped, or where days that it had copied were filled again since,
    if that is earlier. None to copy every key: the first time, or when the store or the table has been lost since."""
    if last is None or marker is None or coverage.version < last.version:
        return None
    refilled = [answers_until(view, fill.interval.start) for fill in coverage.fills if fill.version > last.version]
    return min(last.filled_to, marker, *refilled)
