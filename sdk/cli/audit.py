"""`knownat audit`: is what is online what it should be?"""

from __future__ import annotations

from typing import Annotated

import typer

from sdk.cli.invocation import Invocation, client_command
from sdk.cli.output import lines, shown, table

_DIFFERENCES_SHOWN = 50


@client_command
def audit(
    call: Invocation,
    view: Annotated[str, typer.Argument(metavar="VIEW")],
    sample: Annotated[int, typer.Option(metavar="KEYS", min=1, help="How many keys of either side to compare.")] = 1000,
) -> int:
    """Compare online values with the point-in-time answer at the moment up to which the view is online.

    Exits with 1 when a value differs.
    """
    from rich.console import Group

    with call.client() as client:
        report = client.audit(view, sample=sample)
    differences = list(report.differences)
    told = f"{report.values:,} values of {report.keys:,} keys compared as of {shown(report.at)}"
    if not differences:
        call.output.answer(report, lambda: lines(f"0 differences: {told}."))
        return 0
    rows = [
        (", ".join(f"{name}={value}" for name, value in one.key.items()), one.feature, one.online, one.offline)
        for one in differences[:_DIFFERENCES_SHOWN]
    ]
    more = len(differences) - len(rows)
    call.output.answer(
        report,
        lambda: Group(
            lines(f"{len(differences):,} differences: {told}."),
            table(("key", "feature", "online", "offline"), rows),
            lines(
                *([f"… and {more:,} more; --json lists all."] if more else []),
                f"Next: knownat materialize {view} --full writes every key again.",
            ),
        ),
    )
    return 1
