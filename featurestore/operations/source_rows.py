"""A view's sources as they are now: their relations and versions, and which of their rows a backfill leaves out."""

from __future__ import annotations

from dataclasses import dataclass

from featurestore.compiler.stored_rows import rejected_rows
from featurestore.graph.resolved import ResolvedSource, ResolvedView
from featurestore.operations.sides import OfflineSide
from featurestore.ports.engine import Query, Relation
from featurestore.ports.source_reader import SourceSnapshot
from featurestore.spec.source import ParquetSource


@dataclass(frozen=True, slots=True)
class Rejected:
    """Source rows that can never be a feature's value, by what they lack."""

    no_event_timestamp: int
    no_known_at: int
    no_key: int

    @property
    def total(self) -> int:
        return self.no_event_timestamp + self.no_known_at + self.no_key


def source_snapshots(view: ResolvedView, offline: OfflineSide) -> tuple[SourceSnapshot, ...]:
    """What the view's sources hold now."""
    return tuple(offline.sources.read(declared_source(source)) for source in view.sources)


def source_relations(view: ResolvedView, offline: OfflineSide) -> dict[str, Relation]:
    """The rows that the view's sources hold now, by the names that its query gives them."""
    return {snapshot.source: snapshot.relation for snapshot in source_snapshots(view, offline)}


def count_rejected(view: ResolvedView, offline: OfflineSide) -> Rejected:
    """How many of the sources' rows a backfill leaves out, and why."""
    query = Query(rejected_rows(view), source_relations(view, offline))
    row = offline.engine.stream(query).read_all().to_pylist()[0]
    return Rejected(int(row["no_event_timestamp"]), int(row["no_known_at"]), int(row["no_key"]))


def declared_source(source: ResolvedSource) -> ParquetSource:
    """The source as it was declared, which is what readers of sources take."""
    return ParquetSource(
        source.name,
        path=source.path,
        event_timestamp=source.event_timestamp,
        known_at=source.known_at,
        delay=source.delay,
    )
