"""The offline store: versioned tables of Parquet files, replaced day by day."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from featurestore.intervals import Interval
from featurestore.ports.engine import DataFile, ParquetFiles

DAY_COLUMN = "event_day"
"""The partition column of every offline table: the UTC day of the event timestamp, as `YYYY-MM-DD`."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A table at one version: what it was then stays readable as long as nobody vacuums it."""

    table: str
    version: int
    files: ParquetFiles
    rows: int


class OfflineStore(Protocol):
    """Delta tables, one for each view and fingerprint."""

    def create(self, table: str, schema: pa.Schema) -> None:
        """Create the table with `schema` and the partition column, unless it is there."""
        ...

    def exists(self, table: str) -> bool:
        """Whether the table has been created."""
        ...

    def staging_folder(self, table: str) -> str:
        """Where an engine may write the files of a commit."""
        ...

    def replace(self, table: str, days: Interval, files: tuple[DataFile, ...], *, based_on: int) -> int:
        """Make `files` the whole content of the days that `days` touches, in one commit; return the new version.

        `based_on` is the table's version before anybody looked at what the files are made of. Durable when it
        returns. Raises ConcurrentChange when the table has another version by now: nothing was changed then.
        """
        ...

    def turn(self, table: str) -> AbstractContextManager[None]:
        """Wait for one's turn to amend the table, among the writers that this store can see. Whoever amends without one
        may be refused more often, and changes nothing then."""
        ...

    def amend(self, table: str, added: tuple[DataFile, ...], removed: tuple[str, ...], *, based_on: int) -> int:
        """Add files to the table and take others away, by their paths in a snapshot, in one commit; return the new
        version. The commit says that it is none of a fill: what it brings lies in a source, too.

        Durable when it returns. Raises ConcurrentChange when the table has another version than `based_on` by now:
        nothing was changed then.
        """
        ...

    def snapshot(self, table: str, *, version: int | None = None, days: Interval | None = None) -> Snapshot:
        """The table at `version` (default: the newest), with only the files of `days` if given.

        Raises DatasetGone when that version, or a file of it, can no longer be read.
        """
        ...
