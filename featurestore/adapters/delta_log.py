"""The log of Delta tables in local folders, read entry by entry: what delta-rs opens without a word may be torn."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from featurestore.adapters.durable import sync
from featurestore.errors import TableDamaged
from featurestore.ports.commits import AddedFile, TableChange
from featurestore.ports.table_files import LogEntry

LOG_FOLDER = "_delta_log"
AMENDMENT = "knownat.amendment"
"""The application transaction of commits that no fill made."""
_ENTRY = re.compile(r"(\d{20})\.json")
_REMEDY = "Run `knownat verify`: it says what is touched, and how to mend it."


@dataclass(frozen=True, slots=True)
class EntryChanges:
    """The files that a log entry adds and removes. `is_amendment`: no fill made it."""

    added: tuple[AddedFile, ...]
    removed: tuple[str, ...]
    is_amendment: bool


class DeltaLog:
    """A TableLog. A log is never shortened: its first entry stays, whatever checkpoints there are."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def versions(self, table: str) -> tuple[int, ...]:
        log = table_folder(self._folder, table) / LOG_FOLDER
        if not log.is_dir():
            return ()
        return tuple(sorted(int(match[1]) for file in log.iterdir() if (match := _ENTRY.fullmatch(file.name))))

    def entry(self, table: str, version: int) -> LogEntry | None:
        file = self._file(table, version)
        try:
            return LogEntry(file.read_bytes(), datetime.fromtimestamp(file.stat().st_mtime, UTC))
        except FileNotFoundError:
            return None

    def change(self, table: str, version: int) -> TableChange:
        entry = self.entry(table, version)
        content = b"" if entry is None else entry.content
        changes = changes_of(content)
        if changes is None:
            raise _not_whole(table, version, content)
        return TableChange(version, content.decode(), changes.added, changes.removed, changes.is_amendment)

    def restore(self, table: str, version: int, content: str) -> None:
        file = self._file(table, version)
        file.parent.mkdir(exist_ok=True)
        unfinished = file.with_suffix(".json.tmp")
        with unfinished.open("wb") as stream:
            stream.write(content.encode())
            stream.flush()
            os.fsync(stream.fileno())
        unfinished.replace(file)
        sync(file.parent)

    def discard(self, table: str, version: int) -> None:
        file = self._file(table, version)
        file.unlink(missing_ok=True)
        sync(file.parent)

    def _file(self, table: str, version: int) -> Path:
        return table_folder(self._folder, table) / LOG_FOLDER / f"{version:020d}.json"


def changes_of(content: bytes) -> EntryChanges | None:
    """What a log entry of these bytes changes; None where they are no whole one."""
    try:
        actions = [json.loads(line) for line in content.decode().splitlines()]
        added, removed = tuple(_added(actions)), tuple(_removed(actions))
    except (ValueError, KeyError, TypeError):
        return None
    if not actions:  # no commit is without any
        return None
    return EntryChanges(added, removed, is_amendment=any(map(_amends, actions)))


def table_folder(folder: Path, table: str) -> Path:
    """Where a table lies: `view@fingerprint` is `view/fingerprint`."""
    view, _, fingerprint = table.partition("@")
    return folder / view / fingerprint


def _added(actions: list[dict[str, Any]]) -> Iterator[AddedFile]:
    for action in actions:
        if "add" in action:
            add: Mapping[str, Any] = action["add"]
            rows = int(json.loads(add["stats"])["numRecords"])
            yield AddedFile(unquote(add["path"]), int(add["size"]), rows)


def _removed(actions: list[dict[str, Any]]) -> Iterator[str]:
    for action in actions:
        if "remove" in action:
            yield unquote(action["remove"]["path"])


def _amends(action: dict[str, Any]) -> bool:
    return bool(action.get("txn", {}).get("appId") == AMENDMENT)


def _not_whole(table: str, version: int, content: bytes) -> TableDamaged:
    found = f"{len(content)} bytes that are not one" if content else "nothing there"
    return TableDamaged(table, f"a log entry for version {version}", found, _REMEDY)
