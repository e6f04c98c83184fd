"""The files of a source: which a path means, and which version of its content each is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from featurestore.adapters.s3_storage import S3Storage, storage_reason
from featurestore.adapters.source_paths import AmbiguousPath, FolderFiles, Kind, Parts, Tree, files_of, is_in_folder
from featurestore.errors import SourceError

if TYPE_CHECKING:
    from pyarrow import fs

_S3 = "s3://"
_LEFT_OUT = "What begins with _ or . is no data unless the path says so."


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
    may_be_none: bool = False
    """Whether a folder without such files, or in which nothing matches, is one that has none yet."""


class SourceFiles:
    """Files of a local disk, where paths are relative to `folder`, and of S3, where they begin with `s3://`."""

    def __init__(self, folder: Path, storage: S3Storage | None = None) -> None:
        self._folder = folder
        self._storage = storage or S3Storage()

    def find(self, wanted: WantedFiles) -> list[SourceFile]:
        """The files in the order of their paths. Raises SourceError when there are none, or nobody answers; where there
        may be none, only a folder that is not there is an error."""
        if wanted.path.startswith(_S3):
            return self._find_remote(wanted)
        if "://" in wanted.path:
            raise SourceError(
                f"source '{wanted.source}': a path is on this disk or begins with s3://, not {wanted.path}"
            )
        return self._find_local(wanted)

    def _find_remote(self, wanted: WantedFiles) -> list[SourceFile]:
        files = self._storage.filesystem()
        path = tuple(part for part in wanted.path.removeprefix(_S3).split("/") if part)
        try:
            tree = _KeyTree(files)
            found = ["/".join(parts) for parts in _meant(tree, path, wanted)]
            opened = [_remote(files, key) for key in sorted(found)]
            none_yet = not found and wanted.may_be_none and is_in_folder(tree, path)
        except OSError as error:
            raise SourceError(f"source '{wanted.source}': {wanted.path}: {storage_reason(error)}") from error
        if not opened and not none_yet:
            raise SourceError(f"source '{wanted.source}' has no files: nothing matches {wanted.path}. {_LEFT_OUT}")
        return opened

    def _find_local(self, wanted: WantedFiles) -> list[SourceFile]:
        path = Path(wanted.path)
        root, parts = (Path(path.anchor), path.parts[1:]) if path.is_absolute() else (self._folder, path.parts)
        try:
            tree = _DiskTree(root)
            found = sorted(root.joinpath(*below) for below in _meant(tree, parts, wanted))
        except OSError as error:
            raise SourceError(f"source '{wanted.source}': {root / path} can not be looked through: {error}") from error
        if not found and not (wanted.may_be_none and is_in_folder(tree, parts)):
            looked_for = root / path / _inside(wanted).pattern if (root / path).is_dir() else root / path
            raise SourceError(
                f"source '{wanted.source}' has no files: nothing matches {looked_for}. "
                f"Paths are relative to data_folder in knownat.toml. {_LEFT_OUT}"
            )
        return [self._file(one) for one in found]

    def _file(self, path: Path) -> SourceFile:
        status = path.stat()
        name = path.relative_to(self._folder) if path.is_relative_to(self._folder) else path
        version = f"{status.st_size}\0{status.st_mtime_ns}"
        return SourceFile(
            str(path), str(name), str(path), name.parent.parts, version, status.st_mtime_ns, _disk(), is_local=True
        )


def _inside(wanted: WantedFiles) -> FolderFiles:
    return FolderFiles(wanted.suffix, wanted.with_subfolders)


def _meant(tree: Tree, path: Parts, wanted: WantedFiles) -> set[Parts]:
    try:
        return files_of(tree, path, _inside(wanted))
    except AmbiguousPath as error:
        raise SourceError(
            f"source '{wanted.source}': {wanted.path} can mean two things, as {error.name} is there and {error.other} "
            "matches it as a pattern. Rename that, or write [[], [*] and [?] for the letters themselves."
        ) from error


@dataclass(frozen=True, slots=True)
class _DiskTree:
    """A Tree below a folder of this machine."""

    root: Path

    def kind(self, path: Parts) -> Kind | None:
        return _kind(self.root.joinpath(*path))

    def names(self, folder: Parts) -> Mapping[str, Kind]:
        try:
            with os.scandir(self.root.joinpath(*folder)) as listed:
                return {entry.name: kind for entry in listed if (kind := _kind(entry)) is not None}
        except (FileNotFoundError, NotADirectoryError):
            return {}


def _kind(place: Path | os.DirEntry[str]) -> Kind | None:
    if place.is_dir():
        return Kind.LINKED_FOLDER if place.is_symlink() else Kind.FOLDER
    return Kind.FILE if place.is_file() else None


class _KeyTree:
    """A Tree of an object store's keys. What lies below the first folder that is asked for is listed at once."""

    def __init__(self, files: fs.S3FileSystem) -> None:
        self._files = files
        self._listed: Parts | None = None
        self._folders: dict[Parts, dict[str, Kind]] = {}

    def kind(self, path: Parts) -> Kind | None:
        from pyarrow import fs

        if self._listed is not None and len(path) > len(self._listed) and path[: len(self._listed)] == self._listed:
            return self._folders.get(path[:-1], {}).get(path[-1])
        found = self._files.get_file_info("/".join(path)).type
        return {fs.FileType.File: Kind.FILE, fs.FileType.Directory: Kind.FOLDER}.get(found)

    def names(self, folder: Parts) -> Mapping[str, Kind]:
        if self._listed is None or folder[: len(self._listed)] != self._listed:
            self._list(folder)
        return self._folders.get(folder, {})

    def _list(self, folder: Parts) -> None:
        from pyarrow import fs

        self._listed, self._folders = folder, {}
        try:
            found = self._files.get_file_info(fs.FileSelector("/".join(folder), recursive=True))
        except FileNotFoundError:
            return
        for info in found:
            if info.type is fs.FileType.File:
                path = tuple(info.path.split("/"))
                for depth in range(len(folder), len(path) - 1):
                    self._folders.setdefault(path[:depth], {}).setdefault(path[depth], Kind.FOLDER)
                self._folders.setdefault(path[:-1], {})[path[-1]] = Kind.FILE


@cache
def _disk() -> fs.LocalFileSystem:
    from pyarrow import fs  # 3 MB, which a process that only looks features up never needs

    return fs.LocalFileSystem()


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
