"""`knownat backfill` and `knownat materialize`: the regular work of a project, for a schedule to call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sdk.cli.held_text import HELD, held_lines
from sdk.cli.invocation import Invocation, project_command
from sdk.cli.late_text import late_lines
from sdk.cli.moments import parse_moment, show_moment
from sdk.cli.output import lines, table
from sdk.cli.steps import kept, steps

if TYPE_CHECKING:
    from featurestore.operations.fill_chunks import ChunkFilled
    from featurestore.operations.materialize import Materialized

Views = Annotated[list[str] | None, typer.Argument(metavar="[VIEW]...", help="Default: all views.")]
ViewOption = Annotated[list[str] | None, typer.Option("--view", metavar="VIEW", help="The same, as an option.")]


@project_command
def backfill(
    call: Invocation,
    views: Views = None,
    named: ViewOption = None,
    start: Annotated[
        str | None, typer.Option("--from", "--start", metavar="MOMENT", help="Fill from this event time on.")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", "--end", metavar="MOMENT", help="Fill up to this event time.")
    ] = None,
    recompute: Annotated[bool, typer.Option("--recompute", help="Fill again what is filled already, too.")] = False,
    accept_removed: Annotated[
        bool, typer.Option("--accept-removed", help="Let rows go, this once, that are gone from their sources.")
    ] = False,
) -> int:
    """Fill what is missing of the views' tables, such as the time since they were last filled.

    Exits with 1 when rows stayed in a table that are gone from a source which holds them; everything is filled then.
    """
    first, last = parse_moment(start), parse_moment(end)
    if first is not None and last is not None and not first < last:
        raise typer.BadParameter(
            f"from {show_moment(first)} to {show_moment(last)} is no time: --from lies before --to", param_hint="--from"
        )
    done: list[ChunkFilled] = []
    with call.project() as project:
        chosen = project.views([*(views or ()), *(named or ())] or None)
        filled = project.backfill(
            views=chosen, start=first, end=last, recompute=recompute, accept_removed=accept_removed
        )
        records = kept(filled, done)
        shares = dict.fromkeys(chosen, 1 / max(len(chosen), 1))
        call.progress("Filling").follow(steps(records, shares))
        late, held = project.late_rows(chosen), project.held_rows(chosen)
    told = filled_lines(done) if done else ["Nothing is missing. Nothing was done."]
    data = {"done": done, "late": late, "held": held}
    call.output.answer(data, lambda: lines(*told, *late_lines(late), *held_lines(held)))
    return HELD if held else 0


@project_command
def materialize(
    call: Invocation,
    views: Views = None,
    named: ViewOption = None,
    until: Annotated[str | None, typer.Option(metavar="MOMENT", help="Default: now.")] = None,
    full: Annotated[bool, typer.Option("--full", help="Copy every key, and remove those that are gone.")] = False,
) -> None:
    """Copy what has newly become true into the online store."""
    done: list[Materialized] = []
    with call.project() as project:
        chosen = project.views([*(views or ()), *(named or ())] or None)
        records = kept(project.materialize(views=chosen, until=parse_moment(until), full=full), done)
        shares = dict.fromkeys(chosen, 1 / max(len(chosen), 1))
        call.progress("Materializing").follow(steps(records, shares))
    call.output.answer(
        {"done": done},
        lambda: table(
            ("view", "online to", "rows written", "newer rows kept"),
            [(one.view, show_moment(one.filled_to), one.written, one.kept) for one in done],
        ),
    )


def filled_lines(done: list[ChunkFilled]) -> list[str]:
    return [
        f"{view}: {sum(one.rows for one in done if one.view == view):,} rows in "
        f"{sum(one.view == view for one in done)} chunks"
        for view in dict.fromkeys(one.view for one in done)
    ]
