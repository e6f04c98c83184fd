"""Reading sources: what they hold now, and which version of their data that is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import pyarrow as pa

from featurestore.intervals import Interval
from featurestore.ports.engine import Relation
from featurestore.spec.source import Source


@dataclass(frozen=True, slots=True)
class SourcePart:
    """A piece of a source that changes by itself: a file, or a partition."""

    name: str
    version: str
    """Changes when the piece's rows do."""
    rows: int
    first: datetime | None
    """The earliest event timestamp in it; None where that is not known."""
    last: datetime | None


@dataclass(frozen=True, slots=True)
class SourceSnapshot:
    """A source as it is now."""

    source: str
    relation: Relation
    schema: pa.Schema
    version: str
    """Changes when the data does."""
    rows: int
    first: datetime | None
    """The earliest event timestamp; None for an empty source."""
    last: datetime | None
    parts: tuple[SourcePart, ...] = ()
    """What the source is made of, so that a change can be traced to the time it touches. None: it is one piece."""
    mixed: Mapping[str, str] = field(default_factory=dict)
    """Columns that have several types, and which. Nobody can read those, and all others can be read."""


class SourceReader(Protocol):
    def read(self, source: Source, *, within: Interval | None = None) -> SourceSnapshot:
        """Find the source's data. Raises SourceError when it is missing, or has no such timestamp column.

        With `within`, the relation may leave out rows that did not happen in it; nothing else of the snapshot changes.
        """
        ...
