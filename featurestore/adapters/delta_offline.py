"""The offline store on Delta tables.

An engine has written the files; only the commit belongs here. Delta-rs does not sync what it writes and does not tell
application transactions apart, so files, log and folders are synced here, and a replacement is committed through the
very table object whose files it replaces: a writer that came in between makes the commit fail, and nothing changes.

Delta-rs is loaded by what uses it: it takes 16 MB, and a process that only looks features up does without.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from featurestore.adapters.addresses import table_address
from featurestore.adapters.delta_errors import delta_reason
from featurestore.adapters.delta_log import AMENDMENT, LOG_FOLDER
from featurestore.adapters.durable import sync, sync_entry
from featurestore.adapters.turns import turn
from featurestore.errors import ConcurrentChange, DatasetGone, NotApplied, StoreUnavailable
from featurestore.intervals import DAY, Interval, floor_to
from featurestore.ports.engine import DataFile, ParquetFiles
from featurestore.ports.offline_store import DAY_COLUMN, Snapshot

if TYPE_CHECKING:
    from deltalake import DeltaTable
    from deltalake.transaction import AddAction, CommitProperties, RemoveAction

_CONFIGURATION = {
    # Old versions are what datasets are rebuilt from: only Knownat's own maintenance may remove them.
    "delta.logRetentionDuration": "interval 36500 days",
    "delta.deletedFileRetentionDuration": "interval 36500 days",
    "delta.enableExpiredLogCleanup": "false",
    # Pushes make many commits: delta-rs writes what the log says so far into one file, which is opened instead.
    "delta.checkpointInterval": "20",
}

_SIZE = "knownat.size"
"""The property of a column of lists that says how many items each has."""


@dataclass(frozen=True, slots=True)
class _Change:
    """What a commit does: `removed` are live files as the log tells them."""

    added: tuple[DataFile, ...]
    removed: list[dict[str, Any]]


class DeltaOfflineStore:
    """Delta tables in subfolders of a local folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def create(self, table: str, schema: pa.Schema) -> None:
        with _our_errors(self._path(table)):
            self._create(table, schema)

    def _create(self, table: str, schema: pa.Schema) -> None:
        from deltalake import DeltaTable
        from deltalake.exceptions import CommitFailedError

        path = self._path(table)
        if self.exists(table):
            return
        path.mkdir(parents=True, exist_ok=True)
        try:
            DeltaTable.create(
                table_address(path),
                schema=pa.schema([_with_size(field) for field in schema]),
                mode="ignore",
                partition_by=[DAY_COLUMN],
                configuration=_CONFIGURATION,
            )
        except CommitFailedError:
            if not self.exists(table):  # otherwise another process created it in the same moment
                raise
        sync_entry(path / LOG_FOLDER, 0)
        sync(self._folder)

    def exists(self, table: str) -> bool:
        from deltalake import DeltaTable

        return bool(DeltaTable.is_deltatable(table_address(self._path(table))))

    def staging_folder(self, table: str) -> str:
        return str(self._path(table))

    def replace(self, table: str, days: Interval, files: tuple[DataFile, ...], *, based_on: int) -> int:
        with _our_errors(self._path(table)):
            return self._replace(table, days, files, based_on)

    def _replace(self, table: str, days: Interval, files: tuple[DataFile, ...], based_on: int) -> int:
        delta = self._open(table, based_on)
        replaced = [row for row in _added(delta) if _inside(row["partition"], days)]
        return self._committed(table, delta, _Change(files, replaced), _one_writer(delta))

    def turn(self, table: str) -> AbstractContextManager[None]:
        return turn(self._folder, table)

    def amend(self, table: str, added: tuple[DataFile, ...], removed: tuple[str, ...], *, based_on: int) -> int:
        with _our_errors(self._path(table)):
            delta = self._open(table, based_on)
            gone = {str(Path(path).relative_to(self._path(table))) for path in removed}
            leaving = [row for row in _added(delta) if str(row["path"]) in gone]
            if len(leaving) < len(gone):
                raise _changed_meanwhile(table)
            return self._committed(table, delta, _Change(added, leaving), _one_writer(delta, AMENDMENT))

    def _committed(self, table: str, delta: DeltaTable, change: _Change, properties: CommitProperties) -> int:
        from deltalake.exceptions import CommitFailedError

        path = self._path(table)
        for file in change.added:
            sync(path / file.path)
        for folder in {(path / file.path).parent for file in change.added}:
            sync(folder)
        sync(path)
        if not change.added and not change.removed:
            return int(delta.version())
        try:
            delta.create_write_transaction(
                [*map(_add, change.added), *map(_remove, change.removed)], mode="append", schema=delta.schema(),
                partition_by=[DAY_COLUMN], commit_properties=properties,
            )  # fmt: skip
        except CommitFailedError as error:
            raise _changed_meanwhile(table) from error
        committed = int(delta.version()) + 1  # opened at a version it stays at it; any other writer is a conflict
        sync_entry(path / LOG_FOLDER, committed)
        return committed

    def snapshot(self, table: str, *, version: int | None = None, days: Interval | None = None) -> Snapshot:
        delta = self._open(table, version)
        rows = [row for row in _added(delta) if days is None or _inside(row["partition"], days)]
        placed = sorted((str(self._path(table) / str(row["path"])), _text(row["partition"])) for row in rows)
        paths = tuple(path for path, _ in placed)
        if missing := [path for path in paths if not Path(path).exists()]:
            raise DatasetGone(
                f"{len(missing)} files of {table} at version {delta.version()} are missing, the first is {missing[0]}"
            )
        schema = pa.schema(delta.schema().to_arrow())
        stored = pa.schema([_sized(field) for field in schema if field.name != DAY_COLUMN])
        files = ParquetFiles(paths, stored, tuple(day for _, day in placed))
        return Snapshot(table, int(delta.version()), files, sum(row["num_records"] for row in rows))

    def _path(self, table: str) -> Path:
        view, _, fingerprint = table.partition("@")
        return self._folder / view / fingerprint

    def _open(self, table: str, version: int | None = None) -> DeltaTable:
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError, TableNotFoundError

        try:
            return DeltaTable(table_address(self._path(table)), version=version)
        except TableNotFoundError as error:
            raise NotApplied(f"The table {table} does not exist. Run `knownat apply`.") from error
        except DeltaError as error:
            raise DatasetGone(f"Version {version} of the table {table} can not be opened: {error}") from error


def _with_size(field: pa.Field) -> pa.Field:
    """Delta knows lists only: that those of a column all have one size is kept beside the column."""
    if not pa.types.is_fixed_size_list(field.type):
        return field
    return field.with_metadata({_SIZE: str(field.type.list_size)})


def _sized(field: pa.Field) -> pa.Field:
    size = (field.metadata or {}).get(_SIZE.encode())
    return field if size is None else pa.field(field.name, pa.list_(field.type.value_field, int(size)))


def _added(delta: DeltaTable) -> list[dict[str, Any]]:
    """The live files of the table: path, size_bytes, num_records, and the partition's day."""
    actions = pa.table(delta.get_add_actions(flatten=True))
    rows: list[dict[str, Any]] = actions.to_pylist()
    for row in rows:
        row["partition"] = row[f"partition.{DAY_COLUMN}"]
    return rows


def _inside(day: object, days: Interval) -> bool:
    start = date.fromisoformat(_text(day))
    first, last = floor_to(days.start, DAY).date(), (days.end - timedelta(microseconds=1)).date()
    return first <= start <= last


def _text(day: object) -> str:
    return day.isoformat() if isinstance(day, date) else str(day)


def _add(file: DataFile) -> AddAction:
    from deltalake.transaction import AddAction

    return AddAction(
        path=file.path,
        size=file.size,
        partition_values={DAY_COLUMN: file.partition},
        modification_time=_now_milliseconds(),
        data_change=True,
        stats=json.dumps({"numRecords": file.rows}),
    )


def _remove(row: dict[str, Any]) -> RemoveAction:
    from deltalake.transaction import RemoveAction

    return RemoveAction(
        path=str(row["path"]), data_change=True, deletion_timestamp=_now_milliseconds(),
        partition_values={DAY_COLUMN: _text(row["partition"])}, size=row["size_bytes"],
    )  # fmt: skip


def _one_writer(delta: DeltaTable, *more: str) -> CommitProperties:
    """Makes two commits from one snapshot conflict even if neither removes a file: both would add the same rows."""
    from deltalake.transaction import CommitProperties, Transaction

    version = int(delta.version()) + 1
    return CommitProperties(app_transactions=[Transaction(application, version) for application in ("knownat", *more)])


def _changed_meanwhile(table: str) -> ConcurrentChange:
    return ConcurrentChange(
        f"Another process changed the table {table} at the same time. Nothing was written; run it again."
    )


def _now_milliseconds() -> int:
    """When a file was written, as Delta's log wants it said: for people who read the log, never for our semantics."""
    return int(time() * 1000)


@contextmanager
def _our_errors(path: Path) -> Iterator[None]:
    """Delta-rs, too, tells of a full disk with an OSError."""
    try:
        yield
    except OSError as error:
        raise StoreUnavailable(
            f"The table in {path} can not be written: {delta_reason(error)}. What it held is not lost. "
            "See whether its disk has room and may be written to, then run the same again."
        ) from error
