"""A view's table as another view reads it: like a source, whose parts are the table's days.

So whatever is filled again upstream makes the same days due downstream, by the rules that sources have.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from pathlib import Path

from featurestore.graph.chained import stored_schema
from featurestore.graph.resolved import ResolvedView
from featurestore.intervals import DAY, Interval, floor_to
from featurestore.operations.open_table import files_at, open_table, recorded_version
from featurestore.operations.sides import OfflineSide
from featurestore.ports.commits import RecordedFile
from featurestore.ports.engine import ParquetFiles
from featurestore.ports.offline_store import Snapshot
from featurestore.ports.source_reader import SourcePart, SourceSnapshot

_MICROSECOND = timedelta(microseconds=1)


def upstream_snapshot(view: ResolvedView, offline: OfflineSide, *, within: Interval | None = None) -> SourceSnapshot:
    """What the view's table holds now, from the beginning to where it is filled without a hole. A table that is not
    there yet is empty. Raises TableDamaged, DatasetGone."""
    schema = stored_schema(view)
    # Before the table: a fill that is recorded after this may be in the files already, and is looked at the next time.
    covered = offline.coverage.coverage(view.table).covered
    if not covered or not offline.tables.exists(view.table):
        return SourceSnapshot(view.name, schema.empty_table(), schema, view.table, 0, None, None)
    snapshot = open_table(view.table, offline)
    filled = covered.intervals[0]
    return SourceSnapshot(
        source=view.name,
        relation=_inside(snapshot.files, within),
        schema=schema,
        version=_version(view, snapshot.version),
        rows=snapshot.rows,
        first=filled.start,
        last=filled.end - _MICROSECOND,
        parts=_days(snapshot, files_at(view.table, snapshot.version, offline.ledger)),
    )


def upstream_version(view: ResolvedView, offline: OfflineSide) -> str:
    """The version that `upstream_snapshot` would tell."""
    covered = offline.coverage.coverage(view.table).covered
    if not covered or not offline.tables.exists(view.table):
        return view.table
    return _version(view, recorded_version(view.table, offline))


def _version(view: ResolvedView, version: int) -> str:
    return f"{view.table}@v{version}"


def _inside(files: ParquetFiles, within: Interval | None) -> ParquetFiles:
    if within is None:
        return files
    first, last = floor_to(within.start, DAY).date().isoformat(), (within.end - _MICROSECOND).date().isoformat()
    placed = zip(files.paths, files.partitions, strict=True)
    kept = [(path, day) for path, day in placed if first <= day <= last]
    return ParquetFiles(tuple(path for path, _ in kept), files.schema, tuple(day for _, day in kept))


def _days(snapshot: Snapshot, recorded: Iterable[RecordedFile]) -> tuple[SourcePart, ...]:
    """One part for each day that has rows; its version is that of the bytes of its files."""
    day_of = dict(zip(map(_name, snapshot.files.paths), snapshot.files.partitions, strict=True))
    files: dict[str, list[RecordedFile]] = {}
    for file in recorded:
        files.setdefault(day_of[_name(file.path)], []).append(file)
    return tuple(_day(day, files[day]) for day in sorted(files))


def _name(path: str) -> tuple[str, str]:
    """A file's folder and name: the files of one chunk have one name in the folders of different days."""
    return Path(path).parent.name, Path(path).name


def _day(day: str, files: list[RecordedFile]) -> SourcePart:
    digest = sha256("\0".join(sorted(file.sha256 or file.path for file in files)).encode())
    start = datetime.combine(date.fromisoformat(day), time(), UTC)
    return SourcePart(day, digest.hexdigest()[:16], sum(file.rows for file in files), start, start + DAY - _MICROSECOND)


def upstream_versions(views: Iterable[ResolvedView], offline: OfflineSide) -> Mapping[str, str]:
    """The version of each view that one of the views reads, by its name."""
    read = {upstream.name: upstream for view in views for upstream in view.upstreams}
    return {name: upstream_snapshot(view, offline).version for name, view in read.items()}
