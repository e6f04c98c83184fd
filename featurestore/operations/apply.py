"""Apply: carry out a plan's stages in their order, the state that readers see last."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import assert_never

from featurestore.errors import ConcurrentChange
from featurestore.graph.resolved import Graph
from featurestore.operations.backfill import DEFAULT_CHUNK_DAYS, backfill, create_table
from featurestore.operations.fill_chunks import ChunkFilled
from featurestore.operations.materialize import Materialized, MaterializeRequest, materialize
from featurestore.operations.missing import say_quiet
from featurestore.operations.sides import OfflineSide, OnlineSide
from featurestore.plan.stages import Backfill, CreateTable, Materialize, Plan, Promote
from featurestore.ports.state import CatalogState

Progress = ChunkFilled | Materialized


def apply(
    plan: Plan,
    catalog: CatalogState,
    offline: OfflineSide,
    online: OnlineSide,
    *,
    now: datetime,
    chunk_days: int = DEFAULT_CHUNK_DAYS,
) -> Iterator[Progress]:
    """Carry out the plan, reporting as it goes. Consume the iterator: work happens as it is read.

    Every stage can be repeated: after a crash, a new plan holds what is left, and applying it finishes the job. Raises
    ConcurrentChange when another process applied something since the plan was made: readers then see that.
    """
    offline.claim()
    for passed in plan.quiet:
        say_quiet(passed.view, passed.time, offline)
    for stage in plan.stages:
        match stage:
            case CreateTable(view):
                create_table(view, offline)
            case Backfill(view, missing):
                yield from backfill(view, missing, offline, now=now, chunk_days=chunk_days)
            case Materialize(view):
                yield materialize(MaterializeRequest(view, now), offline, online, now=now)
            case Promote(graph, replacing):
                _check_tables(graph, offline)
                catalog.promote(graph, now, replacing=replacing)
            case _:
                assert_never(stage)


def _check_tables(graph: Graph, offline: OfflineSide) -> None:
    """What was whole when the plan was made may have been dropped since, as nobody saw it yet."""
    if gone := [view.table for view in graph.views if not offline.tables.exists(view.table)]:
        raise ConcurrentChange(
            f"The table {gone[0]} was dropped by `knownat gc` since this plan was made. Readers see what they saw; run "
            "`knownat apply` again."
        )
