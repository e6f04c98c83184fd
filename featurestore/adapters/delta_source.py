"""Delta tables that others write, as sources: deletion vectors, partition columns and column mapping are respected.

delta-rs reads the rows: a table's list of files alone would bring deleted rows back. What its log says of the files
(rows, smallest and greatest event timestamp) is used where it is there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from featurestore.adapters.addresses import can_be_queried, remote_table_address, table_address
from featurestore.adapters.event_times import EventColumn, happened_within, span_of
from featurestore.adapters.s3_storage import storage_reason
from featurestore.errors import SettingsError, SourceError
from featurestore.graph.arrow_types import is_moment
from featurestore.intervals import Interval
from featurestore.ports.engine import RowScan
from featurestore.ports.source_reader import SourcePart, SourceSnapshot
from featurestore.spec.source import DeltaSource

if TYPE_CHECKING:
    from deltalake import DeltaTable

_PHYSICAL_NAME = b"delta.columnMapping.physicalName"


@dataclass(frozen=True, slots=True)
class DatedTable:
    """A Delta table at one version, and which of its columns says when rows happened."""

    source: str
    table: DeltaTable
    event_timestamp: str
    folder: Path | None = None
    """On this machine; None: in an object store."""

    @property
    def column(self) -> EventColumn:
        return EventColumn(self.source, self.event_timestamp)

    @property
    def schema(self) -> pa.Schema:
        return pa.schema([field.remove_metadata() for field in pa.schema(self.table.schema().to_arrow())])


class DeltaSources:
    """Tables in folders below `folder`, or, with the options of delta-rs, in an object store."""

    def __init__(self, folder: Path, storage_options: Mapping[str, str] | None = None) -> None:
        self._folder = folder
        self._options = dict(storage_options or {})

    def read(self, source: DeltaSource, *, within: Interval | None = None) -> SourceSnapshot:
        folder = None if "://" in source.path else self._folder / source.path
        try:
            place = remote_table_address(source.path) if folder is None else table_address(folder)
        except SettingsError as error:
            raise SourceError(f"source '{source.name}': {error.message}") from error
        table = _opened(source, place, self._options if folder is None else None)
        return table_snapshot(DatedTable(source.name, table, source.event_timestamp, folder), within)


def table_snapshot(dated: DatedTable, within: Interval | None) -> SourceSnapshot:
    """What the table holds at its version."""
    _check_name(dated)
    schema = dated.schema
    parts = _parts(dated, schema)
    has_moments = dated.event_timestamp in schema.names and is_moment(schema.field(dated.event_timestamp).type)
    first = min((part.first for part in parts if part.first), default=None)
    last = max((part.last for part in parts if part.last), default=None)
    if has_moments and any(part.rows and None in (part.first, part.last) for part in parts):
        first, last = _scanned_span(dated)
    return SourceSnapshot(
        source=dated.source,
        relation=_relation(dated, schema, within if has_moments else None),
        schema=schema,
        version=str(dated.table.version()),
        rows=sum(part.rows for part in parts),
        first=first,
        last=last,
        parts=parts,
    )


def _opened(source: DeltaSource, place: str, options: dict[str, str] | None) -> DeltaTable:
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError, TableNotFoundError

    try:
        return DeltaTable(place, version=source.version, storage_options=options)
    except TableNotFoundError as error:
        raise SourceError(
            f"source '{source.name}': {place} is not a Delta table. Paths are relative to data_folder in knownat.toml."
        ) from error
    except (DeltaError, OSError, ValueError) as error:
        at = "" if source.version is None else f" at version {source.version}"
        reason = storage_reason(error)
        raise SourceError(f"source '{source.name}': the Delta table {place} can not be opened{at}: {reason}") from error


def _relation(dated: DatedTable, schema: pa.Schema, within: Interval | None) -> RowScan:
    def rows(columns: tuple[str, ...]) -> Iterator[pa.RecordBatch]:
        from deltalake.exceptions import DeltaError

        wanted = pa.schema([schema.field(name) for name in columns])
        try:
            for batch in _batches(dated, columns, within):
                yield from pa.Table.from_batches([batch]).select(list(columns)).cast(wanted).to_batches()
        except (DeltaError, pa.ArrowException, OSError, ValueError) as error:
            raise SourceError(f"source '{dated.source}' can not be read: {storage_reason(error)}") from error

    return RowScan(schema, rows)


def _batches(dated: DatedTable, columns: tuple[str, ...], within: Interval | None = None) -> Iterator[pa.RecordBatch]:
    """The rows, those that happened in the interval where one is given, and perhaps some about its end."""
    if dated.folder is not None and not can_be_queried(dated.folder):
        return _batches_of_files(dated, columns, within)
    inside = None if within is None else _inside(dated.event_timestamp, dated.schema, within)
    rows: Iterator[pa.RecordBatch] = pa.RecordBatchReader.from_stream(
        dated.table.scan(columns=list(columns), predicate=inside)
    )
    return rows


def _batches_of_files(dated: DatedTable, columns: tuple[str, ...], within: Interval | None) -> Iterator[pa.RecordBatch]:
    """Read by Arrow, which does not care what a folder is called, and knows less of Delta."""
    from pyarrow import fs

    files = fs.SubTreeFileSystem(str(dated.folder), fs.LocalFileSystem())
    inside = None if within is None else happened_within(dated.event_timestamp, dated.schema, within)
    rows: Iterator[pa.RecordBatch] = dated.table.to_pyarrow_dataset(filesystem=files).to_batches(
        columns=list(columns), filter=inside
    )
    return rows


def _check_name(dated: DatedTable) -> None:
    if dated.folder is None or can_be_queried(dated.folder):
        return
    mapped = dated.table.metadata().configuration.get("delta.columnMapping.mode", "none") != "none"
    if mapped or "deletionVectors" in (dated.table.protocol().reader_features or ()):
        raise SourceError(
            f"source '{dated.source}': a table with deletion vectors or mapped columns can not be read from "
            f"{dated.folder}, as its path has one of [ ] ^ | in it. Rename that folder."
        )


def _inside(column: str, schema: pa.Schema, interval: Interval) -> str:
    """Whether a row happened in the interval, in the SQL of delta-rs."""
    kind = schema.field(column).type
    if pa.types.is_date(kind):
        edges, sql_type = [interval.start.date().isoformat(), interval.end.date().isoformat()], "DATE"
    else:
        edges, sql_type = [_told(interval.start), _told(interval.end)], "TIMESTAMP"
    first, last = (exp.cast(exp.Literal.string(edge), sql_type) for edge in edges)
    moment = exp.column(column, quoted=True)
    return exp.and_(moment >= first, moment.copy() <= last).sql()


def _told(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")


def _parts(dated: DatedTable, schema: pa.Schema) -> tuple[SourcePart, ...]:
    """Each file of the table, without the rows that a deletion vector takes away; the table as one part where its log
    does not say how many rows a file has."""
    actions = pa.table(dated.table.get_add_actions(flatten=True))
    if "num_records" not in actions.column_names or actions["num_records"].null_count:
        return (_counted(dated, schema),)
    deleted = _deletions(dated.table)
    edges = _edges(actions, dated, schema)
    parts = []
    for number, row in enumerate(actions.select(["path", "num_records"]).to_pylist()):
        path = str(row["path"])
        kept = next((kept for file, kept in deleted.items() if file.endswith(f"/{unquote(path)}")), None)
        rows = int(row["num_records"]) if kept is None else pc.sum(kept).as_py()
        identity = path if kept is None else path + sha256(str(kept.to_pylist()).encode()).hexdigest()
        spans = [span_of(edge[number : number + 1], dated.column) for edge in edges] or [None, None]
        first, last = (None if span is None else span[0] for span in spans)
        parts.append(SourcePart(path, sha256(identity.encode()).hexdigest()[:16], rows, first, last))
    return tuple(parts)


def _counted(dated: DatedTable, schema: pa.Schema) -> SourcePart:
    """Writers may leave statistics out, which makes no file empty. Its span is read where it is asked for."""
    column = dated.event_timestamp if dated.event_timestamp in schema.names else schema.names[0]
    batches = _batches(dated, (column,))
    version = str(dated.table.version())
    return SourcePart("", version, sum(batch.num_rows for batch in batches), None, None)


def _deletions(table: DeltaTable) -> dict[str, pa.Array]:
    """For each file with a deletion vector, which of its rows are kept."""
    if "deletionVectors" not in (table.protocol().reader_features or ()):
        return {}
    vectors = pa.table(table.deletion_vectors())
    files = [unquote(str(file)) for file in vectors["filepath"].to_pylist()]
    return {file: kept.values for file, kept in zip(files, vectors["selection_vector"], strict=True)}


def _edges(actions: pa.Table, dated: DatedTable, schema: pa.Schema) -> list[pa.ChunkedArray]:
    """The first and last moment of each file, which the log's statistics tell by the column's physical name; nothing
    where they do not. Of other columns nothing is looked at."""
    column = dated.event_timestamp
    if column not in schema.names or not is_moment(schema.field(column).type):
        return []
    if (partition := f"partition.{column}") in actions.column_names:
        return [actions[partition], actions[partition]]
    field = pa.schema(dated.table.schema().to_arrow()).field(column)
    name = (field.metadata or {}).get(_PHYSICAL_NAME, column.encode()).decode().strip("'")
    edges = [f"min.{name}", f"max.{name}"]
    return [actions[edge] for edge in edges] if set(edges) <= set(actions.column_names) else []


def _scanned_span(dated: DatedTable) -> tuple[datetime | None, datetime | None]:
    """Read from the rows, that one column: the log does not say it for every file."""
    first: datetime | None = None
    last: datetime | None = None
    for batch in _batches(dated, (dated.event_timestamp,)):
        if (span := span_of(batch[dated.event_timestamp], dated.column)) is not None:
            first, last = min(first or span[0], span[0]), max(last or span[1], span[1])
    return first, last
