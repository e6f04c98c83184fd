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


def sync_checkpoint(log: Path, version: int) -> None:
    """Sync the checkpoint that delta-rs may have written with the commit of this version: readers take it for the log
    that it stands for."""
    if checkpoints := list(log.glob(f"{version:020d}.checkpoint*")):
        for file in (*checkpoints, log / "_last_checkpoint"):
            sync(file)
        sync(log)
