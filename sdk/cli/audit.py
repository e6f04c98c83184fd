"""`knownat audit`: is what is online what it should be, and if not, why?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from sdk.cli.choice import ModelOption, ServiceOption
from sdk.cli.invocation import Invocation, client_command
from sdk.cli.output import lines, shown, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from sdk.audits import AuditReport, AuditResult, Difference

_DIFFERENCES_SHOWN = 20


@client_command
def audit(
    call: Invocation,
    views: Annotated[list[str] | None, typer.Argument(metavar="[VIEW]…", help="Default: all applied views.")] = None,
    service: ServiceOption = None,
    model: ModelOption = None,
    sample: Annotated[
        int, typer.Option(metavar="KEYS", min=1, max=100_000, help="How many keys of either side to compare.")
    ] = 1000,
) -> int:
    """Compare online values with the point-in-time answer at the moment up to which each view is online.

    Each value that differs is told with its cause and what to do. Exits with 1 when one does, or when a view is filled
    and not online.
    """
    if sum(1 for given in (views, service, model) if given) > 1:
        raise typer.BadParameter("give views, or --service, or --model", param_hint="VIEW")
    with call.client() as client:
        report = client.audits(views=views or None, service=service, model=model, sample=sample)
    call.output.answer(report, lambda: _text(report))
    return 0 if report.equal else 1


def _text(report: AuditReport) -> RenderableType:
    from rich.console import Group

    told = f"{_count(report.differing)}: {report.values:,} values of {report.keys:,} keys compared."
    if absent := sum(1 for view in report.views if view.state == "not_materialized"):
        told += f" {absent:,} view is not online." if absent == 1 else f" {absent:,} views are not online."
    parts: list[RenderableType] = [lines(told), table(_HEADERS, [_row(view) for view in report.views])]
    notes = [note for view in report.views for note in view.notes]
    if notes:
        parts.append(lines(*notes, ""))
    parts += [part for view in report.views if view.differences for part in _differences(view)]
    return Group(*parts)


_HEADERS = ("view", "keys", "values", "differing", "causes", "as of")


def _row(view: AuditResult) -> tuple[object, ...]:
    causes = ", ".join(f"{one.differing:,} {_words(one.cause)}" for one in view.causes)
    if view.state != "compared":
        causes = ", ".join(filter(None, (_words(view.state), causes)))
    return view.view, view.keys, view.values, view.differing, causes or "equal", view.at


def _differences(view: AuditResult) -> Iterator[RenderableType]:
    """The first differences of a view, and what to do about each of its causes."""
    first = view.differences[:_DIFFERENCES_SHOWN]
    headers = ("key", "feature", "online", "expected", "cause", "seen by")
    yield table(
        headers,
        [
            (_key(one), one.feature, _online(one), shown(one.offline), _words(one.cause), _first(one.evidence))
            for one in first
        ],
    )
    more = view.differing - len(first)
    told = [f"… and {more:,} more of {view.view}; --json lists the first thousand of each view."] if more else []
    yield lines(*told, *(f"{_words(one.cause)}: {one.remedy}" for one in view.causes), "")


def _online(difference: Difference) -> str:
    """The value, or why there is none."""
    plain = difference.status in ("present", "null")
    return shown(difference.online) if plain else f"{shown(difference.online)} ({difference.status})"


def _first(text: str) -> str:
    """Its first sentence: --json has all of it."""
    return text.partition(". ")[0].removesuffix(".")


def _key(difference: Difference) -> str:
    return ", ".join(f"{name}={value}" for name, value in difference.key.items())


def _words(name: str) -> str:
    return name.replace("_", " ")


def _count(differences: int) -> str:
    return "1 difference" if differences == 1 else f"{differences:,} differences"
