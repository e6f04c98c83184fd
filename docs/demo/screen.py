"""Where the demo is seen: the only module that writes to the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from docs.demo.facts import Facts
from docs.demo.results import Outcome
from docs.demo.steps import Step

Advance = Callable[[int, str], None]
"""Called with how much is done, and what there is to say about it."""

_WIDTH_IN_A_LOG = 120
_TOLD_IN_A_LOG = 4  # how often a log hears of long work


class Screen:
    """A terminal or a log. Steps begin, show how far they are, and end."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console()
        if not self._console.is_terminal:
            self._console.width = _WIDTH_IN_A_LOG

    def opening(self, title: str, words: str) -> None:
        self._console.print(Text(title, style="bold"))
        self._console.print(Text(words, style="dim"))

    def begin(self, step: Step) -> None:
        self._console.print()
        self._console.print(Text.assemble((f"{step.number:>2}  ", "cyan"), (step.title, "bold")))
        self._print_indented(Text(step.why, style="dim"))

    def end(self, outcome: Outcome[Facts]) -> None:
        for line in outcome.facts.lines():
            self._print_indented(Text(line))
        took = _duration(outcome.seconds)
        if outcome.already:
            self._print_indented(Text(f"already done (it took {took})", style="green"))
        else:
            self._print_indented(Text(took, style="green"))

    @contextmanager
    def progress(self, doing: str, total: int) -> Iterator[Advance]:
        """Show how far long work is: a bar with the time left on a terminal, a few lines in a log."""
        if not self._console.is_terminal:
            yield self._in_a_log(doing, total)
            return
        columns = (
            TextColumn("    {task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.percentage:>3.0f}%  {task.fields[said]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self._console, transient=True, speed_estimate_period=600) as bar:
            task = bar.add_task(doing, total=total, said="")
            yield lambda done, said: bar.update(task, completed=done, said=said)

    @contextmanager
    def waiting(self, doing: str) -> Iterator[None]:
        """Show that work goes on which can not say how far it is."""
        with self._console.status(f"    {doing} …"):
            yield

    def closing(self, results: Iterable[tuple[str, str]], commands: Sequence[tuple[str, str]]) -> None:
        table = Table(title="What came out", title_justify="left", title_style="bold", show_header=False)
        for name, value in results:
            table.add_row(name, value)
        self._console.print()
        self._console.print(table)
        self._console.print(Text("\nTry next:", style="bold"))
        for command, what in commands:
            self._console.print(Text.assemble("  ", (command, "cyan")), soft_wrap=True)
            self._console.print(Text(f"      {what}", style="dim"))

    def failure(self, message: str) -> None:
        self._console.print()
        self._console.print(Text(message, style="bold red"))

    def _print_indented(self, text: Text) -> None:
        self._console.print(Padding(text, (0, 0, 0, 4), expand=False))

    def _in_a_log(self, doing: str, total: int) -> Advance:
        told = 0

        def advance(done: int, said: str) -> None:
            nonlocal told
            if (quarter := done * _TOLD_IN_A_LOG // total) > told:
                told = quarter
                self._print_indented(Text(f"{doing} {done / total:4.0%}  {said}", style="dim"))

        return advance


def _duration(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.0f} s"
