"""Parquet files as sources: one relation by the names of their columns, whatever their order.

The newest file says which columns there are. One that older files lack was added, and is null there; one that only
older files have was dropped. A column with two types can not be read, as nothing is cast silently, nor can one that a
file has twice; another way of writing the same values is no other type. Folders called `key=value` are columns where
the source declares them with a type.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc

from featurestore.adapters.event_times import EventColumn, Span, as_moment, happened_within, span_of, spanned
from featurestore.adapters.source_files import SourceFile, SourceFiles, WantedFiles, version_of
from featurestore.errors import SourceError
from featurestore.graph.arrow_types import arrow_type, is_moment, same_values
from featurestore.graph.microseconds import floored_rows, has_nanoseconds
from featurestore.intervals import Interval
from featurestore.ports.engine import FileGroups, ParquetFiles, Relation, RowScan
from featurestore.ports.source_reader import SourcePart, SourceSnapshot
from featurestore.spec.dtypes import MOST_DIGITS
from featurestore.spec.source import ParquetSource

if TYPE_CHECKING:
    import pyarrow.dataset as ds
    import pyarrow.parquet as pq

_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
_INT96_UNIT = "us"
"""Nanoseconds, Arrow's own choice, wrap around beyond the years 1677 to 2262, which Spark's files do go beyond."""


@dataclass(frozen=True, slots=True)
class _Opened:
    """A file with its footer. `schema` is the one that all have who write the same values, `written` says how this file
    writes them. Of columns called alike the first is in both, and the name in `twice`."""

    file: SourceFile
    footer: pq.FileMetaData
    schema: pa.Schema
    written: pa.Schema
    twice: frozenset[str]
    values: tuple[object, ...]
    """Of the declared partitions."""


class ParquetSources:
    """Reads footers, and rows only where those say too little."""

    def __init__(self, files: SourceFiles) -> None:
        self._files = files

    def read(self, source: ParquetSource, *, within: Interval | None = None) -> SourceSnapshot:
        wanted = WantedFiles(source.name, source.path, ".parquet", with_subfolders=bool(source.partitions))
        opened = [_opened(source, file) for file in self._files.find(wanted)]
        newest = max(opened, key=lambda one: (one.file.modified, one.file.shown))
        stored, mixed = _columns_of(source, newest, opened)
        schema = _with_partitions(source, stored, opened[0].file)
        spans = [_span(source, one, schema) for one in opened]
        known = [span for span in spans if span is not None]
        return SourceSnapshot(
            source=source.name,
            relation=_relation(source, opened, _Wanted(schema, frozenset(mixed), within)),
            schema=schema,
            version=version_of([one.file for one in opened]),
            rows=sum(one.footer.num_rows for one in opened),
            first=min((first for first, _ in known), default=None),
            last=max((last for _, last in known), default=None),
            parts=tuple(_part(one, span) for one, span in zip(opened, spans, strict=True)),
            mixed=mixed,
        )


def _opened(source: ParquetSource, file: SourceFile) -> _Opened:
    import pyarrow.parquet as pq  # 4 MB, which a process that only looks features up never needs

    try:
        with pq.ParquetFile(file.key, filesystem=file.files, coerce_int96_timestamp_unit=_INT96_UNIT) as parquet:
            footer, written = parquet.metadata, parquet.schema_arrow
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"source '{source.name}': {file.shown} is not a readable Parquet file: {error}") from error
    names = Counter(name.lower() for name in written.names)
    written = pa.schema({field.name.lower(): field for field in reversed(written)}.values())
    written = pa.schema(list(reversed(written)))
    schema = pa.schema([(field.name, _readable(field.type)) for field in written])
    twice = frozenset(name for name, count in names.items() if count > 1)
    return _Opened(file, footer, schema, written, twice, _partition_values(source, file))


def _columns_of(source: ParquetSource, newest: _Opened, opened: list[_Opened]) -> tuple[pa.Schema, dict[str, str]]:
    """The columns of the newest file, and those that are another's with another type or in other letters, or that a
    file has twice."""
    mixed: dict[str, str] = {}
    columns = {field.name.lower(): field for field in newest.schema}
    for one in opened:
        for field in one.written:
            if (why := _not_read(field.type)) is not None and field.name.lower() in columns:
                mixed.setdefault(columns[field.name.lower()].name, f"{field.type} in {one.file.shown}, {why}")
        mixed |= {columns[name].name: f"there twice in {one.file.shown}" for name in one.twice if name in columns}
        for field in one.schema:
            known = columns.get(field.name.lower())
            if known is not None and (known.name, known.type) != (field.name, field.type):
                found = f"'{field.name}' ({field.type}) in {one.file.shown}"
                mixed.setdefault(known.name, f"{found} and '{known.name}' ({known.type}) in {newest.file.shown}")
        for time in filter(None, (source.event_timestamp, source.known_at)):
            if time in newest.schema.names and time.lower() not in map(str.lower, one.schema.names):
                raise SourceError(f"source '{source.name}': {one.file.shown} lacks the column '{time}' of the others")
    return newest.schema, mixed


def _not_read(kind: pa.DataType) -> str | None:
    """Why an engine can not read a column of a file as what it is; None if it can."""
    if pa.types.is_duration(kind):
        return "which Parquet has no type for, so that a bare number would be read: write it as one"
    if pa.types.is_decimal(kind) and kind.precision > MOST_DIGITS:
        return f"which has more than {MOST_DIGITS} digits: write it as text, or with fewer"
    nested = kind.num_fields if not isinstance(kind, pa.BaseExtensionType) else 0
    return next((why for i in range(nested) if (why := _not_read(kind.field(i).type)) is not None), None)


def _readable(kind: pa.DataType) -> pa.DataType:
    """The type by the column's values; none where an engine does not even know it."""
    has_no_type = pa.types.is_decimal(kind) and kind.precision > MOST_DIGITS
    return pa.null() if has_no_type else same_values(kind)


def _with_partitions(source: ParquetSource, stored: pa.Schema, example: SourceFile) -> pa.Schema:
    for name, dtype in source.partitions:
        if name.lower() in {column.lower() for column in stored.names}:
            raise SourceError(
                f"source '{source.name}' declares the partition '{name}', and {example.shown} has a column of that "
                "name: leave it out of partitions= to read the files' own."
            )
        stored = stored.append(pa.field(name, arrow_type(dtype)))
    return stored


def _partition_values(source: ParquetSource, file: SourceFile) -> tuple[object, ...]:
    found = dict(folder.split("=", 1) for folder in file.folders if "=" in folder)
    values: list[object] = []
    for name, dtype in source.partitions:
        if name not in found:
            raise SourceError(f"source '{source.name}': {file.shown} lies in no folder called {name}=…")
        text = unquote(found[name])
        if text == _NO_VALUE:
            values.append(None)
            continue
        try:
            values.append(pa.array([text]).cast(arrow_type(dtype))[0].as_py())
        except pa.ArrowException as error:
            raise SourceError(
                f"source '{source.name}': the folder {name}={found[name]} of {file.shown} is no {dtype.value}"
            ) from error
    return tuple(values)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a relation has: the columns, without those that nobody can read, and perhaps the rows of an interval."""

    schema: pa.Schema
    unreadable: frozenset[str]
    within: Interval | None


def _relation(source: ParquetSource, opened: list[_Opened], wanted: _Wanted) -> Relation:
    groups = _groups(opened, wanted.schema)
    if not source.partitions and all(one.file.is_local for one in opened):
        if len(groups) == 1:
            return _files(opened, wanted.schema)
        readable = pa.schema([field for field in wanted.schema if field.name not in wanted.unreadable])
        return FileGroups(tuple(_files(group, readable) for group in groups), readable)
    return RowScan(wanted.schema, lambda columns: _scanned(source, groups, wanted, columns))


def _groups(opened: list[_Opened], schema: pa.Schema) -> list[list[_Opened]]:
    """The files by which of their columns have nanoseconds: those are read in a way of their own."""
    groups: dict[frozenset[str], list[_Opened]] = {}
    for one in opened:
        fine = frozenset(f.name for f in one.written if f.name in schema.names and has_nanoseconds(f.type))
        groups.setdefault(fine, []).append(one)
    return list(groups.values())


def _as_written(group: list[_Opened], schema: pa.Schema) -> pa.Schema:
    """The columns as a group's files have them, with their nanoseconds."""
    fine = {field.name: field for one in group for field in one.written if has_nanoseconds(field.type)}
    return pa.schema([field.with_type(fine[field.name].type) if field.name in fine else field for field in schema])


def _files(group: list[_Opened], schema: pa.Schema) -> ParquetFiles:
    """Columns that none of the files has are left out where there are other files."""
    by_name = any(one.schema.names != group[0].schema.names for one in group)
    present = {name for one in group for name in one.schema.names}
    has = pa.schema([field for field in _as_written(group, schema) if field.name in present])
    return ParquetFiles(tuple(one.file.key for one in group), has, by_name=by_name)


def _scanned(
    source: ParquetSource, groups: list[list[_Opened]], wanted: _Wanted, columns: tuple[str, ...]
) -> Iterator[pa.RecordBatch]:
    column = source.event_timestamp
    target = pa.schema([wanted.schema.field(name) for name in columns])
    for group in groups:
        written = _as_written(group, wanted.schema)
        dated = wanted.within is not None and column in written.names
        inside = happened_within(column, written, wanted.within) if dated and wanted.within else None
        try:
            for batch in _dataset(source, group, written).to_batches(columns=list(columns), filter=inside):
                yield floored_rows(batch).cast(target)
        except (pa.ArrowException, OSError) as error:
            raise SourceError(f"source '{source.name}' can not be read: {error}") from error


def _dataset(source: ParquetSource, opened: list[_Opened], schema: pa.Schema) -> ds.Dataset:
    import pyarrow.dataset as ds  # it loads pandas, 50 MB, which a process that only looks features up never needs

    form = ds.ParquetFileFormat(read_options=ds.ParquetReadOptions(coerce_int96_timestamp_unit=_INT96_UNIT))
    fragments = [
        form.make_fragment(one.file.key, one.file.files, partition_expression=_partition(source, one)) for one in opened
    ]
    return ds.FileSystemDataset(fragments, schema, form, opened[0].file.files)


def _partition(source: ParquetSource, one: _Opened) -> pc.Expression:
    expression = pc.scalar(True)
    for (name, dtype), value in zip(source.partitions, one.values, strict=True):
        column = pc.field(name)
        same = column.is_null() if value is None else column == pa.scalar(value, arrow_type(dtype))
        expression = expression & same
    return expression


def _part(one: _Opened, span: Span | None) -> SourcePart:
    first, last = span if span is not None else (None, None)
    return SourcePart(one.file.name, one.file.digest, one.footer.num_rows, first, last)


def _span(source: ParquetSource, one: _Opened, schema: pa.Schema) -> Span | None:
    """The first and last moment of a column; None where there is none. Row groups whose writer left out statistics
    (as Spark does for INT96) are read, that column alone."""
    column = EventColumn(source.name, source.event_timestamp)
    if column.name not in schema.names or not is_moment(schema.field(column.name).type):
        return None
    for (name, _), value in zip(source.partitions, one.values, strict=True):
        if name == column.name:
            return (as_moment(value), as_moment(value)) if isinstance(value, date) else None
    footer = one.footer
    leaf = next(i for i in range(footer.num_columns) if footer.schema.column(i).path == column.name)
    kind = one.written.field(column.name).type
    spans: list[Span | None] = []
    for group in range(footer.num_row_groups):
        found = footer.row_group(group).column(leaf)
        statistics = found.statistics
        if statistics is not None and statistics.has_min_max:
            spans.append(spanned(statistics.min_raw, statistics.max_raw, kind, column))
        elif statistics is None or statistics.null_count != found.num_values:
            spans.append(_read_span(one.file, group, column))
    known = [span for span in spans if span is not None]
    return (min(first for first, _ in known), max(last for _, last in known)) if known else None


def _read_span(file: SourceFile, group: int, column: EventColumn) -> Span | None:
    import pyarrow.parquet as pq

    with pq.ParquetFile(file.key, filesystem=file.files, coerce_int96_timestamp_unit=_INT96_UNIT) as opened:
        return span_of(opened.read_row_group(group, columns=[column.name])[column.name], column)
