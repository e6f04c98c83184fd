"""Sources as they were declared and as they are kept with the graph, each made from the other in this one place."""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

import pyarrow as pa

from featurestore.graph.resolved import Column, CsvFormat, DatabaseRows, ResolvedSource, SourceField, SourceKind
from featurestore.spec.source import (
    CsvSource,
    DeclaredColumns,
    DeltaSource,
    FrameSource,
    ParquetSource,
    Source,
    SqlSource,
)


def source_fields(schema: pa.Schema) -> tuple[SourceField, ...]:
    """A source's columns, with the names of their types."""
    return tuple(SourceField(field.name, str(field.type)) for field in schema)


def resolved_source(source: Source, schema: pa.Schema) -> ResolvedSource:
    """The source as it is kept, with the columns it has now."""
    return replace(_resolved_kind(source, schema), removed_rows=source.removed_rows)


def _resolved_kind(source: Source, schema: pa.Schema) -> ResolvedSource:
    shared = (source.event_timestamp, source.known_at, source.delay, source_fields(schema))
    described = (source.description, source.owner)
    match source:
        case ParquetSource():
            columns = _resolved(source.partitions)
            return ResolvedSource(source.name, source.path, *shared, *described, SourceKind.PARQUET, columns)
        case CsvSource():
            form = CsvFormat(source.header, source.delimiter, source.null_text)
            columns = _resolved(source.columns)
            return ResolvedSource(source.name, source.path, *shared, *described, SourceKind.CSV, columns, form)
        case DeltaSource():
            kind = SourceKind.DELTA
            return ResolvedSource(source.name, source.path, *shared, *described, kind, version=source.version)
        case SqlSource():
            rows = DatabaseRows(source.connection, source.table, source.query)
            return ResolvedSource(source.name, "", *shared, *described, SourceKind.SQL, database=rows)
        case FrameSource():
            columns = _resolved(source.columns)
            return ResolvedSource(source.name, "", *shared, *described, SourceKind.FRAME, columns)
        case _:
            assert_never(source)


def declared_source(source: ResolvedSource) -> Source:
    """The source as it was declared, which is what readers of sources take."""
    name, happened, known, delay = source.name, source.event_timestamp, source.known_at, source.delay
    removed = source.removed_rows
    columns = {column.name: column.dtype for column in source.columns}
    match source.kind:
        case SourceKind.PARQUET:
            return ParquetSource(
                name, path=source.path, event_timestamp=happened, known_at=known, delay=delay, partitions=columns,
                removed_rows=removed,
            )  # fmt: skip
        case SourceKind.CSV:
            form = source.csv or CsvFormat(header=True, delimiter=",", null_text=("",))
            return CsvSource(
                name, path=source.path, event_timestamp=happened, known_at=known, delay=delay, columns=columns,
                header=form.header, delimiter=form.delimiter, null_text=form.null_text, removed_rows=removed,
            )  # fmt: skip
        case SourceKind.DELTA:
            return DeltaSource(
                name, path=source.path, event_timestamp=happened, known_at=known, delay=delay, version=source.version,
                removed_rows=removed,
            )  # fmt: skip
        case SourceKind.SQL:
            rows = source.database
            assert rows is not None, name  # noqa: S101 - `resolved_source` gives every SQL source one
            return SqlSource(
                name, connection=rows.connection, table=rows.table, query=rows.query,
                event_timestamp=happened, known_at=known, delay=delay, removed_rows=removed,
            )  # fmt: skip
        case SourceKind.FRAME:
            return FrameSource(name, columns=columns, event_timestamp=happened, known_at=known, delay=delay)
        case _:
            assert_never(source.kind)


def source_place(source: ResolvedSource) -> list[object]:
    """What decides which rows a source has. Of Parquet files without partitions it is their path alone."""
    columns = [[column.name, column.dtype.value] for column in source.columns]
    match source.kind:
        case SourceKind.PARQUET:
            return [source.path, columns] if columns else [source.path]
        case SourceKind.CSV:
            form = source.csv or CsvFormat(header=True, delimiter=",", null_text=("",))
            return ["csv", source.path, columns, form.header, form.delimiter, sorted(form.null_text)]
        case SourceKind.DELTA:
            return ["delta", source.path, source.version]
        case SourceKind.SQL:
            rows = source.database
            assert rows is not None, source.name  # noqa: S101 - as above
            return ["sql", rows.connection, rows.table, rows.query]
        case SourceKind.FRAME:
            return ["frame", columns]
        case _:
            assert_never(source.kind)


def _resolved(columns: DeclaredColumns) -> tuple[Column, ...]:
    return tuple(Column(name, dtype) for name, dtype in columns)
