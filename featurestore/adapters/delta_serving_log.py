"""Serving logs in Delta tables, one for each feature set, partitioned by the UTC day of the request.

The feature set is the table's description, in the very commit that creates it: no table is without it, and one that was
copied elsewhere still says what it holds. An append is one file a day and one commit; commits of several processes do
not conflict, as nobody removes anything. Files, log and folders are synced before an append is reported. A checkpoint
every so many commits keeps a table of many small appends as quick to open as one of few.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from time import time
from typing import Any
from uuid import uuid4

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.transaction import AddAction, RemoveAction

from featurestore.adapters.addresses import table_address
from featurestore.adapters.delta_errors import delta_reason
from featurestore.adapters.delta_log import LOG_FOLDER
from featurestore.adapters.durable import sync
from featurestore.adapters.logged_rows import query_condition
from featurestore.adapters.sealed_delta import write_sealed
from featurestore.adapters.stored_types import read, written
from featurestore.errors import StoreCorrupted, StoreUnavailable
from featurestore.graph.resolved import FeatureSet
from featurestore.ports.serving_log import REQUESTED_AT, Log, LogQuery, log_identity, log_schema

DAY = "__day"
_CONFIGURATION = {
    "delta.checkpointInterval": "20",
    # Nobody asks for an earlier version of a log, and one entry for each flush would be hundreds of thousands.
    "delta.logRetentionDuration": "interval 1 days",
    "delta.enableExpiredLogCleanup": "true",
}
_FOLDER_LETTERS = 32
"""Of the identity: 128 bits, which no two feature sets share."""


class DeltaLogShelf:
    """Tables in subfolders of a local folder, by the identities of their feature sets."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def append(self, features: FeatureSet, rows: pa.Table) -> None:
        path = self._folder / log_identity(features)[:_FOLDER_LETTERS]
        with _our_errors(path):
            self._create(path, features)
            table = DeltaTable(table_address(path))
            files: list[AddAction | RemoveAction] = [_written(path, day, part) for day, part in _by_day(rows)]
            table.create_write_transaction(files, "append", table.schema(), partition_by=[DAY])
            _sync_log(path, int(table.version()))

    def logs(self) -> tuple[Log, ...]:
        if not self._folder.is_dir():
            return ()
        paths = sorted(path for path in self._folder.iterdir() if (path / LOG_FOLDER).is_dir())
        return tuple(self._log(path) for path in paths if DeltaTable.is_deltatable(table_address(path)))

    def rows(self, log: Log, query: LogQuery, columns: tuple[str, ...] | None = None) -> Iterator[pa.Table]:
        path = self._folder / log.identity[:_FOLDER_LETTERS]
        with _our_errors(path):
            files = _files(DeltaTable(table_address(path)), None if query.since is None else query.since.date())
            if not files:
                return
            import pyarrow.dataset as ds  # it loads pandas, 50 MB, which serving never needs

            rows = ds.dataset([str(path / file) for file in files], schema=log_schema(log.features), format="parquet")
            wanted = None if columns is None else list(columns)
            for batch in rows.to_batches(columns=wanted, filter=query_condition(query)):
                yield pa.Table.from_batches([batch])

    def _log(self, path: Path) -> Log:
        with _our_errors(path):
            kept = DeltaTable(table_address(path)).metadata().description or ""
        try:
            features = msgspec.json.decode(kept, type=FeatureSet, dec_hook=read)
        except ValueError as error:
            raise StoreCorrupted(
                f"The serving log in {path} does not say what it holds ({error}): it was changed by hand, or written "
                "by another version of Knownat. Move the folder away to go on without it."
            ) from error
        return Log(log_identity(features), features)

    def _create(self, path: Path, features: FeatureSet) -> None:
        if DeltaTable.is_deltatable(table_address(path)):
            return
        path.mkdir(parents=True, exist_ok=True)
        try:
            DeltaTable.create(
                table_address(path),
                schema=_delta_schema(features),
                mode="ignore",
                partition_by=[DAY],
                description=msgspec.json.encode(features, enc_hook=written).decode(),
                configuration=_CONFIGURATION,
            )
        except CommitFailedError:
            if not DeltaTable.is_deltatable(
                table_address(path)
            ):  # otherwise another process created it in the same moment
                raise
        _sync_log(path, -1)
        sync(path)
        sync(self._folder)


def _delta_schema(features: FeatureSet) -> pa.Schema:
    """Delta knows lists of any length only; the files keep the size of an embedding."""
    fields = [
        field.with_type(pa.list_(field.type.value_field)) if pa.types.is_fixed_size_list(field.type) else field
        for field in log_schema(features)
    ]
    return pa.schema([*fields, pa.field(DAY, pa.string())])


def _by_day(rows: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    days = rows[REQUESTED_AT].cast(pa.date32())
    for day in sorted(pc.unique(days).to_pylist()):
        yield day.isoformat(), rows.filter(pc.equal(days, day))


def _written(path: Path, day: str, rows: pa.Table) -> AddAction:
    """A file in a folder for its day, not for `__day=…`: names that begin with `_` are hidden to some readers."""
    folder = path / day
    if not folder.is_dir():
        folder.mkdir(exist_ok=True)
        sync(path)
    file = write_sealed(folder, rows, uuid4().hex)
    return AddAction(
        path=f"{day}/{file.name}", size=file.stat().st_size, partition_values={DAY: day},
        modification_time=int(time() * 1000),  # as Delta's log wants it said, for people who read the log
        data_change=True, stats=json.dumps({"numRecords": rows.num_rows}),
    )  # fmt: skip


def _files(table: DeltaTable, since: date | None) -> list[str]:
    """The table's files, from the day `since` on, in the order of their days and of their commits."""
    actions: list[dict[str, Any]] = pa.table(table.get_add_actions(flatten=True)).to_pylist()
    first = "" if since is None else since.isoformat()
    kept = [row for row in actions if row[f"partition.{DAY}"] >= first]
    kept.sort(key=lambda row: (row[f"partition.{DAY}"], row["modification_time"], row["path"]))
    return [str(row["path"]) for row in kept]


def _sync_log(path: Path, after: int) -> None:
    """Sync the entries after a version: delta-rs does not say which of them was ours."""
    log = path / LOG_FOLDER
    version = after + 1
    while (entry := log / f"{version:020d}.json").is_file():
        sync(entry)
        version += 1
    sync(log)


@contextmanager
def _our_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (DeltaError, OSError, pa.ArrowException) as error:
        raise StoreUnavailable(
            f"The serving log in {path} can not be read or written: {delta_reason(error)}."
        ) from error
