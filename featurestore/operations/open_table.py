"""Open a table: compare its log with what state has recorded of it, and record what a writer that stopped did not.

State may be behind the log, because a commit comes before its record. It is never ahead: then the log was cut or
changed, and whatever was read from it would be wrong without anybody noticing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256

from featurestore.errors import DatasetGone, TableDamaged
from featurestore.intervals import Interval
from featurestore.operations.sides import Ledger, OfflineSide
from featurestore.ports.commits import RecordedFile, TableChange, TableCommit
from featurestore.ports.offline_store import Snapshot

RESTORE = (
    "Nothing was changed. `knownat verify --repair` puts log entries back as they were recorded; `knownat verify "
    "--deep` names the datasets and models that are touched."
)
UNFINISHED = (
    "It was never recorded as done, so nobody relies on it: the machine stopped while it was written. `knownat verify "
    "--repair` removes it; then do again what was under way."
)


def open_table(table: str, offline: OfflineSide, *, days: Interval | None = None) -> Snapshot:
    """The newest version of the table, or of these days of it, and all of it recorded in state.

    Raises TableDamaged when the log is not what state has recorded, NotApplied when there is no table.
    """
    recorded = check_log(table, offline)
    snapshot = offline.tables.snapshot(table, days=days)
    if recorded is not None and days is None and recorded.version == snapshot.version:
        _check_rows(table, snapshot.version, snapshot, recorded.rows)
    if recorded is None or recorded.version < snapshot.version:
        record_commits(table, offline.ledger)
    return snapshot


def recorded_version(table: str, offline: OfflineSide) -> int:
    """The newest version of the table, without opening it where state has recorded all that the log has. Raises as
    `open_table` does where it has not."""
    recorded = offline.ledger.commits.last(table)
    if recorded is None or offline.ledger.log.entry(table, recorded.version + 1) is not None:
        return open_table(table, offline).version
    return recorded.version


def version_to_replace(table: str, offline: OfflineSide) -> int:
    """The newest version, for a writer that is about to replace days of it. Raises as `open_table` does, but for files
    that are missing: filling their days again is what mends it."""
    try:
        return open_table(table, offline).version
    except DatasetGone:
        for commit in offline.ledger.commits.commits(table):
            _check_content(table, commit, content_at(table, commit.version, offline.ledger))
        return offline.ledger.log.versions(table)[-1]


def open_version(table: str, version: int, offline: OfflineSide) -> Snapshot:
    """The table at an earlier version, as it was recorded.

    Raises DatasetGone when files of it are missing, TableDamaged when the log is not what was recorded.
    """
    recorded = check_log(table, offline)
    snapshot = offline.tables.snapshot(table, version=version)
    if recorded is not None and version <= recorded.version:
        files = files_at(table, version, offline.ledger)
        _check_rows(table, version, snapshot, sum(file.rows for file in files))
    return snapshot


def files_at(table: str, version: int, ledger: Ledger) -> tuple[RecordedFile, ...]:
    """The files that were recorded for a version, in the order of their paths."""
    return tuple(file for file in ledger.commits.files(table) if file.belongs_to(version))


def damaged_files(table: str, version: int, ledger: Ledger) -> Iterator[tuple[str, str]]:
    """The files recorded for a version that are missing, or have other bytes now: path, and what was found."""
    for file in files_at(table, version, ledger):
        found = ledger.files.digest(table, file.path)
        if found is None:
            yield file.path, "no file"
        elif file.sha256 not in (None, found):
            yield file.path, f"sha256 {found[:12]}, not the {(file.sha256 or '')[:12]} that was written"


def content_at(table: str, version: int, ledger: Ledger) -> bytes:
    """The log entry's bytes, whatever they are; none where there is no entry."""
    entry = ledger.log.entry(table, version)
    return b"" if entry is None else entry.content


def record_commits(table: str, ledger: Ledger) -> None:
    """Record what the log has beyond the record, with a digest of every file that it added.

    Where nothing is recorded at all, the table was filled before digests were kept: reading all of it now would take
    long, so its files go without, until `verify --deep` has read them.
    """
    last = ledger.commits.last(table)
    later = [version for version in ledger.log.versions(table) if last is None or version > last.version]
    changes = [ledger.log.change(table, version) for version in later]
    is_old = last is None and len(changes) > 1
    ledger.commits.record(table, changes if is_old else [_with_digests(table, change, ledger) for change in changes])


def check_log(table: str, offline: OfflineSide) -> TableCommit | None:
    """The newest commit that is recorded, when the log agrees with it. Raises TableDamaged."""
    recorded = offline.ledger.commits.last(table)  # before the log: another process may commit meanwhile
    expected = offline.coverage.coverage(table).version if recorded is None else recorded.version
    versions = offline.ledger.log.versions(table)
    if not versions and recorded is None:
        return None  # no table: whoever opens it says so
    if missing := set(range(max(expected, *versions, 0) + 1)) - set(versions):
        listed = ", ".join(map(str, sorted(missing)[:10]))
        raise TableDamaged(table, f"log entries up to version {expected}", f"none for version {listed}", RESTORE)
    if recorded is not None:
        _check_content(table, recorded, content_at(table, recorded.version, offline.ledger))
    for version in versions[expected + 1 :]:
        _check_finished(table, version, offline.ledger)
    return recorded


def _check_content(table: str, recorded: TableCommit, found: bytes) -> None:
    if found == recorded.content.encode():
        return
    expected = f"{len(recorded.content.encode())} bytes with sha256 {recorded.digest[:12]}"
    told = f"{len(found)} bytes with sha256 {sha256(found).hexdigest()[:12]}" if found else "an empty file"
    raise TableDamaged(table, f"the log entry of version {recorded.version} to be {expected}", told, RESTORE)


def _check_finished(table: str, version: int, ledger: Ledger) -> None:
    try:
        ledger.log.change(table, version)
    except TableDamaged as error:
        raise TableDamaged(table, error.expected, error.found, UNFINISHED) from error


def _check_rows(table: str, version: int, snapshot: Snapshot, recorded: int) -> None:
    if snapshot.rows != recorded:
        raise TableDamaged(table, f"{recorded:,} rows at version {version}", f"{snapshot.rows:,}", RESTORE)


def _with_digests(table: str, change: TableChange, ledger: Ledger) -> TableChange:
    added = tuple(replace(file, sha256=ledger.files.digest(table, file.path)) for file in change.added)
    return replace(change, added=added)
