"""Bring rows that were pushed into the online store, as far as they are visible by now, and say what is not."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

import pyarrow as pa
import pyarrow.compute as pc

from featurestore.errors import ConcurrentChange, StoreCorrupted, StoreRefused, StoreUnavailable
from featurestore.graph.resolved import ResolvedView
from featurestore.graph.written import EVENT_TIMESTAMP, KNOWN_AT
from featurestore.intervals import show_moment
from featurestore.operations.kept_online import kept_online
from featurestore.operations.sides import OnlineSide
from featurestore.ports.online_store import FillRequest, OnlineTable, TableRead
from featurestore.ports.publications import Push

_TURNS = 3


class OnlineState(Enum):
    """NOW: what is visible is online. LATER: nothing is wrong, and a materialization at or after `online_from` brings
    the rows. NOT_MATERIALIZED: the view was never brought online. UNAVAILABLE: the store did not take the rows; pushing
    again, or the next `run --due`, brings them."""

    NOW = "now"
    LATER = "later"
    NOT_MATERIALIZED = "not_materialized"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class BroughtOnline:
    state: OnlineState
    online_from: datetime | None = None
    """With LATER: the moment from which on the last of the rows can be online."""
    reason: str | None = None
    """Why they are not online now, and what to do."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """Rows that came into a view's table at a moment. `stamps`: the known timestamps that they were given because they
    came; what has another one brought it. `is_new`: it is the first time that they come."""

    rows: pa.Table
    at: datetime
    stamps: frozenset[datetime]
    is_new: bool


def bring_online(view: ResolvedView, arrived: Arrived, online: OnlineSide) -> BroughtOnline:
    """Write those of a row-level view's rows that are visible by now. Whatever the store does, nothing is raised: the
    rows are durable, and writing them again finishes the job."""
    table, rows, now = OnlineTable.of(view), arrived.rows, arrived.at
    visible_from = _visible_from(view, rows)
    visible = rows.filter(pc.less_equal(visible_from, pa.scalar(now)))
    waiting = rows.filter(pc.greater(visible_from, pa.scalar(now)))
    try:
        filled = online.store.read([TableRead(table, [])])[0].filled
        if filled is None:
            _record(view, arrived, (waiting, visible), online, is_online=False)
            told = f"View '{view.name}' is not in the online store: run `knownat materialize {view.name}`."
            return BroughtOnline(OnlineState.NOT_MATERIALIZED, reason=told)
        _write(FillRequest(table, now, keeps=kept_online(view, filled)), visible, online)
        _record(view, arrived, (waiting, visible), online, is_online=True)
    except (StoreUnavailable, StoreRefused, StoreCorrupted, ConcurrentChange) as error:
        with suppress(StoreUnavailable, ConcurrentChange):  # it is told as the store is: pushing again records it
            _record(view, arrived, (waiting, visible), online, is_online=False)
        told = f"The rows are durable and not online yet. {error.message} Then push them again under the same key."
        return BroughtOnline(OnlineState.UNAVAILABLE, reason=told)
    last = pc.max(visible_from).as_py()
    if last is not None and last > now:
        told = f"Rows are visible from {show_moment(last)}: `knownat run --due` then brings them online."
        return BroughtOnline(OnlineState.LATER, last, told)
    return BroughtOnline(OnlineState.NOW)


def _write(fill: FillRequest, rows: pa.Table, online: OnlineSide) -> None:
    """Never finished: others say how far the table is filled. A copy of every key that begins meanwhile ends our turn,
    and may have read the table before the rows were in it: they are written in its turn then."""
    for attempt in range(_TURNS):
        try:
            online.claim()
            online.store.write(online.store.begin(fill), rows.to_reader())
        except ConcurrentChange:
            if attempt == _TURNS - 1:
                raise
        else:
            return


def _record(
    view: ResolvedView, arrived: Arrived, parts: tuple[pa.Table, pa.Table], online: OnlineSide, *, is_online: bool
) -> None:
    """Tell these rows from others later on: those that wait to be visible, and those that are."""
    waiting, visible = parts
    stamps = sorted(arrived.stamps)
    if is_online and not visible.num_rows:
        is_online = False
    for rows, are_online in ((waiting, False), (visible, is_online)):
        named = rows.filter(pc.invert(pc.is_in(rows[KNOWN_AT], pa.array(stamps, rows[KNOWN_AT].type))))
        if named.num_rows or (rows is visible and stamps):
            names = named.select([*(key.name for key in view.keys), EVENT_TIMESTAMP, KNOWN_AT])
            push = Push(
                arrived.at,
                tuple(stamps) if rows is visible else (),
                names if names.num_rows else None,
                is_online=are_online,
                is_repeated=not arrived.is_new,
            )
            online.publications.record_push(online.address, view.table, push)


def _visible_from(view: ResolvedView, rows: pa.Table) -> pa.ChunkedArray:
    """When each row is online, as `compiler/visibility.py` has it."""
    published = pc.add(rows[KNOWN_AT], pa.scalar(view.publish_delay, pa.duration("us")))
    happened = rows[EVENT_TIMESTAMP]
    return pc.if_else(pc.greater(happened, published), happened, published)
