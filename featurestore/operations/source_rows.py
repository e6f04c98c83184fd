"""The rows of a view's sources as they are now, and which of them a backfill leaves out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from featurestore.compiler.stored_rows import rejected_rows
from featurestore.errors import SourceError, ValueRefused
from featurestore.graph.resolved import ResolvedView
from featurestore.operations.drift import read_sources
from featurestore.operations.sides import OfflineSide
from featurestore.ports.engine import Query, Relation


@dataclass(frozen=True, slots=True)
class Rejected:
    """Source rows that can never be a feature's value, by what they lack."""

    no_event_timestamp: int
    no_known_at: int
    no_key: int

    @property
    def total(self) -> int:
        return self.no_event_timestamp + self.no_known_at + self.no_key


def source_relations(view: ResolvedView, offline: OfflineSide) -> dict[str, Relation]:
    """The rows that the view's sources hold now, by the names that its query gives them. Raises SourceDrifted before
    any row is read."""
    return {snapshot.source: snapshot.relation for snapshot in read_sources(view, offline)}


@contextmanager
def naming_view(view: ResolvedView) -> Iterator[None]:
    """What the rows of a view's sources hold and can not be stored is the sources' matter, told as SourceError with the
    view, and stops no other one."""
    try:
        yield
    except ValueRefused as error:
        raise SourceError(f"View '{view.name}' can not be filled. {error.message}") from error


def count_rejected(view: ResolvedView, offline: OfflineSide) -> Rejected:
    """How many of the sources' rows a backfill leaves out, and why."""
    return rejected_among(view, source_relations(view, offline), offline)


def rejected_among(view: ResolvedView, relations: Mapping[str, Relation], offline: OfflineSide) -> Rejected:
    """The same, of these rows."""
    with offline.engine.stream(Query(rejected_rows(view), relations)) as rows:
        [row] = rows.read_all().to_pylist()
    # Of no rows at all, the engine counts null.
    return Rejected(*(int(row[reason] or 0) for reason in ("no_event_timestamp", "no_known_at", "no_key")))
