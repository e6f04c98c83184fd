"""`knownat run --due`: everything that a schedule has to do for a project, in one command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from sdk.cli.fill import ViewOption, Views, filled_lines
from sdk.cli.held_text import HELD, held_lines
from sdk.cli.invocation import Invocation, project_command
from sdk.cli.late_text import late_lines
from sdk.cli.moments import show_moment
from sdk.cli.output import lines
from sdk.cli.steps import due_steps, kept, sorted_due

if TYPE_CHECKING:
    from featurestore.operations.run_due import Due

REFUSED = 1


@project_command
def run(
    call: Invocation,
    views: Views = None,
    named: ViewOption = None,
    due: Annotated[bool, typer.Option("--due", help="Do what is due by now.")] = False,
    set_back: Annotated[
        bool, typer.Option("--set-back", help="Fill as of now what a clock that was ahead has filled.")
    ] = False,
) -> int:
    """Do what is due: fill what is missing, late or restated, then bring up to date what is online.

    Call it from a schedule as often as you like: a second run leaves alone what a first one is at. Exits with 1 when
    something was refused, and while rows stay that are gone from a source which holds them; the rest is done then.
    """
    if not due:
        raise typer.BadParameter("say what to run: --due does everything that is due by now", param_hint="run")
    records: list[Due] = []
    with call.project() as project:
        chosen = project.views([*(views or ()), *(named or ())] or None)
        shares = dict.fromkeys(chosen, 1 / max(len(chosen), 1))
        done = kept(project.run_due(views=chosen, set_back=set_back), records)
        call.progress("Running").follow(due_steps(done, shares))
    told = sorted_due(records)
    call.output.answer(told, lambda: lines(*(_lines(told) or ["Nothing was due."])))
    return REFUSED if told["refused"] else HELD if told["held"] else 0


def _lines(told: dict[str, list[Any]]) -> list[str]:
    written = [one for one in told["materialized"] if one.written]
    return [
        *filled_lines(told["filled"]),
        *(f"{one.view}: {one.written:,} rows online to {show_moment(one.filled_to)}" for one in written),
        *late_lines(told["late"]),
        *held_lines(told["held"]),
        *(f"{one.view}: left alone, {one.holder} is at it" for one in told["busy"]),
        *(f"{one.view}: refused. {one.message}" for one in told["refused"]),
    ]
