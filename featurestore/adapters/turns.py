"""Turns: one writer of a thing after another, among the threads and processes of one machine.

What is written without a turn stays correct, since commits that conflict are refused. Turns keep many writers from
doing their work in vain again and again.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def turn(folder: Path, name: str) -> Iterator[None]:
    """Wait until nobody else has the turn, and have it while the block runs. It ends with the process, however that
    ends. The file is never removed: two could then have a turn of one name."""
    turns = folder / ".turns"
    turns.mkdir(parents=True, exist_ok=True)
    with (turns / f"{name}.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
