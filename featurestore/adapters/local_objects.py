"""Objects in a local folder: the object with sha256 `abcdef…` is the file `ab/cdef…`. A file is whole or not there."""

from __future__ import annotations

import hashlib
import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from io import FileIO
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from featurestore.adapters.durable import sync
from featurestore.errors import InvalidReference, StoreCorrupted, StoreUnavailable, UnknownName
from featurestore.ports.objects import ObjectReference, StoredObject

_SHA256 = re.compile(r"[0-9a-f]{64}")
_CHUNK = 1024 * 1024
_UNFINISHED = "unfinished"


class LocalObjects:
    """An ObjectStore and ObjectShelf whose objects outlive power cuts, and whose damage is noticed by whoever reads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, content: BinaryIO) -> ObjectReference:
        """When reading `content` fails, its error passes through and nothing is stored."""
        unfinished = self._folder / _UNFINISHED / uuid.uuid4().hex
        try:
            reference = self._write_durably(content, unfinished)
            # Also when the object is there already: a damaged one is healed by storing it again.
            self._publish(unfinished, self._file(reference.sha256))
        finally:
            unfinished.unlink(missing_ok=True)
        return reference

    def read(self, sha256: str) -> Iterator[bytes]:
        """Fails at once when there is no such object, not only when the first chunk is asked for."""
        return self._verified_chunks(self._existing_file(sha256), sha256)

    def path(self, sha256: str) -> str:
        file = self._existing_file(sha256)
        for _ in self._verified_chunks(file, sha256):
            pass
        return str(file)

    def stored(self) -> tuple[StoredObject, ...]:
        """An ObjectShelf, as is `remove`. Names are paths below the folder."""
        found = []
        with self._our_errors():
            for file in sorted(self._folder.glob("*/*")):
                with suppress(FileNotFoundError):  # an upload that has just been finished
                    found.append(self._described(file))
        return tuple(found)

    def remove(self, stored: StoredObject) -> bool:
        file = self._folder / stored.name
        with self._our_errors():
            try:
                if self._described(file) != stored:
                    return False
                file.unlink()
            except FileNotFoundError:
                return False
        return True

    def _described(self, file: Path) -> StoredObject:
        found = file.stat()
        sha256 = f"{file.parent.name}{file.name}"
        return StoredObject(
            file.relative_to(self._folder).as_posix(),
            sha256 if _SHA256.fullmatch(sha256) else None,
            found.st_size,
            datetime.fromtimestamp(found.st_mtime, UTC),
        )

    def _file(self, sha256: str) -> Path:
        return self._folder / sha256[:2] / sha256[2:]

    def _existing_file(self, sha256: str) -> Path:
        check_sha256(sha256)
        file = self._file(sha256)
        if not file.is_file():
            raise UnknownName("object", sha256, islice(self._stored(), 12))
        return file

    def _stored(self) -> Iterator[str]:
        return (f"{file.parent.name}{file.name}" for file in self._folder.glob("[0-9a-f][0-9a-f]/*"))

    def _verified_chunks(self, file: Path, sha256: str) -> Iterator[bytes]:
        digest = hashlib.sha256()
        with self._our_errors(), file.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
                yield chunk
        if digest.hexdigest() != sha256:
            raise StoreCorrupted(
                f"The object {file} has other bytes than were stored: its sha256 is {digest.hexdigest()}. "
                "Put the file back from a backup, or store the same content again."
            )

    def _write_durably(self, content: BinaryIO, file: Path) -> ObjectReference:
        digest, size = hashlib.sha256(), 0
        with self._open_new(file) as stream:
            while chunk := content.read(_CHUNK):
                digest.update(chunk)
                size += len(chunk)
                with self._our_errors():
                    _write_all(stream, chunk)
            with self._our_errors():
                os.fsync(stream.fileno())
        return ObjectReference(digest.hexdigest(), size)

    def _open_new(self, file: Path) -> FileIO:
        """Without a buffer, so that closing the file writes nothing and can not fail a second time."""
        with self._our_errors():
            file.parent.mkdir(parents=True, exist_ok=True)
            return file.open("xb", buffering=0)

    def _publish(self, unfinished: Path, file: Path) -> None:
        with self._our_errors():
            file.parent.mkdir(exist_ok=True)
            unfinished.replace(file)
            sync(file.parent)
            sync(self._folder)

    @contextmanager
    def _our_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreUnavailable(f"The object folder {self._folder} can not be used: {error}") from error


def check_sha256(text: str) -> None:
    """Only a hash can name an object: `../../etc/passwd` can not."""
    if not _SHA256.fullmatch(text):
        raise InvalidReference(
            f"{text!r} can not name an object: write the 64 lower-case hexadecimal digits of a sha256"
        )


def _write_all(stream: FileIO, chunk: bytes) -> None:
    rest = memoryview(chunk)
    while rest:
        rest = rest[stream.write(rest) :]
