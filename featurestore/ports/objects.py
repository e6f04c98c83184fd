"""Content-addressed objects: spines, results and artifacts, named by the sha256 of their bytes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
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
