"""`knownat audit`: is what is online what it should be?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from sdk.cli.invocation import Invocation, client_command
from sdk.cli.output import lines, shown, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from sdk.client import Client
    from sdk.results import AuditResult, Difference

_DIFFERENCES_SHOWN = 50


@client_command
def audit(
    call: Invocation,
    view: Annotated[str | None, typer.Argument(metavar="[VIEW]", help="Default: all applied views.")] = None,
    sample: Annotated[int, typer.Option(metavar="KEYS", min=1, help="How many keys of either side to compare.")] = 1000,
) -> int:
    """Compare online values with the point-in-time answer at the moment up to which the view is online.

    Exits with 1 when a value differs.
    """
    with call.client() as client:
        if view is not None:
            report = client.audit(view, sample=sample)
            call.output.answer(report, lambda: _one_text(report))
            return 1 if report.differences else 0
        reports = list(_all(client, sample))
    call.output.answer({"views": reports}, lambda: _all_text(reports))
    return 1 if any(report.differences for report in reports) else 0


def _all(client: Client, sample: int) -> Iterator[AuditResult]:
    """A view that is filled and not online is refused as it is alone: nobody can say that all is well."""
    for status in client.status():
        if status["offline_to"] is None and status["online_to"] is None:
            continue  # nothing on either side
        yield client.audit(status["view"], sample=sample)


def _one_text(report: AuditResult) -> RenderableType:
    from rich.console import Group

    told = f"{report.values:,} values of {report.keys:,} keys compared as of {shown(report.at)}"
    first = lines(f"{_count(len(report.differences))}: {told}.")
    return Group(first, *_differences_text([report])) if report.differences else first


def _all_text(reports: Sequence[AuditResult]) -> RenderableType:
    from rich.console import Group

    rows = [(report.view, report.keys, report.values, len(report.differences), report.at) for report in reports]
    headers = ("view", "keys", "values", "differences", "as of")
    differing = [report for report in reports if report.differences]
    return Group(table(headers, rows), *(_differences_text(differing) if differing else []))


def _differences_text(reports: Sequence[AuditResult]) -> list[RenderableType]:
    """The list of what differs, and what to do about it."""
    differences = [difference for report in reports for difference in report.differences]
    rows = [(_key_text(one), one.feature, one.online, one.offline) for one in differences[:_DIFFERENCES_SHOWN]]
    more = len(differences) - len(rows)
    views = " ".join(report.view for report in reports)
    return [
        table(("key", "feature", "online", "offline"), rows),
        lines(
            *([f"… and {more:,} more; --json lists all."] if more else []),
            f"Next: knownat materialize {views} --full writes every key again.",
        ),
    ]


def _key_text(difference: Difference) -> str:
    return ", ".join(f"{name}={value}" for name, value in difference.key.items())


def _count(differences: int) -> str:
    return "1 difference" if differences == 1 else f"{differences:,} differences"
