"""`knownat push`: rows for a view, durable and online."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sdk.cli.invocation import Invocation, client_command
from sdk.cli.json_text import parsed_json
from sdk.cli.output import lines, shown

if TYPE_CHECKING:
    from rich.console import RenderableType

    from sdk.push_result import PushResult

_LINES = (".jsonl", ".ndjson")


@client_command
def push(
    call: Invocation,
    view: Annotated[str, typer.Argument(metavar="VIEW", help="A view over one FrameSource.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Rows: Parquet, JSON (a list) or JSON lines.")],
    key: Annotated[str, typer.Option(metavar="TEXT", help="Names this piece of data: again, it changes nothing.")],
) -> int:
    """Append rows to a view's history and bring them online. They are durable when it ends.

    Exits with 1 when the online store did not take them: the same command again brings them online.
    """
    rows = _read(file)
    with call.client() as client:
        result = client.push(view, rows, key=key)
    call.output.answer(result, lambda: _text(result))
    return 1 if result.online == "unavailable" else 0


def _read(file: Path) -> Path | list[Mapping[str, Any]]:
    """A Parquet file is read by the client; rows of JSON here."""
    if file.suffix not in (".json", *_LINES):
        return file
    try:
        text = file.read_text(encoding="utf-8")
        rows = _json_lines(text) if file.suffix in _LINES else parsed_json(text)
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"{file} is not readable JSON: {error}", param_hint="FILE") from error
    if not isinstance(rows, Sequence) or not all(isinstance(row, dict) for row in rows):
        raise typer.BadParameter(f"{file} is not a list of objects", param_hint="FILE")
    return list(rows)


def _json_lines(text: str) -> list[Any]:
    """Not by `splitlines`, which takes characters for the end of a line that may stand in a text."""
    return [parsed_json(line) for line in text.split("\n") if line.strip()]


def _text(result: PushResult) -> RenderableType:
    told = "were pushed" if result.is_new else "had been pushed before"
    first = f"{result.view}: {result.rows:,} rows {told} as '{result.key}'"
    known = [f"known at {shown(result.known_at)}"] if result.known_at else []
    led_to = [] if result.feature_rows is None else [f"{result.feature_rows:,} rows of the view"]
    rejected = [f"{result.rejected:,} without a key, left out"] if result.rejected else []
    online = "Online now." if result.is_online else str(result.reason)
    return lines(", ".join([first, *known, *led_to, *rejected]) + ".", online)
