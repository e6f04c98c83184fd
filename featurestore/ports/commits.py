"""What state knows of the tables' commits: the log as it was, and every data file with its digest.

Delta's log and files are not trusted to stay as they were written. Whatever a dataset pins can be compared with this.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol


@dataclass(frozen=True, slots=True)
class AddedFile:
    """A data file of a commit: its path below the table's folder. `sha256` is None where nobody took it."""

    path: str
    size: int
    rows: int
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class TableChange:
    """One commit: `content` is its log entry, whole."""

    version: int
    content: str
    added: tuple[AddedFile, ...]
    removed: tuple[str, ...]
    is_amendment: bool = False
    """Whether it was made by `OfflineStore.amend`: no day was filled by it."""


@dataclass(frozen=True, slots=True)
class TableCommit:
    """A commit that is recorded. `rows` is how many the table had at this version."""

    version: int
    rows: int
    content: str

    @property
    def digest(self) -> str:
        """The lower-case hexadecimal sha256 of the log entry."""
        return sha256(self.content.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class RecordedFile:
    """A data file of a table, and the versions that it belongs to: from `added_in` to just before `removed_in`."""

    path: str
    size: int
    rows: int
    sha256: str | None
    added_in: int
    removed_in: int | None = None

    def belongs_to(self, version: int) -> bool:
        return self.added_in <= version and (self.removed_in is None or version < self.removed_in)


class CommitState(Protocol):
    """The commits of every table that was not dropped, oldest first, without holes."""

    def last(self, table: str) -> TableCommit | None:
        """The newest commit; None for a table whose commits were never recorded."""
        ...

    def commits(self, table: str) -> tuple[TableCommit, ...]: ...

    def files(self, table: str) -> tuple[RecordedFile, ...]:
        """Every file that was not forgotten, in the order of their paths."""
        ...

    def record(self, table: str, changes: Sequence[TableChange]) -> None:
        """Remember commits, in one transaction; those that are known already are left as they are."""
        ...

    def forget(self, table: str) -> None:
        """The table is about to be dropped, or created."""
        ...


class CommitUpkeep(Protocol):
    """What only verifying and collecting garbage ask of the record."""

    def tables(self) -> tuple[str, ...]:
        """Every table that has commits, in order."""
        ...

    def take_digest(self, table: str, path: str, sha256: str) -> None:
        """Remember the digest of a file that has none."""
        ...

    def forget_files(self, table: str, paths: Collection[str]) -> None:
        """These files are gone, on purpose."""
        ...
