"""`knownat gc`: what nobody needs any more, and why the rest must stay."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from featurestore.errors import InvalidDeclaration
from featurestore.spec.names import parse_duration
from sdk.cli.invocation import Invocation, project_command
from sdk.cli.output import lines, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from featurestore.operations.garbage import Garbage, GarbagePlan

_REASONS_SHOWN = 3


@project_command
def collect(
    call: Invocation,
    apply: Annotated[bool, typer.Option("--apply", help="Remove it. Without this, nothing is removed.")] = False,
    grace: Annotated[
        str, typer.Option(metavar="DURATION", help="Leave alone what was written within this time.")
    ] = "24h",
) -> None:
    """Show what would be freed and why the rest must stay; with --apply, free it.

    Whatever an applied view, a dataset or a registered model needs is never freed.
    """
    with call.project() as project:
        plan = project.garbage(grace=_duration(grace))
        freed = list(project.collect_garbage(plan)) if apply else []
    call.output.answer(
        {"applied": apply, "garbage": plan.garbage, "freed": freed, "kept": plan.kept},
        lambda: _text(plan, freed, applied=apply),
    )


def _text(plan: GarbagePlan, freed: list[Garbage], *, applied: bool) -> RenderableType:
    from rich.console import Group

    kept = table(("kept", "bytes", "because"), [(one.what, one.size, _because(one.because)) for one in plan.kept])
    if not plan.garbage:
        return Group(kept, lines("Nothing is to be freed."))
    rows = [(one.kind.value, one.what, len(one.paths) or None, one.size, one.because) for one in plan.garbage]
    size = sum(one.size for one in (freed if applied else plan.garbage))
    last = f"Freed {size:,} bytes." if applied else f"{size:,} bytes would be freed. Free them with: knownat gc --apply"
    return Group(kept, table(("garbage", "of", "files", "bytes", "because"), rows), lines(last))


def _duration(text: str) -> timedelta:
    try:
        return parse_duration("--grace", text)
    except InvalidDeclaration as error:
        raise typer.BadParameter(f"{text!r} is no duration: write 24h, 90m or 7d", param_hint="--grace") from error


def _because(reasons: tuple[str, ...]) -> str:
    more = len(reasons) - _REASONS_SHOWN
    return "; ".join(reasons[:_REASONS_SHOWN]) + (f"; and {more} more" if more > 0 else "")
