"""Rows of streams in the Delta tables of frame sources, beside those that are pushed.

Each commit says in its own entry of the log which entries it has the rows of, and which of the stream have been taken
by it or before. The number of the stream's application transaction is the version of the newest such commit, so that it
is found at once. What was taken is read from the table object that commits: a stale one fails, and nothing is tried
twice, so that a commit makes the version after the one that was looked at, or none.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pyarrow as pa

from featurestore.adapters.delta_frames import DeltaFrames, FrameCommit, check_columns, committed, written
from featurestore.errors import SourceError, StoreUnavailable
from featurestore.graph.arrow_types import arrow_schema
from featurestore.graph.resolved import Column
from featurestore.ports.entries import EntryId, EntrySpans, Span
from featurestore.ports.frames import Batch, Taken
from featurestore.spec.source import FrameSource

if TYPE_CHECKING:
    from deltalake import DeltaTable

_TAKEN = "knownat.taken"
"""Where a commit says what was taken."""

_LATELY = 1_000
"""How many batches are looked through for entries that come again. They were in hand when someone crashed."""


@dataclass(frozen=True, slots=True)
class _Told:
    """What a commit says. `before` is the version of the stream's commit before it."""

    entries: EntrySpans
    batch: EntrySpans
    before: int | None
    file: str


class DeltaStreamedFrames(DeltaFrames):
    """DeltaFrames that take the entries of streams, too."""

    def taken(self, source: FrameSource, stream: str) -> Taken:
        table = self._found(source)
        if table is None:
            with _our_errors(self._path(source)):
                table = self._created(source)
        check_columns(source, table)
        newest = _newest(table, stream)
        entries = EntrySpans() if newest is None else self._told(source, newest).entries
        return Taken(stream, entries, int(table.version()))

    def take(self, source: FrameSource, batch: Batch, taken: Taken) -> int | None:
        from deltalake.transaction import Transaction

        table = self._found(source)
        if table is None or table.version() != taken.version:
            return None
        told = {
            "stream": taken.stream,
            "entries": _listed(taken.entries),
            "batch": _listed(batch.entries),
            "before": _newest(table, taken.stream),
        }
        transaction = Transaction(_application(taken.stream), taken.version + 1)
        commit = FrameCommit(source, batch.rows, transaction, {_TAKEN: json.dumps(told)})
        with _our_errors(self._path(source)):
            file = written(self._path(source), batch.rows, "stream-")
            version = committed(table, file, commit)
            if version is None:
                file.unlink()
        return version

    def kept_of(self, source: FrameSource, stream: str, entries: Iterable[EntryId]) -> pa.Table:
        table = self._found(source)
        wanted, files = set(entries), []
        version = None if table is None else _newest(table, stream)
        for _ in range(_LATELY):
            if version is None or not wanted:
                break
            told = self._told(source, version)
            if found := {entry for entry in wanted if entry in told.batch}:
                wanted -= found
                files.append(self._path(source) / told.file)
            version = told.before
        return _read(source, files)

    def _told(self, source: FrameSource, version: int) -> _Told:
        entry = self._path(source) / "_delta_log" / f"{version:020d}.json"
        try:
            actions = [json.loads(line) for line in entry.read_text().splitlines()]
            [commit] = [action["commitInfo"] for action in actions if "commitInfo" in action]
            [added] = [action["add"] for action in actions if "add" in action]
            told = json.loads(commit[_TAKEN])
            return _Told(_spans(told["entries"]), _spans(told["batch"]), told["before"], unquote(added["path"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SourceError(
                f"source '{source.name}': the log entry of version {version} of its rows, which says what was taken of "
                f"a stream, can not be read: {error}. Nothing was appended, because it might be there already."
            ) from error


def _newest(table: DeltaTable, stream: str) -> int | None:
    version = table.transaction_version(_application(stream))
    return None if version is None else int(version)


def _application(stream: str) -> str:
    return f"stream:{stream}"


def _listed(entries: EntrySpans) -> list[list[str]]:
    return [[str(span.first), str(span.last)] for span in entries.spans]


def _spans(listed: list[Any]) -> EntrySpans:
    return EntrySpans.of(Span(EntryId.parse(first), EntryId.parse(last)) for first, last in listed)


def _read(source: FrameSource, files: Sequence[Path]) -> pa.Table:
    import pyarrow.parquet as pq  # 4 MB, which a process that only looks features up never needs

    schema = arrow_schema(tuple(Column(name, dtype) for name, dtype in source.columns))
    try:
        tables = [pq.read_table(file, partitioning=None).cast(schema) for file in files]
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"source '{source.name}': rows of a stream can not be read: {error}") from error
    return pa.concat_tables([schema.empty_table(), *tables])


@contextmanager
def _our_errors(folder: Path) -> Iterator[None]:
    """Of a full disk and the like. Whether the rows are durable then is looked up before they are appended again."""
    try:
        yield
    except OSError as error:
        raise StoreUnavailable(f"The rows in {folder} can not be written: {error}. Does its disk have room?") from error
