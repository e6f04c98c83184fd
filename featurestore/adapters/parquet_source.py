"""Parquet files as sources: one relation by the names of their columns, whatever their order.

The newest file says which columns there are. One that older files lack was added, and is null there; one that only
older files have was dropped. A column with two types can not be read, as nothing is cast silently. Folders called
`key=value` are columns where the source declares them with a type.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc

from featurestore.adapters.event_times import as_moment, happened_within
from featurestore.adapters.source_files import SourceFile, SourceFiles, WantedFiles, version_of
from featurestore.errors import SourceError
from featurestore.graph.arrow_types import arrow_type, is_moment
from featurestore.intervals import Interval
from featurestore.ports.engine import ParquetFiles, Relation, RowScan
from featurestore.ports.source_reader import SourcePart, SourceSnapshot
from featurestore.spec.source import ParquetSource

if TYPE_CHECKING:
    import pyarrow.dataset as ds
    import pyarrow.parquet as pq

_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
_Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class _Opened:
    """A file with its footer."""

    file: SourceFile
    footer: pq.FileMetaData
    schema: pa.Schema
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
            relation=_relation(source, opened, schema, within),
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
        footer = pq.read_metadata(file.key, filesystem=file.files)
        schema = _plain(footer.schema.to_arrow_schema())
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"source '{source.name}': {file.shown} is not a readable Parquet file: {error}") from error
    return _Opened(file, footer, schema, _partition_values(source, file))


def _plain(schema: pa.Schema) -> pa.Schema:
    """Text in a dictionary is text: how a writer packed it is no property of the column."""
    fields = [f.with_type(f.type.value_type) if pa.types.is_dictionary(f.type) else f for f in schema]
    return pa.schema([field.remove_metadata() for field in fields])


def _columns_of(source: ParquetSource, newest: _Opened, opened: list[_Opened]) -> tuple[pa.Schema, dict[str, str]]:
    """The columns of the newest file, and those that are another's with another type or in other letters."""
    mixed: dict[str, str] = {}
    columns = {field.name.lower(): field for field in newest.schema}
    for one in opened:
        for field in one.schema:
            known = columns.get(field.name.lower())
            if known is not None and (known.name, known.type) != (field.name, field.type):
                found = f"'{field.name}' ({field.type}) in {one.file.shown}"
                mixed.setdefault(known.name, f"{found} and '{known.name}' ({known.type}) in {newest.file.shown}")
        for time in filter(None, (source.event_timestamp, source.known_at)):
            if time in newest.schema.names and time.lower() not in map(str.lower, one.schema.names):
                raise SourceError(f"source '{source.name}': {one.file.shown} lacks the column '{time}' of the others")
    return newest.schema, mixed


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


def _relation(source: ParquetSource, opened: list[_Opened], schema: pa.Schema, within: Interval | None) -> Relation:
    if not source.partitions and all(one.file.is_local for one in opened):
        by_name = any(one.schema.names != opened[0].schema.names for one in opened)
        return ParquetFiles(tuple(one.file.key for one in opened), schema, by_name=by_name)
    dataset = _dataset(source, opened, schema)
    column = source.event_timestamp
    inside = happened_within(column, schema, within) if within and column in schema.names else None

    def rows(columns: tuple[str, ...]) -> Iterator[pa.RecordBatch]:
        try:
            yield from dataset.to_batches(columns=list(columns), filter=inside)
        except (pa.ArrowException, OSError) as error:
            raise SourceError(f"source '{source.name}' can not be read: {error}") from error

    return RowScan(schema, rows)


def _dataset(source: ParquetSource, opened: list[_Opened], schema: pa.Schema) -> ds.Dataset:
    import pyarrow.dataset as ds  # it loads pandas, 50 MB, which a process that only looks features up never needs

    form = ds.ParquetFileFormat()
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


def _part(one: _Opened, span: _Span | None) -> SourcePart:
    first, last = span if span is not None else (None, None)
    return SourcePart(one.file.name, one.file.digest, one.footer.num_rows, first, last)


def _span(source: ParquetSource, one: _Opened, schema: pa.Schema) -> _Span | None:
    """The first and last moment of a column; None where there is none. Row groups whose writer left out statistics
    (as Spark does for INT96) are read, that column alone."""
    column = source.event_timestamp
    if column not in schema.names or not is_moment(schema.field(column).type):
        return None
    for (name, _), value in zip(source.partitions, one.values, strict=True):
        if name == column:
            return (as_moment(value), as_moment(value)) if isinstance(value, date) else None
    footer = one.footer
    [leaf] = [i for i in range(footer.num_columns) if footer.schema.column(i).path == column]
    spans: list[_Span | None] = []
    for group in range(footer.num_row_groups):
        found = footer.row_group(group).column(leaf)
        statistics = found.statistics
        if statistics is not None and statistics.has_min_max:
            spans.append((as_moment(statistics.min), as_moment(statistics.max)))
        elif statistics is None or statistics.null_count != found.num_values:
            spans.append(_read_span(one.file, group, column))
    known = [span for span in spans if span is not None]
    return (min(first for first, _ in known), max(last for _, last in known)) if known else None


def _read_span(file: SourceFile, group: int, column: str) -> _Span | None:
    import pyarrow.parquet as pq

    with pq.ParquetFile(file.key, filesystem=file.files) as opened:
        values = opened.read_row_group(group, columns=[column])[column]
    moments = values.cast(pa.timestamp("us", tz=getattr(values.type, "tz", None)), safe=False)
    span = pc.min_max(moments).as_py()
    return None if span["min"] is None else (as_moment(span["min"]), as_moment(span["max"]))
