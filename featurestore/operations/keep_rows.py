"""Keep rows: days that are filled again go on holding what was known of them, and from when on it was another.

It is decided from what the table holds, so a fill that is repeated after a crash makes no second version of anything.
What a lost or damaged file of the table held is in no source any more, so it is not written over unasked.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from featurestore.compiler.kept_rows import Capture, kept_rows
from featurestore.compiler.stored_rows import EVENT_DAY
from featurestore.errors import TableDamaged
from featurestore.intervals import IntervalSet
from featurestore.operations.computed_days import ComputedDays, relation_of, stored_files, undamaged
from featurestore.operations.sides import OfflineSide
from featurestore.ports.engine import ParquetFiles, Query

_STORED, _COMPUTED = "stored_rows", "computed_rows"
_RESTORE = (
    "Its view keeps rows that no source has any more, so nothing was filled. Put the file back from a backup, or go on "
    "without what it held: knownat backfill {view} --recompute --accept-removed"
)


def with_kept_rows(
    computed: ComputedDays, offline: OfflineSide, *, at: datetime, accept_lost: bool = False
) -> ComputedDays:
    """The days as their table has to hold them once their rows were captured at this moment.

    Raises DatasetGone or TableDamaged when what it held can not be read, unless it is accepted that this is lost.
    """
    view = computed.view
    if accept_lost:
        lost = stored_files(computed, offline)
        stored = undamaged(computed, lost, lost.partitions, offline)
    else:
        stored = offline.tables.snapshot(view.table, version=computed.based_on, days=computed.interval).files
        _check(computed, stored, offline)
    filled = offline.coverage.coverage(view.table).covered & IntervalSet((computed.interval,))
    if not stored.paths and not filled:
        return computed
    capture = Capture(computed.interval, at, filled)
    query = kept_rows(view, capture, stored=_STORED, computed=_COMPUTED)
    relations = {_STORED: stored, _COMPUTED: relation_of(computed, computed.files, stored, offline)}
    folder = offline.tables.staging_folder(view.table)
    written = offline.engine.write(Query(query, relations), folder, partition_by=EVENT_DAY)
    offline.ledger.files.remove(view.table, [file.path for file in computed.files])
    return replace(computed, files=written)


def _check(computed: ComputedDays, stored: ParquetFiles, offline: OfflineSide) -> None:
    """Written over, damage would have a digest of its own, and nobody would find it any more."""
    whole = undamaged(computed, stored, stored.partitions, offline)
    if damaged := [path for path in stored.paths if path not in whole.paths]:
        view = computed.view
        raise TableDamaged(view.table, "files as they were written", damaged[0], _RESTORE.format(view=view.name))
