"""Add rows that were pushed to a row-level view's table, beside those that it holds, without filling its days again.

A table has one row for each key, event and known timestamp, whichever way its rows came, so adding rows again changes
nothing. Small files of a day are put together once there are many of them: each is opened by whoever reads the day.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from featurestore.compiler.arrived_rows import (
    ARRIVED,
    STANDING,
    rewritten_rows,
    settled_rows,
)
from featurestore.compiler.stored_rows import EVENT_DAY
from featurestore.errors import ConcurrentChange
from featurestore.graph.resolved import ResolvedView
from featurestore.graph.written import EVENT_TIMESTAMP
from featurestore.intervals import DAY, Interval, floor_to
from featurestore.operations.fitted_column import as_moments
from featurestore.operations.open_table import open_table, record_commits
from featurestore.operations.sides import OfflineSide
from featurestore.ports.engine import DataFile, ParquetFiles, Query

_ATTEMPTS = 200
_MOST_SMALL_FILES = 16
_SMALL_FILE_ROWS = 65_536
_ADDED, _HELD = "added_rows", "held_rows"


@dataclass(frozen=True, slots=True)
class AddedRows:
    """Rows of the view, as the table holds them since `version`: keys, both times, values."""

    version: int
    rows: pa.Table


def add_rows(view: ResolvedView, rows: pa.Table, offline: OfflineSide) -> AddedRows:
    """Add rows of a row-level view, as `arrived_rows` gives them. Durable and recorded when it returns.

    Raises ConcurrentChange when others change the table all the time.
    """
    if not rows.num_rows:
        return AddedRows(open_table(view.table, offline).version, rows.drop_columns([EVENT_DAY]))
    with offline.tables.turn(view.table):
        return _added(view, rows, offline)


def with_rows_of(
    view: ResolvedView, files: tuple[DataFile, ...], pushed: ParquetFiles, offline: OfflineSide
) -> tuple[DataFile, ...]:
    """A fill's new files, with the rows of pushed files that came while it was computed and are not among its own."""
    folder = offline.tables.staging_folder(view.table)
    filled = ParquetFiles(
        tuple(str(Path(folder) / file.path) for file in files), pushed.schema, tuple(file.partition for file in files)
    )
    query = settled_rows(view, arrived=_ADDED, stored=_HELD)
    settled = _settled(Query(query, {_ADDED: pushed, _HELD: filled}), offline)
    rewritten = settled.days_of(settled.replacing)
    changed = _written(view, settled, filled, offline, days=rewritten)
    return (*(file for file in files if file.partition not in rewritten), *changed)


def _added(view: ResolvedView, rows: pa.Table, offline: OfflineSide) -> AddedRows:
    """A fill, or a push from another machine, can still come in between."""
    span, query = _days_of(rows[EVENT_TIMESTAMP]), settled_rows(view, arrived=_ADDED, stored=_HELD)
    for _ in range(_ATTEMPTS):
        snapshot = open_table(view.table, offline, days=span)
        settled = _settled(Query(query, {_ADDED: rows, _HELD: snapshot.files}), offline)
        change = _change(view, settled, snapshot.files, offline)
        if not change.added:
            return AddedRows(snapshot.version, settled.rows)
        try:
            version = offline.tables.amend(view.table, change.added, change.removed, based_on=snapshot.version)
        except ConcurrentChange:
            offline.ledger.files.remove(view.table, [file.path for file in change.added])
            continue
        record_commits(view.table, offline.ledger)
        return AddedRows(version, settled.rows)
    raise ConcurrentChange(f"Others change the table {view.table} all the time. Nothing was added to it; run it again.")


@dataclass(frozen=True, slots=True)
class _Settled:
    """The rows that arrived, as the table has to hold them, and which of them it does not hold yet."""

    rows: pa.Table
    days: pa.ChunkedArray
    missing: pa.ChunkedArray
    """Whether the table holds no row of this key and these times."""
    replacing: pa.ChunkedArray
    """Whether it holds one, and another one."""

    def days_of(self, mask: pa.ChunkedArray) -> frozenset[str]:
        return frozenset(day.isoformat() for day in pc.unique(self.days.filter(mask)).to_pylist())


@dataclass(frozen=True, slots=True)
class _Change:
    added: tuple[DataFile, ...]
    removed: tuple[str, ...]


def _settled(query: Query, offline: OfflineSide) -> _Settled:
    with offline.engine.stream(query) as stream:
        table = stream.read_all()
    arrived, standing = (pc.equal(table[name], 1) for name in (ARRIVED, STANDING))
    rows = table.drop_columns([EVENT_DAY, ARRIVED, STANDING])
    return _Settled(rows, table[EVENT_DAY], pc.invert(standing), pc.and_(arrived, standing))


def _change(view: ResolvedView, settled: _Settled, held: ParquetFiles, offline: OfflineSide) -> _Change:
    """What makes the table hold the rows: files beside those of their days, or instead of them."""
    touched = settled.days_of(pc.or_(settled.missing, settled.replacing))
    if not touched:
        return _Change((), ())
    placed = [(path, day) for path, day in zip(held.paths, held.partitions, strict=True) if day in touched]
    leaving = {path: day for path, day in placed if day in settled.days_of(settled.replacing)}
    crowded = {day for day in touched if sum(day == of for _, of in placed) >= _MOST_SMALL_FILES}
    if crowded:
        small = _small_files(view, offline)
        leaving |= {path: day for path, day in placed if day in crowded and _name(path) in small}
    files = ParquetFiles(tuple(leaving), held.schema, tuple(leaving.values()))
    days = frozenset(leaving.values())
    return _Change(_written(view, settled, files, offline, days=days), files.paths)


def _written(
    view: ResolvedView, settled: _Settled, held: ParquetFiles, offline: OfflineSide, *, days: frozenset[str]
) -> tuple[DataFile, ...]:
    """Files with the rows that the table lacks; of `days`, together with the rows of the files held."""
    changed = pc.or_(settled.missing, settled.replacing)
    texts = settled.days.cast(pa.string())
    is_whole = pc.is_in(texts, pa.array(sorted(days), pa.string()))
    placed = [(path, day) for path, day in zip(held.paths, held.partitions, strict=True) if day in days]
    kept = ParquetFiles(tuple(path for path, _ in placed), held.schema, tuple(day for _, day in placed))
    whole, beside = (settled.rows.filter(pc.and_(changed, mask)) for mask in (is_whole, pc.invert(is_whole)))
    nothing = ParquetFiles((), held.schema)
    pieces = [(kept, whole)] if placed else []
    pieces += [(nothing, beside)] if beside.num_rows else []
    folder, tree = offline.tables.staging_folder(view.table), rewritten_rows(view, stored=_HELD, arrived=_ADDED)
    queries: Iterator[Query] = (Query(tree, {_HELD: files, _ADDED: rows}) for files, rows in pieces)
    return tuple(file for query in queries for file in offline.engine.write(query, folder, partition_by=EVENT_DAY))


def _small_files(view: ResolvedView, offline: OfflineSide) -> frozenset[tuple[str, str]]:
    recorded = offline.ledger.commits.files(view.table)
    return frozenset(_name(file.path) for file in recorded if file.removed_in is None and file.rows < _SMALL_FILE_ROWS)


def _name(path: str) -> tuple[str, str]:
    """A file's folder and name: the files of one commit have one name in the folders of different days."""
    return Path(path).parent.name, Path(path).name


def _days_of(events: pa.ChunkedArray) -> Interval:
    span = pc.min_max(as_moments(events)).as_py()  # by the engine's name of the zone, which is not Python's UTC
    return Interval(floor_to(span["min"], DAY), floor_to(span["max"], DAY) + DAY)


def paths_within(paths: Sequence[str], held: ParquetFiles) -> ParquetFiles:
    """Those of the held files that have one of these paths below the table's folder."""
    names = set(map(_name, paths))
    placed = [(path, day) for path, day in zip(held.paths, held.partitions, strict=True) if _name(path) in names]
    return ParquetFiles(tuple(path for path, _ in placed), held.schema, tuple(day for _, day in placed))
