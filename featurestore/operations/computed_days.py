"""Computed days: what a fill has made of some days, beside what their table held of them before."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import compress
from pathlib import Path

from featurestore.errors import DatasetGone
from featurestore.graph.resolved import ResolvedView
from featurestore.intervals import Interval, split_days
from featurestore.operations.open_table import files_at
from featurestore.operations.sides import OfflineSide
from featurestore.ports.engine import DataFile, ParquetFiles
from featurestore.ports.state import DayRows, FilledPart, HeldDay

_NO_DAY = Interval(datetime(1, 1, 1, tzinfo=UTC), datetime(1, 1, 1, 1, tzinfo=UTC))
"""Nothing is filled of the first hours that there are, so a table has no file of them."""


@dataclass(frozen=True, slots=True)
class ComputedDays:
    """What a fill has computed for some days, and from what: `files` hold all their rows. `day_rows`: the sources' rows
    on each of them, where those are counted. `based_on`: the table's version before anybody looked at the sources."""

    view: ResolvedView
    interval: Interval
    based_on: int
    files: tuple[DataFile, ...]
    parts: tuple[FilledPart, ...]
    day_rows: tuple[DayRows, ...] | None = None
    held: tuple[HeldDay, ...] = ()


def stored_files(computed: ComputedDays, offline: OfflineSide) -> ParquetFiles:
    """What the table holds for the days, without those of which files are missing: filling these again mends them."""
    view, based_on = computed.view, computed.based_on
    try:
        return offline.tables.snapshot(view.table, version=based_on, days=computed.interval).files
    except DatasetGone:
        found = offline.tables.snapshot(view.table, version=based_on, days=_NO_DAY).files
    for day in split_days(computed.interval, 1):
        with suppress(DatasetGone):
            more = offline.tables.snapshot(view.table, version=based_on, days=day).files
            found = replace(found, paths=found.paths + more.paths, partitions=found.partitions + more.partitions)
    return found


def relation_of(
    computed: ComputedDays, files: Sequence[DataFile], stored: ParquetFiles, offline: OfflineSide
) -> ParquetFiles:
    """Files that were computed, as one relation with the columns of the stored ones."""
    folder = Path(offline.tables.staging_folder(computed.view.table))
    return ParquetFiles(
        tuple(str(folder / file.path) for file in files), stored.schema, tuple(file.partition for file in files)
    )


def undamaged(
    computed: ComputedDays, stored: ParquetFiles, days: Collection[str], offline: OfflineSide
) -> ParquetFiles:
    """The stored files, without those of the days that have other bytes than were written."""
    table, ledger = computed.view.table, offline.ledger
    recorded = {_name(file.path): file for file in files_at(table, computed.based_on, ledger)}

    def is_whole(path: str, day: str) -> bool:
        file = recorded.get(_name(path)) if day in days else None
        return file is None or file.sha256 in (None, ledger.files.digest(table, file.path))

    return chosen_files(stored, list(map(is_whole, stored.paths, stored.partitions)))


def chosen_files(files: ParquetFiles, chosen: Sequence[bool]) -> ParquetFiles:
    paths, partitions = (tuple(compress(values, chosen)) for values in (files.paths, files.partitions))
    return replace(files, paths=paths, partitions=partitions)


def _name(path: str) -> tuple[str, str]:
    """A file's folder and name: the files of one chunk have one name in the folders of different days."""
    return Path(path).parent.name, Path(path).name
