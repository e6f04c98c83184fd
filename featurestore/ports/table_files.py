"""What lies in the offline tables' folders: log entries and files, as they are and not as they should be."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from featurestore.ports.commits import TableChange


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A log entry as it lies there, whatever it says. `written_at` is told by the machine's clock that wrote it."""

    content: bytes
    written_at: datetime


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file in a table's folder. `modified_at` is told by the clock of the machine that wrote it."""

    path: str
    size: int
    modified_at: datetime


class TableLog(Protocol):
    """The log of a table's commits."""

    def versions(self, table: str) -> tuple[int, ...]:
        """The versions that the log has an entry for, in order; empty where there is no table."""
        ...

    def entry(self, table: str, version: int) -> LogEntry | None:
        """The entry as it is; None where there is none."""
        ...

    def change(self, table: str, version: int) -> TableChange:
        """What the commit changed. Raises TableDamaged when its entry is not whole."""
        ...

    def restore(self, table: str, version: int, content: str) -> None:
        """Put the entry back as it was. Durable when it returns."""
        ...

    def discard(self, table: str, version: int) -> None:
        """Remove the entry of a commit that was never finished."""
        ...


class TableFiles(Protocol):
    """The data files of tables, and what writers left beside them."""

    def tables(self) -> tuple[str, ...]:
        """Every table there is a folder for, in order."""
        ...

    def stored(self, table: str) -> tuple[StoredFile, ...]:
        """Every file in the table's folder but the log's own entries and checkpoints, in order."""
        ...

    def digest(self, table: str, path: str) -> str | None:
        """The lower-case hexadecimal sha256 of the file's bytes; None where there is no file."""
        ...

    def remove(self, table: str, paths: Collection[str]) -> None:
        """Remove files; those that are gone already are no error."""
        ...

    def drop(self, table: str) -> None:
        """Remove the table: at once for readers, then file by file."""
        ...
