"""Garbage: what nobody needs, decided from what is there and who needs what. Pure; `collect_garbage` acts on it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from featurestore.ports.commits import RecordedFile
from featurestore.ports.object_usage import ObjectUse
from featurestore.ports.objects import StoredObject
from featurestore.ports.online_store import OnlineTable
from featurestore.ports.table_files import StoredFile

DEFAULT_GRACE = timedelta(hours=24)
"""How long what nobody needs is left alone: whoever is at work on it has recorded nothing yet."""

_YOUNG = "it was written lately, and someone may be at work on it"


class GarbageKind(Enum):
    TABLE = "table"
    """A whole offline table: nobody needs its fingerprint."""
    VERSIONS = "versions"
    """Files of a table's earlier versions that nobody pins."""
    LEFTOVERS = "leftovers"
    """Files that no commit ever named: their writers were stopped."""
    LOST = "lost"
    """The record of a table whose folder is gone."""
    OBJECT = "object"
    """A spine, result or artifact that nobody names, or an upload that was never finished."""
    ONLINE = "online"
    """A table of the online store: nobody asks for its fingerprint."""


@dataclass(frozen=True, slots=True)
class Garbage:
    """One thing to remove, and why it may go. `paths` are below the table's folder."""

    kind: GarbageKind
    what: str
    size: int
    because: str
    paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Kept:
    """One thing that stays, and everything that needs it."""

    what: str
    size: int
    because: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Need:
    """Somebody needs a table: one version of it, or None for the newest."""

    table: str
    version: int | None
    because: str
    online: bool = True
    """Whether the online table of the same name is needed, too, if `version` is None."""


@dataclass(frozen=True, slots=True)
class TableFacts:
    """What there is of one table. `removed_at`: when the commits were made that left files behind, by version."""

    table: str
    exists: bool
    files: tuple[RecordedFile, ...]
    stored: tuple[StoredFile, ...]
    removed_at: Mapping[int, datetime]
    changed_at: datetime | None
    damage: str | None = None

    @property
    def size(self) -> int:
        return sum(file.size for file in self.stored)


@dataclass(frozen=True, slots=True)
class OnlineFacts:
    """An online table that was filled. `table` is None where nobody knows its columns any more."""

    name: str
    table: OnlineTable | None
    written_at: datetime


@dataclass(frozen=True, slots=True)
class GarbagePlan:
    """What will be removed, and what will not. `horizon`: an object that is stored again after it stays."""

    garbage: tuple[Garbage, ...]
    kept: tuple[Kept, ...]
    horizon: datetime

    @property
    def size(self) -> int:
        return sum(one.size for one in self.garbage)


def table_garbage(facts: TableFacts, needs: Collection[Need], horizon: datetime) -> Iterator[Garbage | Kept]:
    """What goes of a table, and what stays. `horizon`: what was written after it is left alone."""
    because = tuple(dict.fromkeys(need.because for need in needs))
    if facts.damage is not None:
        yield Kept(facts.table, facts.size, (*because, f"it is damaged, see `knownat verify`: {facts.damage}"))
    elif not facts.exists and not facts.stored:
        yield _of_lost(facts, because)
    elif not needs:
        yield _of_unneeded(facts, horizon)
    else:
        yield from _of_needed(facts, needs, because, horizon)


def object_garbage(
    stored: Iterable[StoredObject], needs: Mapping[str, tuple[str, ...]], horizon: datetime
) -> Iterator[Garbage | Kept]:
    """`needs` says for a sha256 who needs it."""
    for one in stored:
        if one.sha256 is not None and one.sha256 in needs:
            yield Kept(f"object:{one.sha256[:12]}", one.size, needs[one.sha256])
        elif one.modified_at > horizon:
            yield Kept(f"object:{one.name}", one.size, (_YOUNG,))
        else:
            because = "nobody names it" if one.sha256 else "its upload was never finished"
            yield Garbage(GarbageKind.OBJECT, one.name, one.size, because)


def object_needs(
    datasets: Iterable[tuple[str, Iterable[str]]], used: Iterable[ObjectUse]
) -> dict[str, tuple[str, ...]]:
    """For each object, who needs it: `datasets` are their ids with their objects."""
    needs: dict[str, list[str]] = {}
    for dataset, objects in datasets:
        for sha256 in objects:
            needs.setdefault(sha256, []).append(f"dataset:{dataset[:12]}")
    for use in used:
        needs.setdefault(use.sha256, []).append(use.user)
    return {sha256: tuple(dict.fromkeys(who)) for sha256, who in needs.items()}


def online_garbage(
    filled: Iterable[OnlineFacts], needs: Mapping[str, str], horizon: datetime
) -> Iterator[Garbage | Kept]:
    """`needs` says for an online table's name who asks for it."""
    for one in filled:
        what = f"online:{one.name}"
        if one.name in needs:
            yield Kept(what, 0, (needs[one.name],))
        elif one.table is None:
            yield Kept(what, 0, ("nobody knows its columns any more, so its keys can not be found",))
        elif one.written_at > horizon:
            yield Kept(what, 0, (_YOUNG,))
        else:
            yield Garbage(GarbageKind.ONLINE, one.name, 0, "no applied view and no model asks for it")


def _of_lost(facts: TableFacts, because: tuple[str, ...]) -> Garbage | Kept:
    """The record of what somebody needs stays: it is how the loss is known."""
    if not because:
        return Garbage(GarbageKind.LOST, facts.table, 0, "its folder is gone, and nobody needs it")
    return Kept(facts.table, 0, (*because, "its folder is gone, see `knownat verify`"))


def _of_unneeded(facts: TableFacts, horizon: datetime) -> Garbage | Kept:
    if facts.changed_at is not None and facts.changed_at > horizon:
        return Kept(facts.table, facts.size, (_YOUNG,))
    because = "no applied view, dataset or model needs it"
    return Garbage(GarbageKind.TABLE, facts.table, facts.size, because)


def _of_needed(
    facts: TableFacts, needs: Collection[Need], because: tuple[str, ...], horizon: datetime
) -> Iterator[Garbage | Kept]:
    """Files of versions that nobody pins go, but for those that were the newest a moment ago: whoever is reading them
    may be about to pin them."""
    sizes = {file.path: file.size for file in facts.stored}
    pinned = {need.version for need in needs if need.version is not None}
    old = tuple(file.path for file in facts.files if _may_go(file, pinned, facts.removed_at, horizon))
    recorded = {file.path for file in facts.files}
    left = tuple(file.path for file in facts.stored if file.path not in recorded and file.modified_at <= horizon)
    if old:
        size = sum(sizes.get(path, 0) for path in old)
        yield Garbage(GarbageKind.VERSIONS, facts.table, size, "only versions that nobody pins need them", old)
    if left:
        size = sum(sizes[path] for path in left)
        yield Garbage(GarbageKind.LEFTOVERS, facts.table, size, "no commit ever named them", left)
    yield Kept(facts.table, sum(sizes.values()) - sum(sizes.get(path, 0) for path in (*old, *left)), because)


def _may_go(file: RecordedFile, pinned: set[int], removed_at: Mapping[int, datetime], horizon: datetime) -> bool:
    if file.removed_in is None or any(file.belongs_to(version) for version in pinned):
        return False
    removed = removed_at.get(file.removed_in)
    return removed is not None and removed <= horizon
