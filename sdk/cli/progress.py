"""Progress of long work on stderr: a bar with rows/s and time left on a terminal, a line for each step in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Step:
    """A piece of work that is done: the view it was for, its part of it, its share of the whole (0 to 1), its rows."""

    view: str
    part: str
    share: float
    rows: int


class Progress(Protocol):
    def follow(self, steps: Iterable[Step]) -> None:
        """Let the work happen, step by step, and show how far it is."""
        ...


@dataclass(frozen=True, slots=True)
class SilentProgress:
    """Where a script reads the answer and nobody looks."""

    def follow(self, steps: Iterable[Step]) -> None:
        for _ in steps:
            pass


@dataclass(frozen=True, slots=True)
class LineProgress:
    """For logs: each step on a line of its own."""

    doing: str

    def follow(self, steps: Iterable[Step]) -> None:
        for step, done, rate in _measured(steps):
            print(
                f"{done:4.0%}  {step.view} {step.part}  {step.rows:,} rows, {rate:,.0f} rows/s",
                file=sys.stderr,
                flush=True,
            )


@dataclass(frozen=True, slots=True)
class BarProgress:
    """For a terminal: one bar that disappears when the work is done."""

    doing: str

    def follow(self, steps: Iterable[Step]) -> None:
        from rich.markup import escape
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        from sdk.cli.output import console_on

        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:>3.0f}%  {task.fields[rows]:,} rows  {task.fields[rate]:,.0f} rows/s "),
            TimeRemainingColumn(),
            TextColumn("left"),
        )
        # A step can take minutes, and rich forgets a pace that is older than the period.
        with RichProgress(
            *columns, console=console_on(sys.stderr), transient=True, expand=True, speed_estimate_period=600
        ) as bar:
            task = bar.add_task(escape(self.doing), total=1.0, rows=0, rate=0.0)
            rows = 0
            for step, done, rate in _measured(steps):
                rows += step.rows
                bar.update(task, completed=done, description=escape(step.view), rows=rows, rate=rate)


def _measured(steps: Iterable[Step]) -> Iterator[tuple[Step, float, float]]:
    """Each step, with how much is done by then and the rows written in a second so far."""
    begun, done, rows = time.monotonic(), 0.0, 0
    for step in steps:
        done, rows = min(done + step.share, 1.0), rows + step.rows
        yield step, done, rows / max(time.monotonic() - begun, 1e-9)
