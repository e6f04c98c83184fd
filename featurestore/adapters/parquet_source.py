"""Parquet files on a local disk as sources."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from featurestore.errors import SourceError
from featurestore.graph.arrow_types import is_moment
from featurestore.ports.engine import ParquetFiles
from featurestore.ports.source_reader import SourcePart, SourceSnapshot
from featurestore.spec.source import Source


class ParquetSources:
    """Finds the files of sources, whose paths are relative to `folder`. Reads footers, and rows only where
    those say too little."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, source: Source) -> SourceSnapshot:
        files = self._files(source)
        footers = [_footer(source, path) for path in files]
        schema = footers[0].schema.to_arrow_schema()
        for path, footer in zip(files, footers, strict=True):
            _check_same(source, schema, footer.schema.to_arrow_schema(), path)
        timestamp = source.event_timestamp
        dated = timestamp in schema.names and is_moment(schema.field(timestamp).type)
        spans = [_span(path, footer, timestamp) if dated else None for path, footer in zip(files, footers, strict=True)]
        known = [span for span in spans if span is not None]
        parts = map(self._part, files, footers, spans)
        return SourceSnapshot(
            source=source.name,
            relation=ParquetFiles(tuple(str(path) for path in files), schema),
            schema=schema,
            version=self._version(files),
            rows=sum(footer.num_rows for footer in footers),
            first=min((first for first, _ in known), default=None),
            last=max((last for _, last in known), default=None),
            parts=tuple(parts),
        )

    def _files(self, source: Source) -> list[Path]:
        pattern = Path(source.path)
        root = Path(pattern.anchor) if pattern.is_absolute() else self._folder
        relative = str(pattern.relative_to(pattern.anchor)) if pattern.is_absolute() else source.path
        if (root / relative).is_dir():
            relative = f"{relative}/*.parquet"
        files = sorted(path for path in root.glob(relative) if path.is_file())
        if not files:
            raise SourceError(
                f"source '{source.name}' ({source.declared_at}) has no files: nothing matches {root / relative}. "
                "Paths are relative to data_folder in knownat.toml."
            )
        return files

    def _version(self, files: list[Path]) -> str:
        """Changes with the names, sizes and modification times of the files: what can be told without reading them."""
        digest = sha256()
        for path in files:
            digest.update(f"{path.name}\0{_file_version(path)}\0".encode())
        return digest.hexdigest()[:16]

    def _part(self, path: Path, footer: pq.FileMetaData, span: tuple[datetime, datetime] | None) -> SourcePart:
        """Named below the folder, so that a project that was moved still knows its parts."""
        name = path.relative_to(self._folder) if path.is_relative_to(self._folder) else path
        version = sha256(_file_version(path).encode()).hexdigest()[:16]
        first, last = span if span is not None else (None, None)
        return SourcePart(str(name), version, footer.num_rows, first, last)


def _file_version(path: Path) -> str:
    status = path.stat()
    return f"{status.st_size}\0{status.st_mtime_ns}"


def _footer(source: Source, path: Path) -> pq.FileMetaData:
    try:
        return pq.read_metadata(path)
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"source '{source.name}': {path} is not a readable Parquet file: {error}") from error


def _check_same(source: Source, expected: pa.Schema, found: pa.Schema, path: Path) -> None:
    if expected.names == found.names and expected.types == found.types:
        return
    types = [dict(zip(schema.names, schema.types, strict=True)) for schema in (expected, found)]
    differing = sorted(name for name in types[0].keys() | types[1].keys() if types[0].get(name) != types[1].get(name))
    what = f"other columns: {', '.join(differing)}" if differing else "its columns in another order"
    raise SourceError(f"source '{source.name}': {path} is not like the files before it, it has {what}")


def _span(path: Path, footer: pq.FileMetaData, column: str) -> tuple[datetime, datetime] | None:
    """The first and last moment of a column; None where there is none. Row groups whose writer left out statistics
    (as Spark does for INT96) are read, that column alone."""
    [leaf] = [index for index in range(footer.num_columns) if footer.schema.column(index).path == column]
    spans: list[tuple[datetime, datetime] | None] = []
    for group in range(footer.num_row_groups):
        found = footer.row_group(group).column(leaf)
        statistics = found.statistics
        if statistics is not None and statistics.has_min_max:
            spans.append((_moment(statistics.min), _moment(statistics.max)))
        elif statistics is None or statistics.null_count != found.num_values:
            spans.append(_read_span(path, group, column))
    known = [span for span in spans if span is not None]
    return (min(first for first, _ in known), max(last for _, last in known)) if known else None


def _read_span(path: Path, group: int, column: str) -> tuple[datetime, datetime] | None:
    with pq.ParquetFile(path) as file:
        values = file.read_row_group(group, columns=[column])[column]
    moments = values.cast(pa.timestamp("us", tz=getattr(values.type, "tz", None)), safe=False)
    span = pc.min_max(moments).as_py()
    return None if span["min"] is None else (_moment(span["min"]), _moment(span["max"]))


def _moment(value: datetime | date) -> datetime:
    if not isinstance(value, datetime):
        return datetime.combine(value, time(), UTC)
    value = datetime.combine(value.date(), value.time(), value.tzinfo)  # of a nanosecond type, without its nanoseconds
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
