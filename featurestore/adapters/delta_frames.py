"""Pushed rows in Delta tables of the project, one for each frame source, read as any other Delta table is.

A push is one file and one commit. The key is an application transaction of that commit, which delta-rs does not look
at by itself: it is looked up in the very table object that commits, so that of two pushes of one key the later one
fails, looks again, and finds the rows there. Files and log are synced before a push is reported. A file's name begins
with the digest of its key, so that what was pushed under a key can be read again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from time import time
from typing import TYPE_CHECKING
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc

from featurestore.adapters.addresses import table_address
from featurestore.adapters.delta_source import DatedTable, table_snapshot
from featurestore.adapters.durable import sync, sync_entry
from featurestore.adapters.event_times import as_moment
from featurestore.adapters.sealed_delta import empty_entry, link, write_sealed
from featurestore.adapters.turns import turn
from featurestore.errors import ConcurrentChange, InvalidRequest, SourceError
from featurestore.graph.arrow_types import arrow_type
from featurestore.intervals import Interval
from featurestore.ports.frames import Pushed
from featurestore.ports.source_reader import SourceSnapshot
from featurestore.spec.source import FrameSource

if TYPE_CHECKING:
    from deltalake import DeltaTable
    from deltalake.transaction import Transaction

_ATTEMPTS = 100
_CONFIGURATION = {
    "delta.logRetentionDuration": "interval 36500 days",
    "delta.enableExpiredLogCleanup": "false",
    # delta-rs then writes what the log says so far into one file: opening reads that and the few entries after it.
    "delta.checkpointInterval": "20",
}


@dataclass(frozen=True, slots=True)
class FrameCommit:
    """A file of rows, and what is told beside it. The transaction's application is what may not be done twice."""

    source: FrameSource
    rows: pa.Table
    transaction: Transaction
    metadata: Mapping[str, str] = field(default_factory=dict)


class DeltaFrames:
    """Tables in subfolders of a local folder, by the names of their sources."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, source: FrameSource, *, within: Interval | None = None) -> SourceSnapshot:
        table = self._found(source)
        if table is None:
            schema = _schema(source)
            return SourceSnapshot(source.name, schema.empty_table(), schema, "empty", 0, None, None)
        return table_snapshot(DatedTable(source.name, table, source.event_timestamp, self._path(source)), within)

    def append(self, source: FrameSource, rows: pa.Table, key: str) -> Pushed:
        with turn(self._folder, source.name):
            return self._append(source, rows, key)

    def _append(self, source: FrameSource, rows: pa.Table, key: str) -> Pushed:
        from deltalake.transaction import Transaction

        file: Path | None = None
        for _ in range(_ATTEMPTS):
            table = self._found(source) or self._created(source)
            check_columns(source, table)
            pushed = table.transaction_version(_application(key))
            if pushed is not None:
                if file is not None:
                    file.unlink()
                return _repeated(source, key, rows, (int(pushed), int(table.version())))
            file = file or written(self._path(source), rows, _file_prefix(key))
            # The number of rows is kept as the number of the transaction.
            commit = FrameCommit(source, rows, Transaction(_application(key), rows.num_rows))
            if (version := committed(table, file, commit)) is not None:
                return Pushed(source.name, key, rows.num_rows, str(version), is_new=True)
        raise ConcurrentChange(f"Others push to '{source.name}' all the time. Nothing was written; push it again.")

    def kept(self, source: FrameSource, key: str) -> pa.Table | None:
        import pyarrow.parquet as pq  # 4 MB, which a process that only looks features up never needs

        table = self._found(source)
        if table is None or table.transaction_version(_application(key)) is None:
            return None
        paths = pa.table(table.get_add_actions())["path"].to_pylist()
        files = [path for path in paths if path.startswith(_file_prefix(key))]
        if not files:
            raise SourceError(
                f"source '{source.name}': '{key}' was pushed before rows were kept by their keys. They are durable: "
                "run `knownat run --due` to see them in its views."
            )
        try:
            return pq.read_table(self._path(source) / files[0], partitioning=None).cast(_schema(source))
        except (pa.ArrowException, OSError) as error:
            raise SourceError(f"source '{source.name}': what was pushed as '{key}' can not be read: {error}") from error

    def _created(self, source: FrameSource) -> DeltaTable:
        from deltalake import DeltaTable
        from deltalake.exceptions import CommitFailedError

        path = self._path(source)
        path.mkdir(parents=True, exist_ok=True)
        try:
            DeltaTable.create(table_address(path), schema=_schema(source), mode="ignore", configuration=_CONFIGURATION)
        except CommitFailedError:
            if self._found(source) is None:  # otherwise another process created it in the same moment
                raise
        sync_entry(path / "_delta_log", 0)
        sync(self._folder)
        return DeltaTable(table_address(path))

    def _found(self, source: FrameSource) -> DeltaTable | None:
        """The table as it is now; None before anything was pushed."""
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError, TableNotFoundError

        try:
            table = DeltaTable(table_address(self._path(source)))
        except TableNotFoundError:
            return None
        except DeltaError as error:
            raise SourceError(f"source '{source.name}': its pushed rows can not be read: {error}") from error
        if (lost := empty_entry(self._path(source), int(table.version()))) is not None:
            raise SourceError(
                f"source '{source.name}': the log entry of version {lost} of its pushed rows is empty: rows are gone. "
                "Nothing was read or appended. Put the entry back from a backup; `knownat verify` says more."
            )
        return table

    def _path(self, source: FrameSource) -> Path:
        return self._folder / source.name


def _schema(source: FrameSource) -> pa.Schema:
    return pa.schema([(name, arrow_type(dtype)) for name, dtype in source.columns])


def _application(key: str) -> str:
    return f"push:{key}"


def check_columns(source: FrameSource, table: DeltaTable) -> None:
    stored = pa.schema(table.schema().to_arrow())
    found = [(field.name, field.type) for field in stored]
    if sorted(map(str, found)) != sorted(map(str, [(field.name, field.type) for field in _schema(source)])):
        listed = ", ".join(f"{name} ({kind})" for name, kind in found)
        raise InvalidRequest(
            f"Source '{source.name}' has rows with other columns than it declares now: "
            f"{listed}. Declare those, or give the new columns to a source of another name."
        )


def _repeated(source: FrameSource, key: str, rows: pa.Table, found: tuple[int, int]) -> Pushed:
    before, version = found
    if before != rows.num_rows:
        raise InvalidRequest(
            f"The key '{key}' was pushed to '{source.name}' before, with {before:,} rows, "
            f"and has {rows.num_rows:,} now. A key names one piece of data: "
            "push corrections under another key, with a later known timestamp."
        )
    return Pushed(source.name, key, before, str(version), is_new=False)


def _file_prefix(key: str) -> str:
    return f"{sha256(key.encode()).hexdigest()[:32]}-"


def written(folder: Path, rows: pa.Table, prefix: str) -> Path:
    """A new file of the rows, synced."""
    return write_sealed(folder, rows, f"{prefix}{uuid4().hex}")


def committed(table: DeltaTable, file: Path, commit: FrameCommit) -> int | None:
    """The version of the commit, which is synced. None when another came in between: what that one did has to be looked
    up anew."""
    from deltalake.exceptions import CommitFailedError
    from deltalake.transaction import AddAction, CommitProperties

    now = int(time() * 1000)  # as Delta's log wants it said, for people who read the log
    action = AddAction(
        path=file.name, size=file.stat().st_size, partition_values={}, modification_time=now, data_change=True,
        stats=json.dumps(_statistics(commit.source, commit.rows)),
    )  # fmt: skip
    told = {**commit.metadata, **link(file.parent, table)}
    properties = CommitProperties(custom_metadata=told, app_transactions=[commit.transaction], max_commit_retries=0)
    try:
        table.create_write_transaction([action], "append", table.schema(), commit_properties=properties)
    except CommitFailedError:
        return None
    version = int(table.version()) + 1  # it was not tried again, so it followed the one that was opened
    sync_entry(file.parent / "_delta_log", version)
    return version


def _statistics(source: FrameSource, rows: pa.Table) -> dict[str, object]:
    name = source.event_timestamp
    span = pc.min_max(rows[name]).as_py()
    counts: dict[str, object] = {"numRecords": rows.num_rows, "nullCount": {name: rows[name].null_count}}
    if span["min"] is None:
        return counts
    first, last = (_told(span[edge], rows.schema.field(name).type) for edge in ("min", "max"))
    return {**counts, "minValues": {name: first}, "maxValues": {name: last}}


def _told(value: object, kind: pa.DataType) -> str:
    if pa.types.is_date(kind):
        return str(value)
    return as_moment(value).isoformat(timespec="microseconds").replace("+00:00", "Z")  # type: ignore[arg-type]
