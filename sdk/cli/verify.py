"""`knownat verify`: is everything that someone relies on still there, and what it was?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sdk.cli.invocation import Invocation, project_command
from sdk.cli.output import lines

if TYPE_CHECKING:
    from rich.console import RenderableType

    from featurestore.operations.damage import Damage, VerifyReport
    from featurestore.operations.verify import Restored


@project_command
def verify(
    call: Invocation,
    deep: Annotated[bool, typer.Option("--deep", help="Read every file and compare its sha256.")] = False,
    repair: Annotated[bool, typer.Option("--repair", help="First put log entries back as they were recorded.")] = False,
) -> int:
    """Compare tables, objects and the online store with what was recorded of them; name what damage touches.

    Exits with 1 when something is damaged.
    """
    with call.project() as project:
        restored = list(project.repair()) if repair else []
        report = project.verify(deep=deep)
    call.output.answer({"restored": restored, "report": report}, lambda: _text(restored, report))
    return 1 if report.damages else 0


def _text(restored: list[Restored], report: VerifyReport) -> RenderableType:
    tables = f"{report.versions:,} versions of {report.tables:,} tables"
    looked = f"{tables}, {report.files:,} files and {report.objects:,} objects"
    if report.online_rows:
        looked = f"{tables}, {report.files:,} files, {report.objects:,} objects and {report.online_rows:,} online rows"
    how = f"{report.hashed_bytes:,} bytes read" if report.hashed_bytes else "sizes compared; --deep reads every byte"
    taken = f"{report.digests_taken:,} files had no digest and have one now." if report.digests_taken else None
    count = len(report.damages)
    verdict = f"Damaged: {count:,} {'thing' if count == 1 else 'things'}" if count else "Whole"
    return lines(
        *(_restored_line(one) for one in restored),
        *(line for damage in report.damages for line in _damage_lines(damage)),
        f"{verdict}: {looked} looked at ({how}).",
        *([taken] if taken else []),
    )


def _restored_line(one: Restored) -> str:
    done = "removed, as it was never finished" if one.removed else "put back as it was recorded"
    return f"The log entry of {one.table} at version {one.version} was {done}."


def _damage_lines(damage: Damage) -> list[str]:
    where = damage.what if damage.version is None else f"{damage.what} at version {damage.version}"
    named = ", ".join(f"dataset:{dataset[:12]}" for dataset in damage.datasets)
    return [
        f"{damage.kind.value}  {where}" + (f"  {damage.path}" if damage.path else ""),
        f"    expected  {damage.expected}",
        f"    found     {damage.found}",
        f"    touches   {', '.join(filter(None, (named, *damage.models))) or 'no dataset and no model'}",
        f"    next      {damage.remedy}",
        "",
    ]
