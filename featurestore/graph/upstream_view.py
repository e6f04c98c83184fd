"""What a view can read: sources, and other views as if they were sources."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from featurestore.errors import Problem
from featurestore.graph.resolved import ResolvedView
from featurestore.spec.feature_view import FeatureView
from featurestore.spec.source import RemovedRows, Source


@dataclass(frozen=True, slots=True)
class UpstreamView:
    """A declared view, as the SQL of another view meets it: with the attributes that a source has.

    `delay` is how long after a row happened its value can be known by others, its publish delay included; `known_at` is
    the column that says it where each row says it itself.
    """

    name: str
    event_timestamp: str
    known_at: str | None
    delay: timedelta
    declared_at: str
    is_windowed: bool
    resolved: ResolvedView | None
    """None where something is wrong with the view, which has been told."""

    @property
    def keeps_removed(self) -> bool:
        return self.resolved is not None and self.resolved.keeps_removed


Readable = Source | UpstreamView


def kept_problems(view: FeatureView, read: Iterable[Readable]) -> Iterator[Problem]:
    """What is wrong with a view that reads rows which are kept as they were known: of those, some are gone by now."""
    for source in read:
        if isinstance(source, UpstreamView) and source.keeps_removed:
            what = f"view '{view.name}' reads view '{source.name}', which keeps rows that are gone from its sources"
            yield Problem(view.declared_at, what, "read its source, or declare another removed_rows there")
        elif view.is_windowed and not isinstance(source, UpstreamView) and source.removed_rows is RemovedRows.KEEP:
            what = f"view '{view.name}' is windowed, and source '{source.name}' keeps removed rows: an updated event"
            hint = "declare removed_rows='hold' or 'follow', or the same rows as a source of another name"
            yield Problem(view.declared_at, f"{what} would count twice", hint)
