"""Where a command's answer goes: stdout as text for people or as JSON for scripts; everything else goes to stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Protocol, TextIO

from sdk.cli.json_text import json_text
from sdk.cli.moments import show_moment

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

# Wide enough that tables written into a file or a pipe keep each row on one line.
_WIDTH_WITHOUT_TERMINAL = 240
_ITEMS_SHOWN = 8


class Output(Protocol):
    """One answer for each command; errors and remarks beside it."""

    def answer(self, data: object, text: Callable[[], RenderableType]) -> None:
        """The command's answer: `data` for scripts, what `text` gives for people."""
        ...

    def show(self, text: Callable[[], RenderableType]) -> None:
        """A part of the answer that people get before the rest; scripts find it in the answer itself."""
        ...

    def error(self, code: str, message: str, details: object) -> None:
        """Why there is no answer."""
        ...


@dataclass(frozen=True, slots=True)
class TextOutput:
    """For people."""

    def answer(self, data: object, text: Callable[[], RenderableType]) -> None:  # noqa: ARG002 - for scripts
        console_on(sys.stdout).print(text())

    def show(self, text: Callable[[], RenderableType]) -> None:
        console_on(sys.stdout).print(text())

    def error(self, code: str, message: str, details: object) -> None:  # noqa: ARG002 - for scripts
        from rich.text import Text

        console_on(sys.stderr).print(Text.assemble(("Error: ", "bold red"), message), soft_wrap=True)


@dataclass(frozen=True, slots=True)
class JsonOutput:
    """For scripts: one JSON document on stdout, or an error as one line of JSON on stderr."""

    def answer(self, data: object, text: Callable[[], RenderableType]) -> None:  # noqa: ARG002 - for people
        print(json_text(data))

    def show(self, text: Callable[[], RenderableType]) -> None:
        pass

    def error(self, code: str, message: str, details: object) -> None:
        document = {"code": code, "message": message, "details": details}
        print(json_text(document, indent=None), file=sys.stderr)


def lines(*texts: str) -> RenderableType:
    """Lines of text as they are: not wrapped, so that what is copied from them stays whole."""
    from rich.text import Text

    return Text("\n".join(texts), no_wrap=True, overflow="ignore")


def table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> RenderableType:
    """A table of texts; None is a dash, numbers stand to the right."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    listed = [list(row) for row in rows]
    made = Table(box=SIMPLE_HEAD, pad_edge=False)
    for position, header in enumerate(headers):
        numbers = bool(listed) and all(isinstance(row[position], int | float | None) for row in listed)
        made.add_column(Text(header), justify="right" if numbers else "left", overflow="fold")
    for row in listed:
        made.add_row(*(Text(shown(value)) for value in row))
    return made


def shown(value: object) -> str:  # noqa: PLR0911 - one answer for each kind
    """A value for people."""
    match value:
        case None:
            return "-"
        case bool():
            return "true" if value else "false"
        case int():
            return f"{value:,}"
        case datetime():
            return show_moment(value)
        case Decimal():
            return f"{value:f}"
        case list():
            items = [_shown_item(item) for item in value[:_ITEMS_SHOWN]]
            more = [f"… {len(value)} items"] if len(value) > _ITEMS_SHOWN else []
            return f"[{', '.join([*items, *more])}]"
        case _:
            return str(value)


def _shown_item(item: object) -> str:
    """Within a list, a comma stands between items alone."""
    return str(item) if isinstance(item, int) and not isinstance(item, bool) else shown(item)


def console_on(stream: TextIO) -> Console:
    """A console that prints what it is given: names in brackets are no markup, numbers are not painted."""
    from rich.console import Console

    width = None if stream.isatty() else _WIDTH_WITHOUT_TERMINAL
    return Console(file=stream, markup=False, highlight=False, emoji=False, width=width)
