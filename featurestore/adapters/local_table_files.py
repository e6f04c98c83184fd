"""The files of offline tables in a local folder, and what killed writers left beside them."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from featurestore.adapters.delta_log import LOG_FOLDER, table_folder
from featurestore.ports.table_files import StoredFile

_LOG_FILE = re.compile(r"\d{20}\.json|\d{20}\.checkpoint.*\.parquet|_last_checkpoint")
_DROPPED = ".dropped-"
_CHUNK = 1024 * 1024


class LocalTableFiles:
    """A TableFiles over the folder that holds the tables."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def tables(self) -> tuple[str, ...]:
        found = (path for path in self._folder.glob("*/*") if path.is_dir())
        return tuple(sorted(f"{path.parent.name}@{path.name}" for path in found))

    def stored(self, table: str) -> tuple[StoredFile, ...]:
        folder = table_folder(self._folder, table)
        files = (path for path in folder.rglob("*") if path.is_file() and not _is_log(path))
        return tuple(sorted(_listed(files, folder), key=lambda file: file.path))

    def digest(self, table: str, path: str) -> str | None:
        digest = hashlib.sha256()
        try:
            with (table_folder(self._folder, table) / path).open("rb") as stream:
                while chunk := stream.read(_CHUNK):
                    digest.update(chunk)
        except FileNotFoundError:
            return None
        return digest.hexdigest()

    def remove(self, table: str, paths: Collection[str]) -> None:
        for path in paths:
            (table_folder(self._folder, table) / path).unlink(missing_ok=True)

    def drop(self, table: str) -> None:
        folder = table_folder(self._folder, table)
        if not folder.is_dir():
            return
        # Renamed first: readers and writers find the whole table or none. What a crash leaves is a folder that nobody
        # needs, with a log that is whole or without one.
        dropped = folder.rename(folder.with_name(f"{folder.name.partition(_DROPPED)[0]}{_DROPPED}{uuid4().hex}"))
        if (log := dropped / LOG_FOLDER).is_dir():
            log.rename(dropped / f"{LOG_FOLDER}{_DROPPED}")
        shutil.rmtree(dropped)


def _is_log(path: Path) -> bool:
    return path.parent.name == LOG_FOLDER and _LOG_FILE.fullmatch(path.name) is not None


def _listed(paths: Iterator[Path], folder: Path) -> Iterator[StoredFile]:
    for path in paths:
        try:
            found = path.stat()
        except FileNotFoundError:  # a writer has finished with it
            continue
        yield StoredFile(
            path.relative_to(folder).as_posix(), found.st_size, datetime.fromtimestamp(found.st_mtime, UTC)
        )
