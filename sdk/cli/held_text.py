"""Rows that are gone from their sources, for people: those that stayed, of which days and what to do, and those that a
plan leaves behind."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from sdk.cli.moments import show_moment

if TYPE_CHECKING:
    from featurestore.plan.stages import HeldRows, LeftBehind

HELD = 1
"""The exit code of a command that left such rows where they are."""
_DAYS_SHOWN = 4


def held_lines(held: Iterable[HeldRows]) -> list[str]:
    return [line for one in held for line in _lines(one)]


def left_behind_lines(left: Iterable[LeftBehind]) -> list[str]:
    """What a plan leaves in tables that readers will not see any more."""
    return [line for one in left for line in _left_lines(one)]


def _left_lines(left: LeftBehind) -> tuple[str, str]:
    what = "what was captured of earlier versions and of rows that are gone"
    if left.rows is not None:
        what = "1 row or tile that is gone" if left.rows == 1 else f"{left.rows:,} rows or tiles that are gone"
        what = f"{what} from its sources"
    return (
        f"Left behind in {left.table}: {what}. The new table of {left.view} is made of what its sources hold now,",
        "  and knownat gc removes the earlier one unless a dataset or a model pins it.",
    )


def _lines(held: HeldRows) -> tuple[str, ...]:
    days = [str(interval) for interval in held.days.intervals[:_DAYS_SHOWN]]
    more = len(held.days.intervals) - _DAYS_SHOWN
    told = ", ".join(days) + (f" and {more} more intervals" if more > 0 else "")
    one, many = ("tile (a key's events of one hop)", "tiles (a key's events of one hop)") if held.is_windowed else (
        "row", "rows"
    )  # fmt: skip
    count = f"1 {one} that is" if held.rows == 1 else f"{held.rows:,} {many} that are"
    names = " and ".join(f"'{name}'" for name in held.sources)
    interval = f"--from {show_moment(held.interval.start)} --to {show_moment(held.interval.end)}"
    return (
        f"Held in {held.view}: {count} gone from source {names}, on {told}. Nothing was removed.",
        "  Put the rows back into the source, and the next fill finds them; or let them go, this once, with:",
        f"  knownat backfill {held.view} --accept-removed {interval}",
        f'  or declare of {names} what it always means: removed_rows="follow" (rows that are gone are gone).',
    )
