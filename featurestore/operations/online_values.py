"""What a lookup answers from a stored row, and from when on the row is the answer. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from featurestore.compiler.tiles import empty_value
from featurestore.graph.resolved import Column, ResolvedView
from featurestore.operations.causes import Answered, Values
from featurestore.operations.stored_rows import StoredRow, UnreadableRow
from featurestore.ports.online_store import OnlineRow


@dataclass(frozen=True, slots=True)
class OnlineValue:
    value: object
    status: Answered


@dataclass(frozen=True, slots=True)
class StoredLayout:
    """How the rows of one table are read as the features of a view: of the same view, or of another definition."""

    view: ResolvedView
    positions: tuple[int | None, ...]
    """For each of the view's features, where its value stands in a row; None where rows do not have it."""

    @classmethod
    def of(cls, view: ResolvedView, stored: ResolvedView) -> StoredLayout:
        values = stored.stored_values
        columns = (Column(feature.name, feature.dtype) for feature in view.features)
        return cls(view, tuple(values.index(column) if column in values else None for column in columns))

    def values(self, row: OnlineRow) -> Values:
        """The row as it is, in the order of the view's features."""
        return tuple(None if position is None else row.values[position] for position in self.positions)


def online_values(row: StoredRow, layout: StoredLayout, at: datetime) -> tuple[OnlineValue, ...]:
    """Each of the view's features, as a lookup at that moment answers it."""
    view = layout.view
    empty = tuple(empty_value(feature) for feature in view.features)
    if isinstance(row, UnreadableRow):
        return tuple(OnlineValue(None, Answered.UNREADABLE) for _ in empty)
    values = None if row is None else layout.values(row)
    if row is None or values is None or (view.is_windowed and values == empty):
        return tuple(OnlineValue(value, Answered.MISSING) for value in empty)
    if view.ttl is not None and row.event_timestamp <= at - view.ttl:
        return tuple(OnlineValue(None, Answered.EXPIRED) for _ in empty)
    return tuple(OnlineValue(value, Answered.NULL if value is None else Answered.PRESENT) for value in values)


def answers_from(row: OnlineRow, view: ResolvedView) -> datetime:
    """The moment from which on the row is its key's answer: it has happened, is known and is published."""
    return max(row.event_timestamp, row.known_at + view.publish_delay)
