"""Rows that came too late, for people: how many, of which days, and what takes them in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from sdk.cli.moments import show_moment

if TYPE_CHECKING:
    from featurestore.plan.stages import LateRows

_DAYS_SHOWN = 4


def late_lines(late: Iterable[LateRows]) -> list[str]:
    return [line for one in late for line in _lines(one)]


def _lines(late: LateRows) -> tuple[str, str]:
    days = [str(interval) for interval in late.days.intervals[:_DAYS_SHOWN]]
    more = len(late.days.intervals) - _DAYS_SHOWN
    told = ", ".join(days) + (f" and {more} more intervals" if more > 0 else "")
    count = "1 row" if late.rows == 1 else f"{late.rows:,} rows"
    interval = f"--from {show_moment(late.interval.start)} --to {show_moment(late.interval.end)}"
    return (
        f"Left out of {late.view}: {count} that arrived later than its declared lateness, on {told}.",
        f"  Take them in with: knownat backfill {late.view} --recompute {interval}",
    )
