"""The files of a source: which a path means, and which version of its content each is."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from pyarrow import fs

from featurestore.errors import SourceError


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
    """Files of a local disk, where paths are relative to `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._local = fs.LocalFileSystem()

    def find(self, wanted: WantedFiles) -> list[SourceFile]:
        """The files in the order of their paths. Raises SourceError when there are none."""
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
            str(path), str(name), str(path), path.parent.parts, version, status.st_mtime_ns, self._local, is_local=True
        )


def version_of(files: list[SourceFile]) -> str:
    """Changes with the files and the version of each."""
    digest = sha256()
    for file in files:
        digest.update(f"{file.shown.rpartition('/')[2]}\0{file.version}\0".encode())
    return digest.hexdigest()[:16]
