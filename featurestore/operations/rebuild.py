"""Rebuild: run a dataset's pull again from what its manifest pins, and compare the bytes."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version as library_version

import pyarrow as pa
import pyarrow.parquet as pq

from featurestore.errors import DatasetDiffers, DatasetGone, KnownatError, UnknownName
from featurestore.operations.point_in_time import Pull
from featurestore.operations.sides import OfflineSide
from featurestore.operations.training_set import Archive, ends_of, run_pull
from featurestore.ports.engine import ParquetFiles
from featurestore.ports.state import Manifest


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
    pull = Pull(spine, manifest.features, manifest.timestamp, files, ends_of(manifest.tables))
    _, result = run_pull(pull, offline, archive.objects)
    if result.sha256 != manifest.result:
        raise DatasetDiffers(
            f"Dataset {manifest.id[:12]} was rebuilt with other bytes: {result.sha256[:12]} instead of "
            f"{manifest.result[:12]}.{_changed_libraries(manifest)}"
        )
    return Rebuilt(manifest, result.sha256)


def _spine(manifest: Manifest, archive: Archive) -> pa.Table:
    try:
        return pq.read_table(archive.objects.path(manifest.spine))
    except UnknownName as error:
        if not manifest.spine_kept:
            what = f"Dataset {manifest.id[:12]} was pulled without keeping its spine"
            raise DatasetGone(f"{what}: it can not be rebuilt. Pull it again with the spine, and it can.") from error
        raise DatasetGone(f"The spine {manifest.spine[:12]} of dataset {manifest.id[:12]} is gone.") from error


def _pinned_files(manifest: Manifest, offline: OfflineSide) -> dict[str, ParquetFiles]:
    files: dict[str, ParquetFiles] = {}
    missing: list[str] = []
    for table in manifest.tables:
        try:
            files[table.view] = offline.tables.snapshot(table.table, version=table.version).files
        except KnownatError as error:
            missing.append(f"  {table.table} at version {table.version}: {error.message}")
    if missing:
        raise DatasetGone(f"Dataset {manifest.id[:12]} can not be rebuilt, this is missing:\n" + "\n".join(missing))
    return files


def _changed_libraries(manifest: Manifest) -> str:
    changed = [
        f"{name} {then} then, {now} now"
        for name, then in manifest.libraries
        if name != "python" and (now := library_version(name)) != then
    ]
    return f" Libraries have changed: {'; '.join(changed)}." if changed else ""
