"""`knownat plan` and `knownat apply`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sdk.cli.held_text import HELD, held_lines
from sdk.cli.invocation import Invocation, project_command
from sdk.cli.output import lines
from sdk.cli.plan_text import filled_views, materialized_views, plan_data, plan_text
from sdk.cli.steps import kept, shares_of, steps

if TYPE_CHECKING:
    from rich.console import RenderableType

    from featurestore.operations.apply import Progress
    from featurestore.operations.source_rows import Rejected
    from featurestore.plan.stages import HeldRows, Plan
    from sdk.project import Project


@dataclass(frozen=True, slots=True)
class _Afterwards:
    """What is left to be said once a plan is carried out. `behind` as `_behind` gives it."""

    rejected: dict[str, Rejected]
    behind: tuple[str, ...] | None
    held: tuple[HeldRows, ...] = ()


@project_command
def plan(call: Invocation) -> None:
    """Show what would be done for the definitions to be what readers see. Changes nothing."""
    from rich.console import Group

    with call.project() as project:
        found = project.plan()
    following = [] if found.nothing_to_do else [lines("", "Carry it out with: knownat apply")]
    call.output.answer(plan_data(found), lambda: Group(plan_text(found), *following))


@project_command
def apply(call: Invocation) -> int:
    """Carry out the plan: create and fill tables, then let readers see the new definitions.

    Exits with 1 when rows stayed in a table that are gone from a source which holds them; all is applied then.
    """
    with call.project() as project:
        found = project.plan()
        call.output.show(lambda: plan_text(found))
        done: list[Progress] = []
        call.progress("Applying").follow(steps(kept(project.apply(found), done), shares_of(found)))
        rejected = _rejected(project, found)
        afterwards = _Afterwards(rejected, _behind(project, found), project.held_rows())
    data = {"plan": plan_data(found), "done": done, "rejected": rejected, "held": afterwards.held}
    call.output.answer(data, lambda: _applied_text(found, done, afterwards))
    return HELD if afterwards.held else 0


def _rejected(project: Project, applied: Plan) -> dict[str, Rejected]:
    """The rows left out of each view that was filled just now, where there are any."""
    counted = {view: project.rejected(view) for view in filled_views(applied)}
    return {view: rejected for view, rejected in counted.items() if rejected.total}


def _behind(project: Project, applied: Plan) -> tuple[str, ...] | None:
    """The views whose online rows are not all that the offline table has by now; None when the store does not say."""
    from featurestore.errors import StoreUnavailable

    try:
        statuses = project.client.status()
    except StoreUnavailable:  # what was applied is applied
        return None
    refilled = set(filled_views(applied)) - set(materialized_views(applied))
    return tuple(one["view"] for one in statuses if one["view"] in refilled or _is_behind(one))


def _is_behind(status: dict[str, Any]) -> bool:
    if status["offline_to"] is None:
        return False
    return status["online_to"] is None or (
        datetime.fromisoformat(status["online_to"]) < datetime.fromisoformat(status["offline_to"])
    )


def _applied_text(applied: Plan, done: list[Progress], afterwards: _Afterwards) -> RenderableType:
    if applied.nothing_to_do:
        return lines(*held_lines(afterwards.held), _next_line(afterwards.behind))
    return lines(
        "",
        *(_rejected_line(view, count) for view, count in afterwards.rejected.items()),
        *held_lines(afterwards.held),
        _applied_line(applied, sum(getattr(record, "rows", 0) for record in done)),
        _next_line(afterwards.behind),
    )


def _applied_line(applied: Plan, rows: int) -> str:
    filled = f"{rows:,} rows are filled" if filled_views(applied) else "nothing was to be filled"
    online = f"{', '.join(views)} went online" if (views := materialized_views(applied)) else ""
    return f"Applied: {', '.join(part for part in (filled, online) if part)}, and readers see these definitions."


def _next_line(behind: tuple[str, ...] | None) -> str:
    if behind == ():
        return "Next: knownat online or knownat training-set"
    return f"Next: {' '.join(('knownat materialize', *(behind or ())))}, then knownat online or knownat training-set"


def _rejected_line(view: str, rejected: Rejected) -> str:
    reasons = {
        "without an event timestamp": rejected.no_event_timestamp,
        "without the moment they were known at": rejected.no_known_at,
        "without a key": rejected.no_key,
    }
    told = ", ".join(f"{count:,} {reason}" for reason, count in reasons.items() if count)
    return f"Left out of {view}: source rows {told}. They can be nobody's features."
