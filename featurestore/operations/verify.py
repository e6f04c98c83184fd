"""Verify: is everything that someone relies on still there, and what it was?

The tables' logs are compared with state, the files of every version that is live with what was recorded of them, the
objects with their names, and the online store's markers with state. A deep look reads every byte.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import assert_never

from featurestore.errors import StoreCorrupted, StoreUnavailable, TableDamaged
from featurestore.graph.resolved import ResolvedView
from featurestore.intervals import show_moment
from featurestore.operations.damage import Damage, DamageKind, VerifyReport
from featurestore.operations.open_table import content_at
from featurestore.operations.premises import Dependents, Premises, dependents
from featurestore.operations.served_views import served_views
from featurestore.operations.stored_rows import UnreadableRow, stored_rows
from featurestore.operations.verify_table import Looked, TableVerifier
from featurestore.ports.kept_rows import FileFault, FileLooked, LogFault
from featurestore.ports.objects import StoredObject
from featurestore.ports.online_store import Key, OnlineTable, TableRead

_LOST_OBJECT = "Put it back from a backup; storing the same content again does it too."
_MATERIALIZE = "`knownat materialize --full` writes every key again."
_LOST_ENTRY = (
    "Put the entry back from a backup. Without one, rows that were pushed under a key can be pushed again under it; "
    "then run `knownat run --due`."
)
_LOST_ROWS = "Put the file back from a backup. The views that were filled from it hold its rows as they are."
_KEYS_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Restored:
    """A log entry that was put back as it was recorded, or removed because it was never finished."""

    table: str
    version: int
    removed: bool


@dataclass(frozen=True, slots=True)
class _Needed:
    """An object, and who needs it."""

    sha256: str
    what: str
    size: int | None
    datasets: tuple[str, ...]
    models: tuple[str, ...]


def verify(premises: Premises, *, deep: bool = False) -> VerifyReport:
    """Look at everything that is relied on; change nothing but the digests of files that have none."""
    known = dependents(premises.project)
    looked = Looked()
    damages: list[Damage] = []
    tables = _tables(premises, known)
    for table in tables:
        damages += TableVerifier(table, premises, known, deep, looked).damages()
    needed = tuple(_needed_objects(premises, known))
    damages += _object_damages(needed, premises, looked, deep=deep)
    damages += _kept_damages(premises, looked, deep=deep)
    damages += _online_damages(premises, known, looked, deep=deep)
    return VerifyReport(
        len(tables),
        looked.versions,
        looked.files,
        len({one.sha256 for one in needed}),
        looked.hashed_bytes,
        looked.digests_taken,
        tuple(damages),
        looked.online_rows,
    )


def repair_logs(premises: Premises) -> Iterator[Restored]:
    """Put every log entry back as it was recorded, and remove those that were never finished. Consume the iterator."""
    ledger = premises.offline.ledger
    for table in premises.upkeep.commits.tables():
        recorded = ledger.commits.commits(table)
        if not ledger.log.versions(table) and not ledger.files.stored(table):
            continue  # the whole table is gone: a log alone brings no rows back
        for commit in recorded:
            if content_at(table, commit.version, ledger) != commit.content.encode():
                ledger.log.restore(table, commit.version, commit.content)
                yield Restored(table, commit.version, removed=False)
        for version in ledger.log.versions(table):
            if version > recorded[-1].version and not _is_whole(table, version, premises):
                ledger.log.discard(table, version)
                yield Restored(table, version, removed=True)


def _is_whole(table: str, version: int, premises: Premises) -> bool:
    try:
        premises.offline.ledger.log.change(table, version)
    except TableDamaged:
        return False
    return True


def _tables(premises: Premises, known: Dependents) -> tuple[str, ...]:
    applied = premises.project.catalog.current()
    views = applied.graph.views if applied else ()
    recorded = premises.upkeep.commits.tables()
    return tuple(sorted({*recorded, *known.tables(), *(view.table for view in views)}))


def _needed_objects(premises: Premises, known: Dependents) -> Iterator[_Needed]:
    for manifest in known.manifests:
        users = known.models([manifest.id])
        yield _Needed(manifest.result, "result", manifest.result_size, (manifest.id,), users)
        if manifest.spine_kept:
            yield _Needed(manifest.spine, "spine", None, (manifest.id,), users)
        if manifest.served is not None:
            yield _Needed(manifest.served, "publish history", None, (manifest.id,), users)
    for use in premises.upkeep.object_usage.objects():
        yield _Needed(use.sha256, "artifact", use.size, (), (use.user,))


def _object_damages(needed: tuple[_Needed, ...], premises: Premises, looked: Looked, *, deep: bool) -> Iterator[Damage]:
    stored = {one.sha256: one for one in premises.upkeep.shelf.stored()}
    verdicts: dict[str, str | None] = {}
    for one in needed:
        if one.sha256 not in verdicts:
            verdicts[one.sha256] = _object_difference(one, stored.get(one.sha256), premises, deep=deep)
            looked.hashed_bytes += stored[one.sha256].size if deep and one.sha256 in stored else 0
        if (found := verdicts[one.sha256]) is not None:
            size = "" if one.size is None else f" of {one.size:,} bytes"
            yield Damage(
                kind=DamageKind.OBJECT,
                what=one.what,
                path=stored[one.sha256].name if one.sha256 in stored else one.sha256,
                expected=f"an object{size} with sha256 {one.sha256[:12]}",
                found=found,
                remedy=_LOST_OBJECT,
                datasets=one.datasets,
                models=one.models,
            )


def _object_difference(one: _Needed, stored: StoredObject | None, premises: Premises, *, deep: bool) -> str | None:
    if stored is None:
        return "no object"
    if one.size is not None and stored.size != one.size:
        return f"{stored.size:,} bytes"
    if not deep:
        return None
    try:
        for _ in premises.archive.objects.read(one.sha256):
            pass
    except StoreCorrupted:
        return "other bytes"
    return None


def _kept_damages(premises: Premises, looked: Looked, *, deep: bool) -> Iterator[Damage]:
    """Of pushed rows and the serving log."""
    for kept in premises.kept_rows:
        for table in kept.tables():
            for found in kept.look(table, deep=deep):
                looked.files += not isinstance(found, LogFault)
                match found:
                    case FileLooked(read_bytes):
                        looked.hashed_bytes += read_bytes
                    case LogFault(version=version, expected=expected, found=instead):
                        yield Damage(
                            kind=DamageKind.LOG, what=f"{kept.name} '{table}'", version=version, expected=expected,
                            found=instead, remedy=_LOST_ENTRY,
                        )  # fmt: skip
                    case FileFault(version=version, path=path, expected=expected, found=instead):
                        yield Damage(
                            kind=DamageKind.FILE, what=f"{kept.name} '{table}'", version=version, path=path,
                            expected=expected, found=instead, remedy=_LOST_ROWS,
                        )  # fmt: skip
                    case _:
                        assert_never(found)


def _online_damages(premises: Premises, known: Dependents, looked: Looked, *, deep: bool) -> Iterator[Damage]:
    if premises.project.catalog.current() is None:
        return
    for view in served_views(premises.project):
        try:
            found = _online_difference(view, premises) or (_damaged_rows(view, premises, looked) if deep else None)
        except (StoreUnavailable, StoreCorrupted) as error:
            yield Damage(
                kind=DamageKind.ONLINE, what=view.table, expected="an answer", found=error.message, remedy=_MATERIALIZE
            )
            return
        if found is not None:
            models = known.models(known.datasets(view.table, lambda _: True))
            yield replace(found, models=models)


def _damaged_rows(view: ResolvedView, premises: Premises, looked: Looked) -> Damage | None:
    """Every row of the view's table is read."""
    table, damaged, count = OnlineTable.of(view), list[Key](), 0
    for keys in premises.online.store.all_keys(table):
        rows = stored_rows(premises.online.store, table, keys).rows
        count += len(rows)
        damaged += [key for key, row in zip(keys, rows, strict=True) if isinstance(row, UnreadableRow)]
    looked.online_rows += count
    if not damaged:
        return None
    some = ", ".join(map(str, damaged[:_KEYS_SHOWN])) + (", …" if len(damaged) > _KEYS_SHOWN else "")
    return Damage(
        kind=DamageKind.ONLINE,
        what=view.table,
        expected=f"{count:,} rows as they were written",
        found=f"{len(damaged):,} that are not, of {some}",
        remedy=_MATERIALIZE,
    )


def _online_difference(view: ResolvedView, premises: Premises) -> Damage | None:
    last = premises.online.progress.last(premises.online.address, view.table)
    filled = premises.online.store.read([TableRead(OnlineTable.of(view), [])])[0].filled
    marker = None if filled is None else filled.to
    if last is None or (marker is not None and marker >= last.filled_to):
        return None
    return Damage(
        kind=DamageKind.ONLINE,
        what=view.table,
        expected=f"rows up to {show_moment(last.filled_to)}",
        found="nothing" if marker is None else f"rows up to {show_moment(marker)}",
        remedy=_MATERIALIZE,
    )
