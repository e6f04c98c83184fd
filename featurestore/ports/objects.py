"""Content-addressed objects: spines, results and artifacts, named by the sha256 of their bytes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO, Protocol


@dataclass(frozen=True, slots=True)
class ObjectReference:
    """What was stored: the lower-case hexadecimal sha256 of the bytes, and how many there are."""

    sha256: str
    size: int


class ObjectStore(Protocol):
    def put(self, content: BinaryIO) -> ObjectReference:
        """Store the bytes read from `content`, streamed. Durable when it returns; storing the same bytes again is
        free."""
        ...

    def read(self, sha256: str) -> Iterator[bytes]:
        """The bytes, in chunks. Raises UnknownName when there is no such object, StoreCorrupted at the end when the
        bytes are not the ones that were stored."""
        ...

    def path(self, sha256: str) -> str:
        """Where an engine can read the object, verified before it is handed out. Raises as `read` does."""
        ...


@dataclass(frozen=True, slots=True)
class StoredObject:
    """What lies in an object store. `sha256` is None for an upload that was never finished. `modified_at` is told by
    the clock of the machine that stored it last."""

    name: str
    sha256: str | None
    size: int
    modified_at: datetime


class ObjectShelf(Protocol):
    """What an object store holds, seen by whoever keeps it clean."""

    def stored(self) -> tuple[StoredObject, ...]:
        """Every object and every unfinished upload, in the order of their names."""
        ...

    def remove(self, stored: StoredObject) -> bool:
        """Remove it, unless it was stored again since it was listed: then, False."""
        ...
