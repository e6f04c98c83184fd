"""A training set's rows as a Parquet file whose bytes depend on the rows alone, with a profile of each column."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

import pyarrow as pa
import pyarrow.compute as pc

from featurestore.errors import StoreUnavailable
from featurestore.ports.state import ColumnProfile

_NUMBERS = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_decimal)
GROUP_ROWS = 131_072
"""Rows in a row group: fixed, so that the bytes do not depend on how the rows arrived."""


@dataclass(frozen=True, slots=True)
class ResultFile:
    rows: int
    profile: tuple[ColumnProfile, ...]


def write_result(spine: pa.Table, features: Iterator[pa.Table], path: Path) -> ResultFile:
    """Write the spine's columns, then the features', which come in the spine's order: at least one table."""
    import pyarrow.parquet as pq  # 4 MB, which a process that only looks features up never needs

    first = next(features)
    names = first.column_names
    schema = pa.schema([*spine.schema, *first.schema]).remove_metadata()
    position = 0
    tallies = [_Tally(field.name, str(field.type)) for field in schema]
    with pq.ParquetWriter(path, schema, compression="zstd", write_page_index=False) as writer:
        for group in _groups(chain([first], features)):
            rows = spine.slice(position, group.num_rows)
            table = pa.table([*rows.columns, *(group[name] for name in names)], schema=schema).combine_chunks()
            writer.write_table(table, row_group_size=GROUP_ROWS)
            for tally, column in zip(tallies, table.columns, strict=True):
                tally.add(column)
            position += group.num_rows
    return ResultFile(position, tuple(tally.profile() for tally in tallies))


def write_table(table: pa.Table, path: Path) -> None:
    """A table as a Parquet file whose bytes depend on its rows alone: how spines are kept."""
    import pyarrow.parquet as pq

    table = table.replace_schema_metadata(None).combine_chunks()
    pq.write_table(table, path, compression="zstd", row_group_size=GROUP_ROWS, write_page_index=False)


@contextmanager
def passing_file(name: str) -> Iterator[Path]:
    """Where a file can be written that goes when the block ends. Raises StoreUnavailable when there is no room."""
    try:
        with TemporaryDirectory(prefix="knownat-") as folder:
            yield Path(folder) / name
    except OSError as error:
        raise StoreUnavailable(
            f"The folder for temporary files, {gettempdir()}, can not be used: {error}. See whether its disk has room, "
            "or name another folder in the environment variable TMPDIR."
        ) from error


def _groups(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The tables' rows in tables of exactly GROUP_ROWS rows, but for the last."""
    held: pa.Table | None = None
    for table in tables:
        joined = table if held is None else pa.concat_tables([held, table])
        whole = joined.num_rows - joined.num_rows % GROUP_ROWS
        for start in range(0, whole, GROUP_ROWS):
            yield joined.slice(start, GROUP_ROWS)
        held = joined.slice(whole)
    if held is not None and held.num_rows:
        yield held


class _Tally:
    """The profile of a column, added up over row groups of fixed size: the same rows give the same numbers."""

    def __init__(self, name: str, dtype: str) -> None:
        self._name, self._dtype = name, dtype
        self._rows = self._nulls = 0
        self._sum = 0.0
        self._minimum: float | None = None
        self._maximum: float | None = None

    def add(self, column: pa.ChunkedArray) -> None:
        self._rows += len(column)
        self._nulls += column.null_count
        if not any(is_number(column.type) for is_number in _NUMBERS):
            return
        values = column.cast(pa.float64(), safe=False)
        finite = values.filter(pc.is_finite(values))
        if not len(finite):
            return
        span = pc.min_max(finite).as_py()
        self._sum += pc.sum(finite).as_py()
        self._minimum = span["min"] if self._minimum is None else min(self._minimum, span["min"])
        self._maximum = span["max"] if self._maximum is None else max(self._maximum, span["max"])

    def profile(self) -> ColumnProfile:
        present = self._rows - self._nulls
        mean = self._sum / present if present and self._minimum is not None else None
        return ColumnProfile(self._name, self._dtype, self._nulls, self._minimum, self._maximum, mean)
