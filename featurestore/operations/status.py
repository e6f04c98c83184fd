"""Status: for each applied view, how far it is filled offline and online, and how late it gets there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from featurestore.errors import SourceError
from featurestore.graph.resolved import Graph, ResolvedView
from featurestore.operations.clock import filled_ahead
from featurestore.operations.hold_rows import held_rows
from featurestore.operations.outdated import outdated
from featurestore.operations.publish_delay import RECENT_RUNS, PublishDelay, publish_delay
from featurestore.operations.reach import answers_until
from featurestore.operations.sides import OfflineSide, OnlineSide
from featurestore.ports.online_store import OnlineTable, TableRead
from featurestore.ports.publications import Published


@dataclass(frozen=True, slots=True)
class ViewStatus:
    """`offline_to` and `online_to`: the moments up to which each side answers; None where it does not hold the view.

    `late_rows`: how many rows arrived later than the view's declared lateness and are left out; None where it declares
    none, or its sources can not be read from here.

    `held_rows`: how many rows (tiles) it holds that are gone from its sources.

    `filled_ahead`: what the clock said that filled the view, where that has not come by this one.

    `publish_delay` is the declared one, `true_delay` that of the last runs; None where there are too few.
    """

    view: str
    table: str
    version: int
    rows: int
    offline_to: datetime | None
    online_to: datetime | None
    publish_delay: timedelta
    late_rows: int | None = None
    true_delay: PublishDelay | None = None
    held_rows: int = 0
    filled_ahead: datetime | None = None

    @property
    def exceeds_declared(self) -> bool:
        """Whether serving knew less at some moments than training rows of them do."""
        return self.true_delay is not None and self.true_delay.worst > self.publish_delay


def view_statuses(graph: Graph, offline: OfflineSide, online: OnlineSide, *, now: datetime) -> tuple[ViewStatus, ...]:
    """One entry for each view of the graph. Raises StoreUnavailable when the online store does not answer."""
    reads = [TableRead(OnlineTable.of(view), []) for view in graph.views]
    markers = [answer.filled.to if answer.filled else None for answer in online.store.read(reads)] if reads else []
    found = zip(graph.views, markers, strict=True)
    return tuple(
        replace(
            _status(view, offline, marker),
            late_rows=_late_rows(view, offline, now),
            filled_ahead=filled_ahead(view, offline, online, now=now),
            true_delay=publish_delay(view, _recent(view, online)),
        )
        for view, marker in found
    )


def _status(view: ResolvedView, offline: OfflineSide, marker: datetime | None) -> ViewStatus:
    snapshot = offline.tables.snapshot(view.table)
    coverage = offline.coverage.coverage(view.table)
    filled_to = coverage.filled_to
    until = None if filled_to is None else answers_until(view, filled_to)
    held = held_rows(view, coverage)
    return ViewStatus(
        view.name, view.table, snapshot.version, snapshot.rows, until, marker, view.publish_delay,
        held_rows=0 if held is None else held.rows,
    )  # fmt: skip


def _recent(view: ResolvedView, online: OnlineSide) -> Published:
    """A wait is told by two runs."""
    return online.publications.published(online.address, view.table, newest=RECENT_RUNS + 1)


def _late_rows(view: ResolvedView, offline: OfflineSide, now: datetime) -> int | None:
    if view.lateness is None:
        return None
    try:
        late = outdated(view, offline, now=now).late
    except SourceError:  # how far the view is can be said without its sources
        return None
    return late.rows if late else 0
