"""Reading a view's sources, unless one of them is no longer what the view was resolved with."""

from __future__ import annotations

from featurestore.errors import KnownatError, SourceDrift, SourceDrifted, SourceError
from featurestore.graph.declared_sources import declared_source, source_fields
from featurestore.graph.drift import drifts
from featurestore.graph.resolved import Graph, ResolvedView, SourceField
from featurestore.intervals import Interval
from featurestore.operations.sides import OfflineSide
from featurestore.operations.upstream import upstream_snapshot, upstream_version
from featurestore.ports.source_reader import SourceReader, SourceSnapshot


def read_sources(
    view: ResolvedView, offline: OfflineSide, *, within: Interval | None = None
) -> tuple[SourceSnapshot, ...]:
    """What the view's sources, and then the views that it reads, hold now. Raises SourceDrifted when a column that the
    view reads is gone from a source or has another type there, and SourceError."""
    found = _sources(view, offline, within)
    return (*found, *(upstream_snapshot(upstream, offline, within=within) for upstream in view.upstreams))


def source_versions(view: ResolvedView, offline: OfflineSide) -> tuple[tuple[str, str], ...]:
    """The versions of what `read_sources` would find, without opening the tables of views. Raises what that raises."""
    found = tuple((snapshot.source, snapshot.version) for snapshot in _sources(view, offline, None))
    return (*found, *((upstream.name, upstream_version(upstream, offline)) for upstream in view.upstreams))


def _sources(view: ResolvedView, offline: OfflineSide, within: Interval | None) -> tuple[SourceSnapshot, ...]:
    found = tuple(offline.sources.read(declared_source(source), within=within) for source in view.sources)
    if drifted := drifts(view, {snapshot.source: present_fields(snapshot) for snapshot in found}):
        raise SourceDrifted(drifted)
    return found


def present_fields(snapshot: SourceSnapshot) -> tuple[SourceField, ...]:
    """The source's columns, each with its type, or with all of them where it has several."""
    fields = source_fields(snapshot.schema)
    return tuple(SourceField(field.name, snapshot.mixed.get(field.name, field.type)) for field in fields)


def drifts_of(graph: Graph, sources: SourceReader) -> tuple[SourceDrift, ...]:
    """How the sources of an applied graph differ from what its views were resolved with. A source that can not be read
    is left out: whoever reads it for its rows tells why."""
    present = {}
    for source in graph.sources:
        try:
            present[source.name] = present_fields(sources.read(declared_source(source)))
        except SourceError:
            continue
    return tuple(drift for view in graph.views for drift in drifts(view, present))


def all_of_them(errors: list[KnownatError]) -> KnownatError:
    """Several views' troubles with their sources as one error."""
    drifted = [drift for error in errors if isinstance(error, SourceDrifted) for drift in error.drifts]
    others = list(dict.fromkeys(error.message for error in errors if not isinstance(error, SourceDrifted)))
    if not others:
        return SourceDrifted(drifted)
    return SourceError("\n".join([*others, *([SourceDrifted(drifted).message] if drifted else [])]))
