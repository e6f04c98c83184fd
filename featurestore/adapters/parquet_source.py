"""Parquet files on a local disk as sources."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from featurestore.errors import SourceError
from featurestore.graph.arrow_types import is_moment
from featurestore.ports.engine import ParquetFiles
from featurestore.ports.source_reader import SourceSnapshot
from featurestore.spec.source import Source


class ParquetSources:
    """Finds the files of sources, whose paths are relative to `folder`. Reads footers only, never rows."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, source: Source) -> SourceSnapshot:
        files = self._files(source)
        footers = [_footer(source, path) for path in files]
        schema = footers[0].schema.to_arrow_schema()
        for path, footer in zip(files, footers, strict=True):
            _check_same(source, schema, footer.schema.to_arrow_schema(), path)
        spans = [_span(footer, source.event_timestamp) for footer in footers if source.event_timestamp in schema.names]
        known = [span for span in spans if span is not None]
        return SourceSnapshot(
            source=source.name,
            relation=ParquetFiles(tuple(str(path) for path in files), schema),
            schema=schema,
            version=self._version(files),
            rows=sum(footer.num_rows for footer in footers),
            first=min((first for first, _ in known), default=None),
            last=max((last for _, last in known), default=None),
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
            status = path.stat()
            digest.update(f"{path.name}\0{status.st_size}\0{status.st_mtime_ns}\0".encode())
        return digest.hexdigest()[:16]


def _footer(source: Source, path: Path) -> pq.FileMetaData:
    try:
        return pq.read_metadata(path)
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"source '{source.name}': {path} is not a readable Parquet file: {error}") from error


def _check_same(source: Source, expected: pa.Schema, found: pa.Schema, path: Path) -> None:
    if expected.names == found.names and expected.types == found.types:
        return
    differing = sorted({field.name for field in set(expected) ^ set(found)})
    raise SourceError(
        f"source '{source.name}': {path} has other columns than the files before it: {', '.join(differing)}"
    )


def _span(footer: pq.FileMetaData, column: str) -> tuple[datetime, datetime] | None:
    """The first and last moment of a column from its statistics; None where there are none."""
    index = footer.schema.to_arrow_schema().names.index(column)
    if not is_moment(footer.schema.to_arrow_schema().field(column).type):
        return None
    statistics = [footer.row_group(group).column(index).statistics for group in range(footer.num_row_groups)]
    spans = [(_moment(part.min), _moment(part.max)) for part in statistics if part is not None and part.has_min_max]
    if not spans:
        return None
    return min(first for first, _ in spans), max(last for _, last in spans)


def _moment(value: datetime | date) -> datetime:
    if not isinstance(value, datetime):
        return datetime.combine(value, time(), UTC)
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
