"""What planning found out before, in one file beside the state.

The file begins with a digest of its content and of what wrote it: the versions of the libraries that findings come
from, and Knownat's own code. A file of other versions, a damaged one and one that is not there are the same: nothing
is remembered. It is replaced as a whole, so that of several writers the last one counts and a reader never sees half.
"""

from __future__ import annotations

from contextlib import suppress
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from uuid import uuid4

import msgspec

from featurestore.adapters.stored_types import read, written
from featurestore.ports.plan_memory import Remembered

_LIBRARIES = ("duckdb", "pyarrow", "sqlglot", "msgspec", "knownat")
_CODE = Path(__file__).parents[1]
_DIGEST_BYTES = 32


class PlanMemoryFile:
    def __init__(self, path: Path) -> None:
        self._path = path

    def recall(self) -> Remembered:
        try:
            content = self._path.read_bytes()
        except OSError:
            return Remembered()
        digest, body = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
        if digest != _digest(body):
            return Remembered()
        return msgspec.msgpack.decode(body, type=Remembered, dec_hook=read)

    def keep(self, remembered: Remembered) -> None:
        body = msgspec.msgpack.encode(remembered, enc_hook=written)
        new = self._path.with_name(f"{self._path.name}.{uuid4().hex}")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            new.write_bytes(_digest(body) + body)
            new.replace(self._path)
        except OSError:
            # On a full or read-only disk planning takes longer the next time, and is as right.
            with suppress(OSError):
                new.unlink(missing_ok=True)


def _digest(body: bytes) -> bytes:
    """Of the content and its writer. Library versions alone would not tell a clone in which someone changes code."""
    digest = sha256("\0".join(f"{name} {version(name)}" for name in _LIBRARIES).encode())
    for file in sorted(_CODE.rglob("*.py")):
        digest.update(file.read_bytes())
    digest.update(body)
    return digest.digest()
