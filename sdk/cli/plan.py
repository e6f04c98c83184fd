"""`knownat plan` and `knownat apply`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sdk.cli.invocation import Invocation, project_command
from sdk.cli.output import lines
from sdk.cli.plan_text import filled_views, plan_data, plan_text
from sdk.cli.steps import kept, shares_of, steps

if TYPE_CHECKING:
    from rich.console import RenderableType

    from featurestore.operations.apply import Progress
    from featurestore.operations.backfill import Rejected
    from featurestore.plan.stages import Plan
    from sdk.project import Project


@project_command
def plan(call: Invocation) -> None:
    """Show what would be done for the definitions to be what readers see. Changes nothing."""
    from rich.console import Group

    with call.project() as project:
        found = project.plan()
    following = [] if found.nothing_to_do else [lines("", "Carry it out with: knownat apply")]
    call.output.answer(plan_data(found), lambda: Group(plan_text(found), *following))


@project_command
def apply(call: Invocation) -> None:
    """Carry out the plan: create and fill tables, then let readers see the new definitions."""
    with call.project() as project:
        found = project.plan()
        call.output.show(lambda: plan_text(found))
        done: list[Progress] = []
        call.progress("Applying").follow(steps(kept(project.apply(found), done), shares_of(found)))
        rejected = _rejected(project, found)
    data = {"plan": plan_data(found), "done": done, "rejected": rejected}
    call.output.answer(data, lambda: _applied_text(found, done, rejected))


def _rejected(project: Project, applied: Plan) -> dict[str, Rejected]:
    """The rows left out of each view that was filled just now, where there are any."""
    counted = {view: project.rejected(view) for view in filled_views(applied)}
    return {view: rejected for view, rejected in counted.items() if rejected.total}


def _applied_text(applied: Plan, done: list[Progress], rejected: dict[str, Rejected]) -> RenderableType:
    if applied.nothing_to_do:
        return lines("Next: knownat materialize")
    rows = sum(getattr(record, "rows", 0) for record in done)
    return lines(
        "",
        *(_rejected_line(view, count) for view, count in rejected.items()),
        f"Applied: {rows:,} rows are filled, and readers see these definitions.",
        "Next: knownat materialize, then knownat online or knownat training-set",
    )


def _rejected_line(view: str, rejected: Rejected) -> str:
    reasons = {
        "without an event timestamp": rejected.no_event_timestamp,
        "without the moment they were known at": rejected.no_known_at,
        "without a key": rejected.no_key,
    }
    told = ", ".join(f"{count:,} {reason}" for reason, count in reasons.items() if count)
    return f"Left out of {view}: source rows {told}. They can be nobody's features."
