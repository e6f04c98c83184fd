"""The files of a source: which a path means, and which version of its content each is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from hashlib import sha256
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from featurestore.adapters.s3_storage import S3Storage, storage_reason
from featurestore.errors import SourceError

if TYPE_CHECKING:
    from pyarrow import fs

_S3 = "s3://"
_WILD = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file. `shown` is what people call it; `key` is what its file system calls it. `name` is its path below the data
    folder, so that a project that was moved still knows its files."""

    shown: str
    name: str
    key: str
    folders: tuple[str, ...]
    """The folders it lies in, below the one that the source names."""
    version: str
    """Changes when the content does: what can be told without reading it."""
    modified: int
    """Nanoseconds: which of several files is the newest."""
    files: fs.FileSystem
    is_local: bool

    @property
    def digest(self) -> str:
        return sha256(self.version.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class WantedFiles:
    """What a source looks for: a path, the files that a folder stands for, and whether its subfolders count."""

    source: str
    path: str
    suffix: str
    with_subfolders: bool = False


class SourceFiles:
    """Files of a local disk, where paths are relative to `folder`, and of S3, where they begin with `s3://`."""

    def __init__(self, folder: Path, storage: S3Storage | None = None) -> None:
        self._folder = folder
        self._storage = storage or S3Storage()

    def find(self, wanted: WantedFiles) -> list[SourceFile]:
        """The files in the order of their paths. Raises SourceError when there are none, or nobody answers."""
        if wanted.path.startswith(_S3):
            return self._find_remote(wanted)
        if "://" in wanted.path:
            raise SourceError(
                f"source '{wanted.source}': a path is on this disk or begins with s3://, not {wanted.path}"
            )
        return self._find_local(wanted)

    def _find_remote(self, wanted: WantedFiles) -> list[SourceFile]:
        files = self._storage.filesystem()
        try:
            found = [_remote(files, key) for key in _keys(files, wanted)]
        except OSError as error:
            raise SourceError(f"source '{wanted.source}': {wanted.path}: {storage_reason(error)}") from error
        if not found:
            raise SourceError(f"source '{wanted.source}' has no files: nothing matches {wanted.path}.")
        return found

    def _find_local(self, wanted: WantedFiles) -> list[SourceFile]:
        pattern = Path(wanted.path)
        root = Path(pattern.anchor) if pattern.is_absolute() else self._folder
        relative = str(pattern.relative_to(pattern.anchor)) if pattern.is_absolute() else wanted.path
        base = root / relative
        if base.is_dir():
            relative = f"{relative}/{'**/' if wanted.with_subfolders else ''}*{wanted.suffix}"
        found = sorted(path for path in root.glob(relative) if path.is_file())
        if not found:
            raise SourceError(
                f"source '{wanted.source}' has no files: nothing matches {root / relative}. "
                "Paths are relative to data_folder in knownat.toml."
            )
        return [self._file(path) for path in found]

    def _file(self, path: Path) -> SourceFile:
        status = path.stat()
        name = path.relative_to(self._folder) if path.is_relative_to(self._folder) else path
        version = f"{status.st_size}\0{status.st_mtime_ns}"
        return SourceFile(
            str(path), str(name), str(path), path.parent.parts, version, status.st_mtime_ns, _disk(), is_local=True
        )


@cache
def _disk() -> fs.LocalFileSystem:
    from pyarrow import fs  # 3 MB, which a process that only looks features up never needs

    return fs.LocalFileSystem()


def _keys(files: fs.S3FileSystem, wanted: WantedFiles) -> list[str]:
    """The keys that the path means: an object, those in a folder, or those that a pattern matches."""
    from pyarrow import fs

    path = wanted.path.removeprefix(_S3).rstrip("/")
    parts = path.split("/")
    fixed = list(takewhile(lambda part: not _WILD.search(part), parts))
    if len(fixed) == len(parts):
        if files.get_file_info(path).type is fs.FileType.File:
            return [path]
        parts = [*parts, *(["**"] if wanted.with_subfolders else []), f"*{wanted.suffix}"]
    try:
        listed = files.get_file_info(fs.FileSelector("/".join(fixed), recursive=True))
    except FileNotFoundError:
        return []
    keys = [info.path for info in listed if info.type is fs.FileType.File]
    return sorted(key for key in keys if _matches(key.split("/"), parts))


def _matches(parts: list[str], pattern: list[str]) -> bool:
    """As a shell does; `**` is any number of folders."""
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_matches(parts[skipped:], pattern[1:]) for skipped in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and _matches(parts[1:], pattern[1:])


def _remote(files: fs.S3FileSystem, key: str) -> SourceFile:
    """An object's version is its entity tag: its time of modification has seconds only."""
    info = files.get_file_info(key)
    with files.open_input_file(key) as opened:
        tag = opened.metadata().get("ETag", b"").decode()
    version = f"{info.size}\0{tag or info.mtime_ns}"
    shown = f"{_S3}{key}"
    return SourceFile(shown, shown, key, tuple(key.split("/")[:-1]), version, info.mtime_ns or 0, files, is_local=False)


def version_of(files: list[SourceFile]) -> str:
    """Changes with the files, the version of each, and the folders called `key=value`, which are columns."""
    digest = sha256()
    for file in files:
        *folders, name = file.name.split("/")
        columns = "/".join([*(folder for folder in folders if "=" in folder), name])
        digest.update(f"{columns}\0{file.version}\0".encode())
    return digest.hexdigest()[:16]
