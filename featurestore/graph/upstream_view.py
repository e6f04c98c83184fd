"""What a view can read: sources, and other views as if they were sources."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from featurestore.graph.resolved import ResolvedView
from featurestore.spec.source import Source


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


Readable = Source | UpstreamView
