"""The options of commands that write a file: where to, and whether it may replace what is there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace the file if it holds something else.")]


def check_out(out: Path | None) -> None:
    """Before the work, not after it. Raises BadParameter."""
    if out is not None and (not out.resolve().parent.is_dir() or out.is_dir()):
        raise typer.BadParameter(f"{out} can not be written: its folder does not exist", param_hint="--out")
