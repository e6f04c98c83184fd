"""Verify one table: its log against what state has recorded of it, and every file that a live version needs.

Live are the newest version and those that datasets pin.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from featurestore.errors import KnownatError, TableDamaged
from featurestore.operations.damage import Damage, DamageKind
from featurestore.operations.open_table import content_at, record_commits
from featurestore.operations.premises import Dependents, Premises
from featurestore.ports.commits import RecordedFile, TableCommit
from featurestore.ports.table_files import StoredFile

_REPAIR = "`knownat verify --repair` puts it back as it was recorded."
_DISCARD = "It was never recorded as done: `knownat verify --repair` removes it. Then run the backfill again."
_REFILL = (
    "Put the file back from a backup. Without one, `knownat backfill --recompute` fills the newest version again; "
    "datasets that pin it can not be rebuilt any more."
)
_LOST = "Put its folder back from a backup. Without one, `knownat apply` fills it anew, but what was pinned is gone."
_GONE = "Put the table's folder and the state back from a backup. Without one, what the dataset pinned is gone."
_CHECKPOINT = (
    "The log's entries are as they were recorded, so it is a checkpoint: remove `*.checkpoint.parquet` and "
    "`_last_checkpoint` from the table's `_delta_log`. They are made of the entries, and are made again."
)


@dataclass(slots=True)
class Looked:
    """How much was looked at so far."""

    versions: int = 0
    files: int = 0
    hashed_bytes: int = 0
    digests_taken: int = 0
    online_rows: int = 0


@dataclass(frozen=True, slots=True)
class TableVerifier:
    """One look at one table. `deep` reads every file."""

    table: str
    premises: Premises
    dependents: Dependents
    deep: bool
    looked: Looked = field(default_factory=Looked)

    def damages(self) -> Iterator[Damage]:
        """Everything that is wrong with it."""
        ledger = self.premises.offline.ledger
        filled = self.premises.offline.coverage.coverage(self.table).version  # before the log, which may grow
        recorded = ledger.commits.commits(self.table)
        versions = ledger.log.versions(self.table)
        replaced = self._replaced(recorded)
        pinned = {pin.version for pin in self.dependents.pins(self.table) if pin.dataset not in replaced}
        expected = max([filled, *(commit.version for commit in recorded), *pinned], default=0)
        if not versions:
            if recorded or expected:
                yield self._lost(expected)
            return
        yield from replaced.values()
        found = [*self._log_damages(recorded, versions, expected)]
        yield from found
        if not found:
            record_commits(self.table, ledger)  # what a writer that stopped has left behind
        live = sorted({versions[-1] if not found else expected, *pinned})
        self.looked.versions += len(live)
        missing = set()
        for damage, file in self._file_damages(live):
            missing.add(file.path)
            yield damage
        if not found:
            yield from self._opened(live, missing)

    def _replaced(self, recorded: tuple[TableCommit, ...]) -> dict[str, Damage]:
        """For each dataset whose version is not the one it was pulled from: the table was lost, and filled anew."""
        digests = {commit.version: commit.digest for commit in recorded}
        return {
            pin.dataset: Damage(
                kind=DamageKind.TABLE,
                what=self.table,
                version=pin.version,
                expected=f"the version whose log entry has sha256 {pin.commit[:12]}",
                found="a table that was filled anew since",
                remedy=_GONE,
                datasets=(pin.dataset,),
                models=self.dependents.models([pin.dataset]),
            )
            for pin in self.dependents.pins(self.table)
            if recorded and pin.commit is not None and digests.get(pin.version) != pin.commit
        }

    def _lost(self, newest: int) -> Damage:
        return self._damage(DamageKind.TABLE, 0, (f"{newest + 1} versions of it", "no table at all"), remedy=_LOST)

    def _log_damages(
        self, recorded: tuple[TableCommit, ...], versions: tuple[int, ...], expected: int
    ) -> Iterator[Damage]:
        ledger = self.premises.offline.ledger
        for commit in recorded:
            content = content_at(self.table, commit.version, ledger)
            if content != commit.content.encode():
                told = _told(content, is_there=commit.version in versions)
                wanted = f"a log entry of {len(commit.content.encode())} bytes with sha256 {commit.digest[:12]}"
                yield self._damage(DamageKind.LOG, commit.version, (wanted, told), remedy=_REPAIR)
        known = {commit.version for commit in recorded}
        for version in sorted(set(range(max(expected, versions[-1]) + 1)) - known):
            try:
                ledger.log.change(self.table, version)
            except TableDamaged as error:
                remedy = _DISCARD if version > expected else "Put the entry back from a backup."
                yield self._damage(DamageKind.LOG, version, (error.expected, error.found), remedy=remedy)

    def _file_damages(self, live: list[int]) -> Iterator[tuple[Damage, RecordedFile]]:
        stored = {file.path: file for file in self.premises.offline.ledger.files.stored(self.table)}
        for file in self.premises.offline.ledger.commits.files(self.table):
            touched = [version for version in live if file.belongs_to(version)]
            if not touched:
                continue
            self.looked.files += 1
            if (found := self._difference(file, stored.get(file.path))) is not None:
                expected = f"{file.size:,} bytes" + (f" with sha256 {file.sha256[:12]}" if file.sha256 else "")
                yield self._damage(DamageKind.FILE, touched[0], (expected, found), remedy=_REFILL, file=file), file

    def _difference(self, file: RecordedFile, stored: StoredFile | None) -> str | None:
        """How the file differs from what was written; None when it does not."""
        if stored is None:
            return "no file"
        if stored.size != file.size:
            return f"{stored.size:,} bytes"
        if not self.deep:
            return None
        self.looked.hashed_bytes += stored.size
        found = self.premises.offline.ledger.files.digest(self.table, file.path)
        if found is not None and file.sha256 is None:
            self.premises.upkeep.commits.take_digest(self.table, file.path, found)
            self.looked.digests_taken += 1
            return None
        return None if found == file.sha256 else "no file" if found is None else f"sha256 {found[:12]}"

    def _opened(self, live: list[int], missing: set[str]) -> Iterator[Damage]:
        """The versions as readers open them: checkpoints are part of the way there."""
        files = self.premises.offline.ledger.commits.files(self.table)
        for version in live:
            wanted = [file for file in files if file.belongs_to(version)]
            if any(file.path in missing for file in wanted):
                continue
            expected = f"{len(wanted)} files with {sum(file.rows for file in wanted):,} rows"
            try:
                snapshot = self.premises.offline.tables.snapshot(self.table, version=version)
                found = f"{len(snapshot.files.paths)} files with {snapshot.rows:,} rows"
            except KnownatError as error:
                found = error.message
            if found != expected:
                yield self._damage(DamageKind.TABLE, version, (expected, found), remedy=_CHECKPOINT)

    def _damage(
        self,
        kind: DamageKind,
        version: int,
        difference: tuple[str, str],
        *,
        remedy: str,
        file: RecordedFile | None = None,
    ) -> Damage:
        """With who is touched: datasets by the versions they pin; models by their datasets and, as their online values
        come out of the newest version, by the table."""
        holds = file.belongs_to if file is not None else lambda pinned: pinned >= version
        datasets = self.dependents.datasets(self.table, holds)
        touches_newest = file is None or file.removed_in is None
        concerned = self.dependents.datasets(self.table, lambda _: True) if touches_newest else datasets
        return Damage(
            kind=kind,
            what=self.table,
            version=version,
            path=None if file is None else file.path,
            expected=difference[0],
            found=difference[1],
            remedy=remedy,
            datasets=datasets,
            models=self.dependents.models(concerned),
        )


def _told(content: bytes, *, is_there: bool) -> str:
    if not is_there:
        return "no entry"
    return f"{len(content)} other bytes" if content else "an empty file"
