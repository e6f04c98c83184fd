"""The Parquet files of an offline table, read by columns, some files at a time."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import pyarrow as pa

from featurestore.errors import DatasetGone
from featurestore.intervals import EPOCH
from featurestore.merging.keys import Integers
from featurestore.merging.newest import NEVER, NO_ROW
from featurestore.ports.engine import ParquetFiles

if TYPE_CHECKING:
    import pyarrow.parquet as pq

_FOOTERS_KEPT = 8_192
_MICROSECOND_OF_DAY = 86_400_000_000
_UNREADABLE = (pa.ArrowException, OSError, ValueError)
"""What pyarrow raises for damaged files; a ValueError where names in them are no text any more."""
S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TableFile:
    """One file: where it is, and the place of its first row among those of all files."""

    path: str
    footer: pq.FileMetaData
    first: int

    @property
    def rows(self) -> int:
        return int(self.footer.num_rows)


class FileReader:
    """Reads files by columns on a few threads. Files of tables never change, so their footers are kept."""

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="knownat-read")
        self._ahead = 2 * threads
        self._footers: OrderedDict[str, pq.FileMetaData] = OrderedDict()
        self._lock = Lock()

    def files(self, table: ParquetFiles, *, since: int | None, until: int | None) -> list[TableFile]:
        """The table's files, by their days, without those of days wholly before or after two moments (microseconds)."""
        chosen = _chosen(table, since, until)
        footers = self._pool.map(self._footer, chosen)
        files: list[TableFile] = []
        first = 0
        for path, footer in zip(chosen, footers, strict=True):
            files.append(TableFile(path, footer, first))
            first += footer.num_rows
        return files

    def read(self, file: TableFile, columns: Sequence[str]) -> pa.Table:
        """Some columns of a file. Raises DatasetGone when it can not be read."""
        import pyarrow.parquet as pq  # 4 MB, which a process that only looks features up never needs

        try:
            with pq.ParquetFile(file.path, metadata=file.footer, memory_map=True) as opened:
                table = opened.read(columns=list(columns), use_threads=False)
        except _UNREADABLE as error:
            raise _unreadable(file.path, error) from error
        if set(table.column_names) != set(columns):
            raise _unreadable(file.path, f"it has no column {', '.join(set(columns) - set(table.column_names))}")
        return table

    def read_together(self, files: Sequence[TableFile], columns: Sequence[str]) -> pa.Table:
        """Some columns of files, one after the other."""
        return pa.concat_tables([self.read(file, columns) for file in files])

    def taken(self, files: Sequence[TableFile], places: Integers, schema: pa.Schema) -> list[pa.ChunkedArray]:
        """The rows at `places` among those of all `files`, in that order; a row of nulls for NO_ROW."""
        order = np.argsort(places)
        ascending = places[order]
        cuts = np.searchsorted(ascending, [*(file.first for file in files), NEVER])
        wanted = dict(zip((file.path for file in files), pairwise(cuts.tolist()), strict=True))

        def some(file: TableFile) -> pa.Table:
            first, last = wanted[file.path]
            return self.read(file, schema.names).take(pa.array(ascending[first:last] - file.first))

        touched = [file for file in files if wanted[file.path][0] < wanted[file.path][1]]
        pieces = list(self.map(some, touched))
        table = pa.concat_tables([schema.empty_table(), *(piece.cast(schema) for piece in pieces)])
        back = np.full(len(places), NO_ROW, np.int64)
        back[order[len(places) - table.num_rows :]] = np.arange(table.num_rows)
        rows = pa.array(back, mask=back < 0)
        return list(self._pool.map(lambda column: _in_one_piece(column).take(rows), table.columns))

    def map(self, work: Callable[[S], T], items: Sequence[S]) -> Iterator[T]:
        """`work` done on each item, in their order, a few ahead and no more: what is not taken waits."""
        waiting = deque(self._pool.submit(work, item) for item in items[: self._ahead])
        for item in items[self._ahead :]:
            done = waiting.popleft()
            yield done.result()
            waiting.append(self._pool.submit(work, item))
        while waiting:
            yield waiting.popleft().result()

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    def _footer(self, path: str) -> pq.FileMetaData:
        import pyarrow.parquet as pq

        with self._lock:
            if (known := self._footers.get(path)) is not None:
                self._footers.move_to_end(path)
                return known
        try:
            footer = pq.read_metadata(path, memory_map=True)
        except _UNREADABLE as error:
            raise _unreadable(path, error) from error
        with self._lock:
            self._footers[path] = footer
            if len(self._footers) > _FOOTERS_KEPT:
                self._footers.popitem(last=False)
        return footer


def grouped(files: Sequence[TableFile], rows: int) -> list[Sequence[TableFile]]:
    """Files in a row, so many at a time that there are `rows` rows in them: small files cost as much as large ones."""
    groups: list[Sequence[TableFile]] = []
    start = count = 0
    for position, file in enumerate(files):
        count += file.rows
        if count >= rows:
            groups.append(files[start : position + 1])
            start, count = position + 1, 0
    return [*groups, files[start:]] if start < len(files) else groups


def _in_one_piece(column: pa.ChunkedArray) -> pa.ChunkedArray | pa.Array:
    """The column in one chunk where it fits (texts of two gigabytes do not): taking rows from many is slow."""
    return column.combine_chunks()


def _chosen(table: ParquetFiles, since: int | None, until: int | None) -> list[str]:
    if not table.partitions:
        return list(table.paths)
    days = sorted(zip(map(_day, table.partitions), table.paths, strict=True))
    return [
        path
        for day, path in days
        if (since is None or day + _MICROSECOND_OF_DAY > since) and (until is None or day <= until)
    ]


def _day(text: str) -> int:
    """The first microsecond of a day."""
    return (datetime.fromisoformat(text).replace(tzinfo=UTC) - EPOCH).days * _MICROSECOND_OF_DAY


def _unreadable(path: str, error: Exception | str) -> DatasetGone:
    return DatasetGone(f"A file of an offline table can not be read: {path}: {error}")
