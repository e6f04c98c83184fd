"""What was written to a local disk survives a crash of the machine only once it is synced."""

from __future__ import annotations

import os
from pathlib import Path


def sync(path: Path) -> None:
    """Wait until a file's content, or a folder's list of names, is on the disk. A new file needs both."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_entry(log: Path, version: int) -> None:
    """Sync a table's log entry, and the checkpoint that delta-rs may have written with it: readers take that for the
    log that it stands for."""
    checkpoints = list(log.glob(f"{version:020d}.checkpoint*"))
    for file in (*checkpoints, *([log / "_last_checkpoint"] if checkpoints else ()), log / f"{version:020d}.json"):
        sync(file)
    sync(log)
