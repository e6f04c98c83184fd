"""The tables' commits in memory: the twin of `sql_commits.py`, for tests and trying things out."""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from dataclasses import replace

from featurestore.ports.commits import RecordedFile, TableChange, TableCommit


class MemoryCommits:
    """A CommitState and a CommitUpkeep."""

    def __init__(self) -> None:
        self._commits: dict[str, list[TableCommit]] = {}
        self._files: dict[str, dict[str, RecordedFile]] = {}
        self._lock = threading.Lock()

    def last(self, table: str) -> TableCommit | None:
        commits = self._commits.get(table)
        return commits[-1] if commits else None

    def commits(self, table: str) -> tuple[TableCommit, ...]:
        return tuple(self._commits.get(table, ()))

    def files(self, table: str) -> tuple[RecordedFile, ...]:
        return tuple(file for _, file in sorted(self._files.get(table, {}).items()))

    def record(self, table: str, changes: Sequence[TableChange]) -> None:
        with self._lock:
            commits = self._commits.setdefault(table, [])
            for change in changes:
                if not commits or change.version > commits[-1].version:
                    commits.append(self._commit(table, change))

    def tables(self) -> tuple[str, ...]:
        return tuple(sorted(table for table, commits in self._commits.items() if commits))

    def take_digest(self, table: str, path: str, sha256: str) -> None:
        file = self._files.get(table, {}).get(path)
        if file is not None and file.sha256 is None:
            self._files[table][path] = replace(file, sha256=sha256)

    def forget_files(self, table: str, paths: Collection[str]) -> None:
        for path in paths:
            self._files.get(table, {}).pop(path, None)

    def forget(self, table: str) -> None:
        self._commits.pop(table, None)
        self._files.pop(table, None)

    def _commit(self, table: str, change: TableChange) -> TableCommit:
        files = self._files.setdefault(table, {})
        for path in change.removed:
            if path in files:
                files[path] = replace(files[path], removed_in=change.version)
        for file in change.added:
            files[file.path] = RecordedFile(file.path, file.size, file.rows, file.sha256, change.version)
        rows = sum(file.rows for file in files.values() if file.removed_in is None)
        return TableCommit(change.version, rows, change.content)
