"""Progress records of long work, as the steps that a progress bar shows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, TypeVar, assert_never

from sdk.cli.moments import show_moment
from sdk.cli.progress import Step

if TYPE_CHECKING:
    from featurestore.operations.apply import Progress
    from featurestore.operations.run_due import Due
    from featurestore.plan.stages import Plan

T = TypeVar("T")


def shares_of(plan: Plan) -> dict[str, float]:
    """For each view, its share of the plan's work (0 to 1), by the source rows that there are to read."""
    from featurestore.plan.stages import Backfill

    # A view costs something even when its sources hold few rows; so does one that is materialized.
    rows = {stage.view.name: stage.estimated_rows + 1000 for stage in plan.stages if isinstance(stage, Backfill)}
    whole = sum(rows.values())
    return {view: count / whole for view, count in rows.items()}


def steps(records: Iterable[Progress], shares: Mapping[str, float]) -> Iterator[Step]:
    """Each record as a step. Nothing happens until the steps are read."""
    from featurestore.operations.fill_chunks import ChunkFilled
    from featurestore.operations.materialize import Materialized

    for record in records:
        match record:
            case ChunkFilled():
                part = f"{record.interval} ({record.chunk} of {record.chunks})"
                yield Step(record.view, part, shares.get(record.view, 0.0) / record.chunks, record.rows)
            case Materialized():
                yield Step(
                    record.view,
                    f"online to {show_moment(record.filled_to)}",
                    shares.get(record.view, 0.0),
                    record.written,
                )
            case _:
                assert_never(record)


def due_steps(records: Iterable[Due], shares: Mapping[str, float]) -> Iterator[Step]:
    """The records of work that was done, as steps."""
    from featurestore.operations.fill_chunks import ChunkFilled
    from featurestore.operations.materialize import Materialized

    yield from steps((record for record in records if isinstance(record, ChunkFilled | Materialized)), shares)


def sorted_due(records: Iterable[Due]) -> dict[str, list[Due]]:
    """The records by what they tell: `filled`, `materialized`, `late`, `held`, `busy`, `refused`."""
    from featurestore.operations.fill_chunks import ChunkFilled
    from featurestore.operations.materialize import Materialized
    from featurestore.operations.run_due import Busy, Refused
    from featurestore.plan.stages import HeldRows, LateRows

    kinds = {
        "filled": ChunkFilled, "materialized": Materialized, "late": LateRows, "held": HeldRows, "busy": Busy,
        "refused": Refused,
    }  # fmt: skip
    listed = list(records)
    return {name: [record for record in listed if isinstance(record, kind)] for name, kind in kinds.items()}


def kept(records: Iterable[T], into: list[T]) -> Iterator[T]:
    """The records as they come, each also put into the list."""
    for record in records:
        into.append(record)
        yield record
