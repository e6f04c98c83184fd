"""A file that a user asked for: written whole or not at all, and never over another one unless they said so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from filecmp import cmp
from pathlib import Path
from typing import BinaryIO

from sdk.errors import OutputExists


@contextmanager
def new_file(path: Path, *, overwrite: bool = False) -> Iterator[BinaryIO]:
    """A file to write into, which is at `path` once the block has ended without an error.

    Where the same bytes are there already, nothing changes. Raises OutputExists where others are, unless `overwrite`;
    that file then stays what it was.
    """
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        with unfinished.open("wb") as file:
            yield file
        if path.exists() and not overwrite:
            if cmp(unfinished, path, shallow=False):
                return
            raise OutputExists(path)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
