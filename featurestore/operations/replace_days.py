"""Replace whole days of a table by what a fill has computed, and keep what was pushed meanwhile.

The fill has read its sources as they were when it began. A push that was durable by then is among its rows; one that
came later is not, and has put its rows into the table at once: they stay, unless the fill has them, too.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from featurestore.errors import ConcurrentChange
from featurestore.graph.resolved import ResolvedView
from featurestore.intervals import Interval
from featurestore.operations.add_rows import paths_within, with_rows_of
from featurestore.operations.sides import OfflineSide
from featurestore.ports.engine import DataFile

_ATTEMPTS = 50


@dataclass(frozen=True, slots=True)
class Replacement:
    """`files` hold all rows of the days that `days` touches. `based_on`: the table's version before anybody looked at
    what they are made of."""

    view: ResolvedView
    days: Interval
    files: tuple[DataFile, ...]
    based_on: int


def replace_days(replacement: Replacement, own: Collection[int], offline: OfflineSide) -> int:
    """Commit the replacement; return the table's new version. `own`: versions that this very process has filled, of
    other days than these. Raises ConcurrentChange when somebody else has filled the table since: nothing was changed
    then.
    """
    view, days, based_on = replacement.view, replacement.days, replacement.based_on
    pushed: tuple[str, ...] = ()
    for _ in range(_ATTEMPTS):
        based_on, pushed = _since(view.table, (based_on, pushed), own, offline)
        files, added = replacement.files, tuple[str, ...]()
        if pushed:
            kept = paths_within(pushed, offline.tables.snapshot(view.table, version=based_on, days=days).files)
            files = with_rows_of(view, files, kept, offline)
            added = tuple(file.path for file in files if file not in replacement.files)
        try:
            return offline.tables.replace(view.table, days, files, based_on=based_on)
        except ConcurrentChange:
            offline.ledger.files.remove(view.table, added)
            if _since(view.table, (based_on, pushed), own, offline)[0] == based_on:
                raise
    raise ConcurrentChange(f"Others push to the table {view.table} all the time. Nothing was filled; run it again.")


def _since(
    table: str, known: tuple[int, tuple[str, ...]], own: Collection[int], offline: OfflineSide
) -> tuple[int, tuple[str, ...]]:
    """The last version up to which there were only our own fills and pushes, and the files that pushes brought."""
    version, pushed = known
    log = offline.ledger.log
    while log.entry(table, version + 1) is not None:
        change = None if version + 1 in own else log.change(table, version + 1)
        if change is not None and not change.is_amendment:
            break
        version += 1
        if change is not None:
            pushed += tuple(file.path for file in change.added)
    return version, pushed
