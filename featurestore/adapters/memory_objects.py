"""Objects in memory: the twin of `local_objects.py`, for tests."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from featurestore.adapters.local_objects import check_sha256
from featurestore.errors import StoreCorrupted, UnknownName
from featurestore.intervals import EPOCH
from featurestore.ports.objects import ObjectReference, StoredObject

_CHUNK = 1024 * 1024


class MemoryObjects:
    """Engines read files, so `path` writes a copy of the object into `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.contents: dict[str, bytes] = {}

    def put(self, content: BinaryIO) -> ObjectReference:
        data = content.read()
        sha256 = hashlib.sha256(data).hexdigest()
        self.contents[sha256] = data
        return ObjectReference(sha256, len(data))

    def read(self, sha256: str) -> Iterator[bytes]:
        check_sha256(sha256)
        if sha256 not in self.contents:
            raise UnknownName("object", sha256, self.contents)
        return self._verified_chunks(sha256)

    def path(self, sha256: str) -> str:
        data = b"".join(self.read(sha256))
        file = self._folder / sha256
        file.write_bytes(data)
        return str(file)

    def stored(self) -> tuple[StoredObject, ...]:
        """An ObjectShelf, as is `remove`. All that is here has always been here."""
        return tuple(StoredObject(key, key, len(data), EPOCH) for key, data in sorted(self.contents.items()))

    def remove(self, stored: StoredObject) -> bool:
        return self.contents.pop(stored.name, None) is not None

    def _verified_chunks(self, sha256: str) -> Iterator[bytes]:
        data = self.contents[sha256]
        yield from (data[start : start + _CHUNK] for start in range(0, len(data), _CHUNK))
        if hashlib.sha256(data).hexdigest() != sha256:
            raise StoreCorrupted(f"The object {sha256} has other bytes than were stored.")
