"""Rebuild: run a dataset's pull again from what its manifest pins, and compare the bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version as library_version

import pyarrow as pa

from featurestore.errors import DatasetDiffers, DatasetGone, KnownatError, StoreCorrupted, UnknownName
from featurestore.operations.as_served import pinned_history
from featurestore.operations.open_table import content_at, damaged_files, open_version
from featurestore.operations.point_in_time import Pull
from featurestore.operations.sides import OfflineSide
from featurestore.operations.training_set import Archive, ends_of, run_pull
from featurestore.ports.engine import ParquetFiles
from featurestore.ports.joins import ServedView
from featurestore.ports.offline_store import Snapshot
from featurestore.ports.state import Manifest, PinnedTable


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """A dataset was computed again and is, to the byte, what it was."""

    manifest: Manifest
    result: str
    """sha256 of the result's Parquet bytes, now and then."""


def rebuild(dataset: str, offline: OfflineSide, archive: Archive) -> Rebuilt:
    """Compute the dataset again from its spine and its pinned table versions.

    Raises DatasetGone, naming everything that is missing, or DatasetDiffers when the bytes are not the same.
    """
    manifest = archive.datasets.get(dataset)
    spine = _spine(manifest, archive)
    files = _pinned_files(manifest, offline)
    served = _served(manifest, archive)
    pull = Pull(spine, manifest.features, manifest.timestamp, files, ends_of(manifest.tables), served=served)
    try:
        _, result = run_pull(pull, offline, archive.objects)
    except KnownatError as error:  # whichever way reading a damaged file failed
        _check_files(manifest, offline, error)
        raise
    if result.sha256 != manifest.result:
        _check_files(manifest, offline)
        raise DatasetDiffers(
            f"Dataset {manifest.id[:12]} was rebuilt with other bytes: {result.sha256[:12]} instead of "
            f"{manifest.result[:12]}.{_changed_libraries(manifest)}"
        )
    return Rebuilt(manifest, result.sha256)


def _spine(manifest: Manifest, archive: Archive) -> pa.Table:
    import pyarrow.parquet as pq  # 4 MB, which a process that only looks features up never needs

    try:
        return pq.read_table(archive.objects.path(manifest.spine))
    except UnknownName as error:
        if not manifest.spine_kept:
            what = f"Dataset {manifest.id[:12]} was pulled without keeping its spine"
            raise DatasetGone(f"{what}: it can not be rebuilt. Pull it again with the spine, and it can.") from error
        raise DatasetGone(f"The spine {manifest.spine[:12]} of dataset {manifest.id[:12]} is gone.") from error
    except StoreCorrupted as error:
        raise DatasetGone(
            f"The spine {manifest.spine[:12]} of dataset {manifest.id[:12]} has other bytes than were kept."
        ) from error


def _served(manifest: Manifest, archive: Archive) -> Mapping[str, ServedView] | None:
    """The history that it was joined by, as it was then: later runs change nothing."""
    if manifest.served is None:
        return None
    try:
        return pinned_history(manifest.served, archive.objects).views
    except (UnknownName, StoreCorrupted) as error:
        raise DatasetGone(
            f"The publish history {manifest.served[:12]} of dataset {manifest.id[:12]} is gone, or has other bytes "
            "than were kept."
        ) from error


def _pinned_files(manifest: Manifest, offline: OfflineSide) -> dict[str, ParquetFiles]:
    files: dict[str, ParquetFiles] = {}
    missing: list[str] = []
    for table in manifest.tables:
        try:
            files[table.view] = _pinned_snapshot(table, offline).files
        except KnownatError as error:
            missing += _missing(table, offline, error)
    if missing:
        raise _gone(manifest, missing)
    return files


def _pinned_snapshot(table: PinnedTable, offline: OfflineSide) -> Snapshot:
    content = content_at(table.table, table.version, offline.ledger)
    snapshot = open_version(table.table, table.version, offline)
    if table.commit is not None and sha256(content).hexdigest() != table.commit:
        raise DatasetGone("the table was given up and filled anew since; what it was is gone")
    return snapshot


def _missing(table: PinnedTable, offline: OfflineSide, error: KnownatError) -> list[str]:
    """Every file that is missing, or what else is wrong with that version."""
    found = [f"{path}: {what}" for path, what in damaged_files(table.table, table.version, offline.ledger)]
    return [f"  {table.table} at version {table.version}: {told}" for told in found or [error.message]]


def _check_files(manifest: Manifest, offline: OfflineSide, cause: Exception | None = None) -> None:
    """Raises DatasetGone naming every file that is not what it was, where there is one."""
    damaged = [
        f"  {table.table} at version {table.version}: {path}: {what}"
        for table in manifest.tables
        for path, what in damaged_files(table.table, table.version, offline.ledger)
    ]
    if damaged:
        raise _gone(manifest, damaged) from cause


def _gone(manifest: Manifest, missing: list[str]) -> DatasetGone:
    return DatasetGone(f"Dataset {manifest.id[:12]} can not be rebuilt, this is missing:\n" + "\n".join(missing))


def _changed_libraries(manifest: Manifest) -> str:
    changed = [
        f"{name} {then} then, {now} now"
        for name, then in manifest.libraries
        if name != "python" and (now := library_version(name)) != then
    ]
    return f" Libraries have changed: {'; '.join(changed)}." if changed else ""
