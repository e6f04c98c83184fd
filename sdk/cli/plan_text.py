"""A plan for people and for scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from sdk.cli.held_text import held_lines, left_behind_lines
from sdk.cli.late_text import late_lines
from sdk.cli.output import lines

if TYPE_CHECKING:
    from rich.console import RenderableType

    from featurestore.intervals import IntervalSet
    from featurestore.plan.stages import Change, Plan, Stage
    from featurestore.plan.usage import DatasetUse

_SIGNS = {"added": "+", "removed": "-", "changed": "~", "described": " "}
_FEATURES_SHOWN = 8
_INTERVALS_SHOWN = 4


def plan_data(plan: Plan) -> dict[str, object]:
    return {
        "nothing_to_do": plan.nothing_to_do,
        "changes": plan.changes,
        "stages": [_stage_data(stage) for stage in plan.stages],
        "pinned": plan.pinned,
        "late": plan.late,
        "held": plan.held,
        "left_behind": plan.left_behind,
        "by_engine": plan.by_engine,
        "can_fail": plan.can_fail,
    }


def plan_text(plan: Plan) -> RenderableType:
    if plan.nothing_to_do:
        return lines("Nothing to do.", *late_lines(plan.late), *held_lines(plan.held))
    changes = [_change_line(change) for change in plan.changes]
    stages = [f"  {number}. {_stage_text(stage)}" for number, stage in enumerate(plan.stages, start=1)]
    pinned = [_pinned_line(use) for use in plan.pinned]
    return lines(
        *(["Changes:", *changes, ""] if changes else []),
        "What will be done:",
        *stages,
        *(["", "These keep the features and table versions they have:", *pinned] if pinned else []),
        *(["", *late_lines(plan.late)] if plan.late else []),
        *(["", *held_lines(plan.held)] if plan.held else []),
        *(["", *left_behind_lines(plan.left_behind)] if plan.left_behind else []),
        *(["", *_by_engine_lines(plan)] if plan.by_engine else []),
        *(["", *_can_fail_lines(plan)] if plan.can_fail else []),
    )


def filled_views(plan: Plan) -> list[str]:
    """The views whose tables the plan fills."""
    from featurestore.plan.stages import Backfill

    return [stage.view.name for stage in plan.stages if isinstance(stage, Backfill)]


def materialized_views(plan: Plan) -> list[str]:
    """The views that the plan brings online."""
    from featurestore.plan.stages import Materialize

    return [stage.view.name for stage in plan.stages if isinstance(stage, Materialize)]


def _change_line(change: Change) -> str:
    words = f"  {_SIGNS[change.kind.value]} {change.what}"
    if change.kind.value == "described":
        words += " (description, owner, tags, ttl or lateness; no stored value)"
    if change.features:
        some = ", ".join(change.features[:_FEATURES_SHOWN])
        more = len(change.features) - _FEATURES_SHOWN
        words += f": {some}" + (f" and {more} more" if more > 0 else "")
    if change.because:
        words += f" (it reads {', '.join(change.because)})"
    return words


def _by_engine_lines(plan: Plan) -> list[str]:
    return [
        "These on-demand features are computed by the engine, which adds 1 to 2 ms to a lookup:",
        *(f"  {one.feature}: {one.reason}" for one in plan.by_engine),
    ]


def _can_fail_lines(plan: Plan) -> list[str]:
    likely = [f"  {one.what}: {one.reason}" for one in plan.can_fail if not one.at_limits]
    limits = [one.what for one in plan.can_fail if one.at_limits]
    some = ", ".join(limits[:_FEATURES_SHOWN]) + (" and others" if len(limits) > _FEATURES_SHOWN else "")
    return [
        *(["These fail on some values, and one such row fails a whole fill or request:", *likely] if likely else []),
        *(
            [f"Only the limits of their types, as the greatest whole number, are too much for: {some}"]
            if limits
            else []
        ),
    ]


def _pinned_line(use: DatasetUse) -> str:
    aliases = f" ({', '.join(use.aliases)})" if use.aliases else ""
    is_dataset = use.user == f"dataset:{use.dataset[:12]}"  # one that nobody uses stands for itself
    return f"  {use.user}{aliases}" + ("" if is_dataset else f", dataset {use.dataset[:12]}")


def _stage_text(stage: Stage) -> str:
    from featurestore.plan.stages import Backfill, CreateTable, Materialize, Promote

    match stage:
        case CreateTable(view):
            return f"create table {view.table}"
        case Backfill(view, missing, rows):
            return f"backfill {view.table} for {_intervals_text(missing)}, about {rows:,} source rows"
        case Materialize(view):
            return f"materialize {view.table}: its predecessor is online, and this takes its place"
        case Promote():
            return "promote: from then on, these definitions are what readers see"
        case _:
            assert_never(stage)


def _intervals_text(intervals: IntervalSet) -> str:
    some = ", ".join(str(interval) for interval in intervals.intervals[:_INTERVALS_SHOWN])
    more = len(intervals.intervals) - _INTERVALS_SHOWN
    return some + (f" and {more} more intervals" if more > 0 else "")


def _stage_data(stage: Stage) -> dict[str, object]:
    from featurestore.plan.stages import Backfill, CreateTable, Materialize, Promote

    match stage:
        case CreateTable(view):
            return {"stage": "create_table", "view": view.name, "table": view.table}
        case Backfill(view, missing, rows):
            intervals = missing.intervals
            return {
                "stage": "backfill", "view": view.name, "table": view.table, "intervals": intervals,
                "estimated_rows": rows,
            }  # fmt: skip
        case Materialize(view):
            return {"stage": "materialize", "view": view.name, "table": view.table}
        case Promote():
            return {"stage": "promote"}
        case _:
            assert_never(stage)
