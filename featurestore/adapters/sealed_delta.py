"""Delta tables of our own in a folder, that say themselves what they should be.

Delta's log on a local disk is not trusted: an empty entry opens without a word, and rows are missing. State keeps no
record of what is pushed or logged, since that would cost each push a transaction. So a file's name ends with the digest
of its bytes, and each entry of the log says the digest of the one before it. The newest entry alone has nobody who
speaks for it; that it is not empty is looked at whenever a table is opened.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from featurestore.adapters.addresses import table_address
from featurestore.adapters.delta_log import LOG_FOLDER, changes_of
from featurestore.adapters.durable import sync
from featurestore.ports.kept_rows import FileFault, FileLooked, LogFault

if TYPE_CHECKING:
    from deltalake import DeltaTable

BEFORE = "knownat.before"
"""Where a commit says the digest of the log entry before it."""
_ENTRY = re.compile(r"(\d{20})\.json")
_SEALED = re.compile(r"\.([0-9a-f]{32})\.parquet")
_DIGEST_LETTERS = 32


class SealedTables:
    """The tables in subfolders of a folder. `keeps_log`: none of their log entries is ever removed."""

    def __init__(self, folder: Path, name: str, *, keeps_log: bool) -> None:
        self._folder = folder
        self._keeps_log = keeps_log
        self.name = name

    def tables(self) -> tuple[str, ...]:
        if not self._folder.is_dir():
            return ()
        return tuple(sorted(path.name for path in self._folder.iterdir() if (path / LOG_FOLDER).is_dir()))

    def look(self, table: str, *, deep: bool) -> Iterator[LogFault | FileFault | FileLooked]:
        folder = self._folder / table
        contents = {version: _entry(folder, version).read_bytes() for version in _versions(folder)}
        first = 0 if self._keeps_log or not contents else min(contents)
        files: dict[str, tuple[int, int]] = {}
        for version in range(first, max(contents, default=-1) + 1):
            content = contents.get(version)
            changes = None if content is None else changes_of(content)
            if content is None or changes is None:
                found = "no entry" if content is None else f"{len(content)} bytes that are not one"
                yield LogFault(table, version, "a log entry", found)
                continue
            files |= {added.path: (version, added.size) for added in changes.added}
            for removed in changes.removed:
                files.pop(removed, None)
            yield from _broken_link(table, version, content, contents.get(version - 1))
        if not self._keeps_log and first:
            files = _opened(folder, first - 1) | files
        for path, (version, size) in sorted(files.items()):
            yield _looked(folder, path, version, size, deep=deep)


def write_sealed(folder: Path, rows: pa.Table, stem: str) -> Path:
    """A new file of the rows, synced, whose name begins with the stem and ends with the digest of its bytes."""
    import pyarrow.parquet as pq  # 4 MB, which a process that only looks features up never needs

    stream = pa.BufferOutputStream()
    pq.write_table(rows, stream, compression="zstd")
    content = stream.getvalue()
    file = folder / f"{stem}.{_digest(content)}.parquet"
    try:
        with file.open("xb") as written:
            written.write(content)
        sync(file)
        sync(folder)
    except OSError:
        file.unlink(missing_ok=True)  # on a full disk, its space is what others need
        raise
    return file


def link(folder: Path, table: DeltaTable) -> dict[str, str]:
    """What the next commit says of the newest entry that the table object knows."""
    entry = _entry(folder, int(table.version()))
    return {BEFORE: _digest(entry.read_bytes())} if entry.is_file() else {}


def empty_entry(folder: Path, version: int) -> int | None:
    """The first of the entries from the last checkpoint up to this version that holds nothing: those which opening a
    table reads."""
    for number in range(_checkpoint(folder) + 1, version + 1):
        entry = _entry(folder, number)
        if entry.is_file() and not entry.stat().st_size:
            return number
    return None


def _broken_link(table: str, version: int, content: bytes, before: bytes | None) -> Iterator[LogFault]:
    told = _told_of_before(content)
    if told is None or before is None:  # an earlier release says nothing; an entry that is missing has been told
        return
    if before and _digest(before) != told:
        yield LogFault(table, version - 1, f"a log entry with sha256 {told[:12]}", f"sha256 {_digest(before)[:12]}")


def _told_of_before(content: bytes) -> str | None:
    actions: list[dict[str, Any]] = [json.loads(line) for line in content.decode().splitlines()]
    told = [action["commitInfo"].get(BEFORE) for action in actions if "commitInfo" in action]
    return str(told[0]) if told and told[0] else None


def _looked(folder: Path, path: str, version: int, size: int, *, deep: bool) -> FileFault | FileLooked:
    file, sealed = folder / path, _SEALED.search(path)
    expected = f"{size:,} bytes" + (f" with sha256 {sealed[1][:12]}" if sealed else "")
    if not file.is_file():
        return FileFault(folder.name, version, path, expected, "no file")
    if (found := file.stat().st_size) != size:
        return FileFault(folder.name, version, path, expected, f"{found:,} bytes")
    if not deep:
        return FileLooked(0)
    content = file.read_bytes()
    if sealed and _digest(content) != sealed[1]:
        return FileFault(folder.name, version, path, expected, f"sha256 {_digest(content)[:12]}")
    return FileLooked(len(content))


def _opened(folder: Path, version: int) -> dict[str, tuple[int, int]]:
    """The files that a checkpoint knows of: the entries that brought them are gone."""
    from deltalake import DeltaTable

    found = pa.table(DeltaTable(table_address(folder)).get_add_actions(flatten=True)).to_pylist()
    return {str(row["path"]): (version, int(row["size_bytes"])) for row in found}


def _versions(folder: Path) -> Iterator[int]:
    return (int(match[1]) for file in (folder / LOG_FOLDER).iterdir() if (match := _ENTRY.fullmatch(file.name)))


def _entry(folder: Path, version: int) -> Path:
    return folder / LOG_FOLDER / f"{version:020d}.json"


def _checkpoint(folder: Path) -> int:
    try:
        return int(json.loads((folder / LOG_FOLDER / "_last_checkpoint").read_bytes())["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return -1


def _digest(content: bytes | pa.Buffer) -> str:
    return sha256(content).hexdigest()[:_DIGEST_LETTERS]
