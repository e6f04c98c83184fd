"""Materialize: copy what has newly become true into the online store, per key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from featurestore.compiler.hops import MICROSECOND, boundary, hop_at
from featurestore.compiler.newest import CHANGED_HOP, changed_keys, days_read, newest_parameters, newest_rows
from featurestore.compiler.row_wise import takes_pushes
from featurestore.compiler.vanished import vanished_rows
from featurestore.errors import ConcurrentChange, DatasetGone, NotApplied
from featurestore.graph.arrow_types import arrow_schema
from featurestore.graph.resolved import Column, ResolvedView
from featurestore.graph.written import EVENT_TIMESTAMP, KNOWN_AT
from featurestore.intervals import Interval, show_moment
from featurestore.operations.kept_online import kept_online
from featurestore.operations.move_on import Moving, moved_before, moved_on, unchanging_from
from featurestore.operations.open_table import open_table
from featurestore.operations.reach import answers_until
from featurestore.operations.sides import OfflineSide, OnlineSide
from featurestore.operations.took_back import took_back
from featurestore.ports.engine import ParquetFiles, Query
from featurestore.ports.online_store import FillRequest, OnlineTable, TableRead
from featurestore.ports.publications import Publication
from featurestore.ports.state import Coverage, Materialization
from featurestore.spec.dtypes import DType

_TIMES = (Column(EVENT_TIMESTAMP, DType.TIMESTAMP), Column(KNOWN_AT, DType.TIMESTAMP))
_KEYS_AT_ONCE = 1_000_000
_BEFORE, _AFTER = "before", "after"


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

    It stops where the offline table does. Days that were filled again since the last time are copied again; where rows
    have vanished from them, every key is. Repeating it is harmless. Raises NotApplied when the view has nothing filled.
    """
    view = request.view
    table = OnlineTable.of(view)
    last = online.progress.last(online.address, view.table)
    filled = online.store.read([TableRead(table, [])])[0].filled
    marker = None if filled is None else filled.to
    # A store never goes back: asked for an earlier moment, it is brought up to date where it stands.
    # Read before the rows: a fill that is recorded after this is copied by the next run, whatever this one saw of it.
    coverage = offline.coverage.coverage(view.table)
    until = _reachable(view, max(request.until, marker or request.until), coverage)
    is_whole = filled is None or filled.keeps_for(view.ttl)
    since = None if request.full or not is_whole else _resume_from(view, last, marker, coverage)
    if since is not None and last is not None and _lost_rows(view, last.version, coverage, offline):
        since = None
    # Only rows that were pushed are in a table before it is filled so far: they are online as soon as they are visible.
    as_of = max(until, now) if takes_pushes(view) and request.until >= now else until
    if since is not None and since >= as_of:
        return Materialized(view.name, since, 0, 0)
    moving = Moving(view, until, as_of, now)
    if since is not None and last is not None and since == last.filled_to and moved_on(moving, last, offline, online):
        return Materialized(view.name, until, 0, 0)
    if since is not None and last is not None and took_back(view, until, (last, coverage), offline):
        since = None
    began_at = online.clock()
    # Begun before the table is opened: what is pushed from now on belongs to this generation, and stays.
    keeps = kept_online(view, None if since is None else filled)
    online.claim()
    fill = online.store.begin(FillRequest(table, now, since is None, until - view.publish_delay, keeps))
    if since is not None:
        _check_reaches(view, since, online)
    snapshot = open_table(view.table, offline, days=days_read(view, since=since, until=until))
    with _newest(view, snapshot.files, offline, since=since, until=as_of) as rows:
        count = online.store.write(fill, rows)
    online.store.finish(fill, until)
    run = Publication(
        until,
        began_at,
        online.clock(),
        coverage.version,
        count.written,
        is_full=since is None,
        copied_to=as_of,
        copied_from=since,
        filled_at=max((fill.filled_at for fill in coverage.fills), default=None) if takes_pushes(view) else None,
    )
    if (moved := moved_before(last, now=now)) is not None:
        online.publications.record(online.address, view.table, moved)
    # Before the progress: a run that stops between the two is repeated, and none that was published goes unrecorded.
    online.publications.record(online.address, view.table, run)
    is_same = since is not None and not (count.written or count.kept) and last is not None
    unchanging = unchanging_from(moving, snapshot, offline) if is_same else None
    done = Materialization(view.table, until, coverage.version, count.written, now, unchanging=unchanging)
    online.progress.record(online.address, done, after=last)
    return Materialized(view.name, until, count.written, count.kept)


def _check_reaches(view: ResolvedView, since: datetime, online: OnlineSide) -> None:
    """Of a store that was emptied before the fill began, the fill's own turn says nothing: that began afterwards."""
    filled = online.store.read([TableRead(OnlineTable.of(view), [])])[0].filled
    if filled is None or filled.to < since:
        raise ConcurrentChange(
            f"The online store lost {view.table} when a run was about to copy what has changed in it since "
            f"{show_moment(since)}. It was not marked as filled; run `knownat materialize` again."
        )


def _newest(
    view: ResolvedView, files: ParquetFiles, offline: OfflineSide, *, since: datetime | None, until: datetime
) -> pa.RecordBatchReader:
    """The row of each key that changed, as it is at `until`."""
    relations, moments = {view.table: files}, newest_parameters(view, since=since, until=until)
    if view.every is None:
        rows = newest_rows(view, resuming=since is not None, rows=view.table)
        return offline.engine.stream(Query(rows, relations, moments))
    changed = changed_keys(view, resuming=since is not None, rows=view.table)
    with offline.engine.stream(Query(changed, relations, moments)) as stream:
        keys = stream.read_all()
    schema = arrow_schema((*view.keys, *_TIMES, *view.stored_values))
    return pa.RecordBatchReader.from_batches(schema, _valued(view, files, offline, (keys, schema)))


def _valued(
    view: ResolvedView, files: ParquetFiles, offline: OfflineSide, asked: tuple[pa.Table, pa.Schema]
) -> Iterator[pa.RecordBatch]:
    """Windows' values for keys at a boundary, some keys at a time. Both of a row's timestamps are when the key's values
    last changed: what it says was known by then, and has been the answer since."""
    keys, schema = asked
    assert view.every is not None  # noqa: S101 - only windowed views come here
    hop, moment = view.every // MICROSECOND, schema.field(EVENT_TIMESTAMP).type
    features = tuple(view.feature(value.name) for value in view.stored_values)
    for start in range(0, keys.num_rows, _KEYS_AT_ONCE):
        points = keys.slice(start, _KEYS_AT_ONCE)
        values = offline.joins.window_values(view, features, points, files)
        times = [pc.multiply(points[CHANGED_HOP], hop).cast(moment)] * 2
        columns = [*(points[key.name] for key in view.keys), *times, *values.columns]
        yield from pa.table(columns, names=schema.names).cast(schema).to_batches()


def _reachable(view: ResolvedView, until: datetime, coverage: Coverage) -> datetime:
    """`until`, or the moment up to which the offline table holds all that is visible, if that is earlier."""
    if coverage.filled_to is None:
        raise NotApplied(
            f"View '{view.name}' has nothing filled yet, not even that there are no rows: run `knownat backfill "
            f"{view.name}`, which says what is wrong if that does not help."
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
    if view.is_windowed and not last.is_dated_by_data:  # its rows may be dated later than what is to replace them
        return None
    if marker < last.filled_to:  # put back to what it was, as by a restart: what came late in between is lost, too
        return None
    refilled = [answers_until(view, fill.interval.start) for fill in coverage.fills if fill.version > last.version]
    return min([last.filled_to, *refilled])


def _lost_rows(view: ResolvedView, version: int, coverage: Coverage, offline: OfflineSide) -> bool:
    """Whether days that were filled again since the table had this version hold fewer rows now than then: a key's
    answer may then be an older row, or none, which copying what is there would not tell the store."""
    return any(
        _has_vanished(view, version, fill.interval, offline) for fill in coverage.fills if fill.version > version
    )


def _has_vanished(view: ResolvedView, version: int, days: Interval, offline: OfflineSide) -> bool:
    try:
        before = offline.tables.snapshot(view.table, version=version, days=days).files
    except DatasetGone:  # nobody can say any more what was there
        return True
    after = offline.tables.snapshot(view.table, days=days).files
    gone = set(before.paths) - set(after.paths)
    if not gone:
        return False
    relations = {_BEFORE: ParquetFiles(tuple(sorted(gone)), before.schema), _AFTER: after}
    with offline.engine.stream(Query(vanished_rows(view, before=_BEFORE, after=_AFTER), relations)) as rows:
        return bool(rows.read_all().num_rows)
