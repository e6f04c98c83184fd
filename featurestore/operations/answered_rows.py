"""What a lookup answers: columns of values, and for each view once what its rows are. Statuses and timestamps are made
of that when somebody asks for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from featurestore.graph.resolved import OutputColumn
from featurestore.intervals import EPOCH


class Status(Enum):
    """Why a value is what it is. MISSING: no such key. EXPIRED: older than the TTL when asked."""

    PRESENT = "present"
    NULL = "null"
    MISSING = "missing"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class AnsweredRows:
    """The rows behind the columns of one view, an entry for each row asked for."""

    events: Sequence[int | None]
    """When each happened, in microseconds since 1970; None where there is none."""
    states: Sequence[Status] | None = None
    """PRESENT, MISSING or EXPIRED; None where all are present."""


@dataclass(frozen=True, slots=True)
class OnlineValues:
    """One output column of an answer: a value for each row asked for."""

    column: OutputColumn
    values: Sequence[object]
    rows: AnsweredRows

    @property
    def statuses(self) -> tuple[Status, ...]:
        """A status for each value."""
        present = (Status.NULL if value is None else Status.PRESENT for value in self.values)
        if self.rows.states is None:
            return tuple(present)
        states = zip(present, self.rows.states, strict=True)
        return tuple(status if state is Status.PRESENT else state for status, state in states)

    @property
    def event_timestamps(self) -> tuple[datetime | None, ...]:
        """When the row behind each value happened (for windows: the boundary it was computed at); None where there is
        no row, and for on-demand features."""
        return tuple(None if event is None else EPOCH + timedelta(0, 0, event) for event in self.rows.events)


@dataclass(frozen=True, slots=True)
class OnlineAnswer:
    """An answer's columns, in the feature set's order, and the moment they were asked for."""

    columns: tuple[OnlineValues, ...]
    rows: int
    at: datetime
