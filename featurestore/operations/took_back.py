"""Whether rows that are online have been taken back: copying what has become true does not tell a store of those."""

from __future__ import annotations

from datetime import datetime

from featurestore.compiler.hops import MICROSECOND
from featurestore.compiler.standing_rows import AFTER, UNTIL, taken_back
from featurestore.graph.resolved import ResolvedView
from featurestore.operations.open_table import open_table
from featurestore.operations.sides import OfflineSide
from featurestore.ports.engine import Query
from featurestore.ports.state import Coverage, Materialization


def took_back(
    view: ResolvedView, until: datetime, known: tuple[Materialization, Coverage], offline: OfflineSide
) -> bool:
    """Whether, of a view that keeps removed rows, some key's answer at `until` is an older row than before, or none:
    because a tombstone has become visible since the last materialization, or has been captured since."""
    if not view.keeps_removed:
        return False
    last, coverage = known
    captured = [fill.filled_at - MICROSECOND for fill in coverage.fills if fill.version > last.version]
    moments = {AFTER: min([last.filled_to, *captured]).isoformat(), UNTIL: until.isoformat()}
    rows = {view.table: open_table(view.table, offline).files}
    with offline.engine.stream(Query(taken_back(view, rows=view.table), rows, moments)) as found:
        return bool(found.read_all().num_rows)
