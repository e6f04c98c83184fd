"""What becomes of a stream's rows once they are durable: a push of rows that are in the source already."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from featurestore.errors import InvalidRequest, StoreUnavailable
from featurestore.graph.resolved import ResolvedView
from featurestore.operations.chosen_features import applied_graph
from featurestore.operations.push import PushRequest, push, pushable_source, view_rows
from featurestore.operations.push_online import OnlineState
from featurestore.operations.sides import OfflineSide, OnlineSide
from featurestore.ports.frames import Pushed
from featurestore.ports.state import AppliedGraph, CatalogState
from featurestore.spec.source import FrameSource


class AppliedView:
    """A view as readers see it now: it may be applied anew while its stream is consumed."""

    def __init__(self, catalog: CatalogState, name: str) -> None:
        self._catalog = catalog
        self._name = name
        self._known: AppliedGraph | None = None

    def __call__(self) -> ResolvedView:
        """Raises NotApplied, UnknownName."""
        if self._known is None or self._known.serial != self._catalog.serial():
            self._known = applied_graph(self._catalog)
        return self._known.graph.view(self._name)


@dataclass(frozen=True, slots=True)
class ViewOutlet:
    """An Outlet to one view, as it is applied by then. A row-level view shows rows at once; a windowed one at its next
    hop, by `run --due`."""

    source: FrameSource
    applied: AppliedView
    offline: OfflineSide
    online: OnlineSide
    clock: Callable[[], datetime]

    def show(self, rows: pa.Table, arrived_at: datetime | None) -> None:
        view = self._view()
        stamps = frozenset([] if arrived_at is None or self.source.known_at is None else [arrived_at])
        request = PushRequest(view, rows, "rows of a stream", self.clock(), stamps)
        shown = push(request, _Durable(rows, is_new=arrived_at is not None), self.offline, self.online)
        if shown.online is OnlineState.UNAVAILABLE:
            raise StoreUnavailable(f"View '{view.name}' does not show its rows yet: {shown.reason}")

    def refusal(self, rows: pa.Table) -> str | None:
        view = self._view()
        try:
            view_rows(view, rows, self.offline)
        except InvalidRequest as error:
            return error.message
        return None

    def answered_to(self) -> datetime | None:
        covered = self.offline.coverage.coverage(self._view().table).covered
        return covered.intervals[-1].end if covered else None

    def _view(self) -> ResolvedView:
        view = self.applied()
        source = pushable_source(view)
        if _shape(source) != _shape(self.source):
            raise InvalidRequest(
                f"View '{view.name}' was applied anew meanwhile, and reads rows of another shape: of '{source.name}' "
                f"({', '.join(name for name, _ in source.columns)}). Start consuming again: what was read last comes "
                "again."
            )
        return view


def _shape(source: FrameSource) -> tuple[object, ...]:
    return source.name, source.columns, source.event_timestamp, source.known_at


@dataclass(frozen=True, slots=True)
class _Durable:
    """A FrameStore in which the rows are, under whatever key."""

    rows: pa.Table
    is_new: bool

    def append(self, source: FrameSource, rows: pa.Table, key: str) -> Pushed:
        return Pushed(source.name, key, rows.num_rows, "", is_new=self.is_new)

    def kept(self, source: FrameSource, key: str) -> pa.Table | None:  # noqa: ARG002 - the port's
        return self.rows
