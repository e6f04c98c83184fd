"""Rows that are kept and that state has no record of, looked at for damage: pushed rows, the serving log."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class LogFault:
    """A log entry that is not what was written."""

    table: str
    version: int
    expected: str
    found: str


@dataclass(frozen=True, slots=True)
class FileFault:
    """A file that is not what was written. `version`: the commit that brought it."""

    table: str
    version: int
    path: str
    expected: str
    found: str


@dataclass(frozen=True, slots=True)
class FileLooked:
    """A file that is what was written; `read_bytes` of it were read."""

    read_bytes: int


class KeptRows(Protocol):
    @property
    def name(self) -> str:
        """What messages call them."""
        ...

    def tables(self) -> tuple[str, ...]: ...

    def look(self, table: str, *, deep: bool) -> Iterator[LogFault | FileFault | FileLooked]:
        """Everything of a table, files that are whole, too. Sizes are compared; with `deep`, every byte is."""
        ...
