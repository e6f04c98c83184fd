"""What a lookup answers: columns of values, and for each view once what its rows are. Statuses and timestamps are made
of that when somebody asks for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from featurestore.graph.resolved import OutputColumn
from featurestore.intervals import EPOCH


class Status(Enum):
    """Why a value is what it is. MISSING: no such key. EXPIRED: older than the TTL when asked. UNREADABLE: the row has
    something asked for that nobody can be told, as a date in no year from 1 to 9999."""

    PRESENT = "present"
    NULL = "null"
    MISSING = "missing"
    EXPIRED = "expired"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class AnsweredRows:
    """The rows behind the columns of one view, an entry for each row asked for."""

    events: Sequence[int | None]
    """When each happened, in microseconds since 1970; None where there is none."""
    states: Sequence[Status] | None = None
    """PRESENT, MISSING, EXPIRED or UNREADABLE; None where all are present."""

    @property
    def moments(self) -> tuple[datetime | None, ...]:
        return tuple(None if event is None else EPOCH + timedelta(0, 0, event) for event in self.events)

    def statuses(self, values: Sequence[object]) -> tuple[Status, ...]:
        """The status of each of a column's values."""
        present = [Status.NULL if value is None else Status.PRESENT for value in values]
        if self.states is None:
            return tuple(present)
        states = zip(present, self.states, strict=True)
        return tuple([status if state is Status.PRESENT else state for status, state in states])


@dataclass(frozen=True, slots=True)
class OnlineValues:
    """One output column of an answer: a value for each row asked for."""

    column: OutputColumn
    values: tuple[object, ...]
    rows: AnsweredRows

    @property
    def statuses(self) -> tuple[Status, ...]:
        """A status for each value."""
        return self.rows.statuses(self.values)

    @property
    def event_timestamps(self) -> tuple[datetime | None, ...]:
        """When the row behind each value happened (for windows: the boundary at which the key's values last changed);
        None where there is no row, and for on-demand features."""
        return self.rows.moments


@dataclass(frozen=True, slots=True)
class OnlineAnswer:
    """The values of `outputs`, in the feature set's order, a column for each, and the moment they were asked for.

    `sources` says for each output which of `answered` its rows are. What describes a value is made by `columns`: most
    who ask want the values alone.
    """

    outputs: tuple[OutputColumn, ...]
    values: Sequence[Sequence[object]]
    sources: Sequence[int]
    answered: Sequence[AnsweredRows]
    rows: int
    at: datetime
    inputs: Mapping[str, Sequence[object]]
    """What was asked for: keys and request inputs by column, typed."""

    @property
    def columns(self) -> tuple[OnlineValues, ...]:
        described = zip(self.outputs, self.values, self.sources, strict=True)
        return tuple(OnlineValues(output, tuple(values), self.answered[source]) for output, values, source in described)
