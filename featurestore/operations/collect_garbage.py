"""Collect garbage: look at what there is and who needs it, let `garbage` decide, and remove what may go.

Nothing else in Knownat removes anything. The effect comes first and the record of it last, but for whole tables, whose
record goes first: half a table must not look like one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from featurestore.errors import TableDamaged
from featurestore.graph.chain_order import with_upstreams
from featurestore.graph.resolved import ResolvedView
from featurestore.operations.garbage import (
    DEFAULT_GRACE,
    Garbage,
    GarbageKind,
    GarbagePlan,
    Kept,
    Need,
    OnlineFacts,
    TableFacts,
    object_garbage,
    object_needs,
    online_garbage,
    table_garbage,
)
from featurestore.operations.open_table import check_log, record_commits
from featurestore.operations.premises import Dependents, Premises, dependents
from featurestore.ports.online_store import OnlineTable


@dataclass(frozen=True, slots=True)
class GarbageRequest:
    """`now` by the project's clock, `files_now` by the machine's, which tells how old files are. What is younger than
    `grace` stays."""

    now: datetime
    files_now: datetime
    grace: timedelta = DEFAULT_GRACE


def find_garbage(request: GarbageRequest, premises: Premises) -> GarbagePlan:
    """What may go and what must stay. Removes nothing."""
    horizon = request.files_now - request.grace
    shelf = premises.upkeep.shelf.stored()  # before asking who needs what: what is stored later is not looked at
    facts = [_facts(table, premises) for table in _tables(premises)]
    known = dependents(premises.project)
    needs = _needs(premises, known)
    found: list[Garbage | Kept] = []
    for one in facts:
        found += table_garbage(one, [need for need in needs if need.table == one.table], horizon)
    found += object_garbage(shelf, _object_needs(premises, known), horizon)
    found += online_garbage(_online(premises, known), _online_needs(needs), request.now - request.grace)
    garbage = tuple(one for one in found if isinstance(one, Garbage))
    return GarbagePlan(garbage, tuple(one for one in found if isinstance(one, Kept)), horizon)


def collect_garbage(plan: GarbagePlan, premises: Premises) -> Iterator[Garbage]:
    """Remove what the plan says, reporting each part when it is gone. Consume the iterator.

    It can be repeated: what an interrupted run left is in the next plan. What somebody came to need since the plan was
    made stays.
    """
    objects = [one for one in plan.garbage if one.kind is GarbageKind.OBJECT]
    for one in plan.garbage:
        if one.kind is not GarbageKind.OBJECT and _remove(one, premises):
            yield one
    yield from _remove_objects(objects, plan.horizon, premises)


def _remove(garbage: Garbage, premises: Premises) -> bool:
    """Remove something of a table, offline or online, if it may still go."""
    known = dependents(premises.project)
    needs = [need for need in _needs(premises, known) if need.table == garbage.what]
    ledger = premises.offline.ledger
    match garbage.kind:
        case GarbageKind.TABLE | GarbageKind.LOST:
            return not needs and _drop(garbage.what, premises)
        case GarbageKind.VERSIONS:
            pinned = {need.version for need in needs if need.version is not None}
            files = [file for file in ledger.commits.files(garbage.what) if file.path in garbage.paths]
            if any(file.belongs_to(version) for file in files for version in pinned):
                return False
            ledger.files.remove(garbage.what, garbage.paths)
            premises.upkeep.commits.forget_files(garbage.what, garbage.paths)
        case GarbageKind.LEFTOVERS:
            if _named(garbage, premises):
                return False
            ledger.files.remove(garbage.what, garbage.paths)
        case GarbageKind.ONLINE:
            is_asked = any(need.version is None and need.online for need in needs)
            return not is_asked and _drop_online(garbage.what, premises, known)
        case _:
            return False  # an object is no table's
    return True


def _named(garbage: Garbage, premises: Premises) -> bool:
    """Whether a commit names any of the files by now: their writer was slow, not stopped."""
    ledger = premises.offline.ledger
    record_commits(garbage.what, ledger)
    return any(file.path in garbage.paths for file in ledger.commits.files(garbage.what))


def _drop(table: str, premises: Premises) -> bool:
    premises.offline.coverage.forget(table)
    premises.offline.ledger.commits.forget(table)
    premises.offline.ledger.files.drop(table)
    return True


def _remove_objects(objects: list[Garbage], horizon: datetime, premises: Premises) -> Iterator[Garbage]:
    """Asked once for all of them: there may be many, and each is compared with what was listed as it goes. What is
    younger than the plan has seen it was stored again, by somebody who may not have named it yet."""
    stored = {one.name: one for one in premises.upkeep.shelf.stored()} if objects else {}
    needs = _object_needs(premises, dependents(premises.project)) if objects else {}
    for one in objects:
        found = stored.get(one.what)
        if found is None or found.sha256 in needs or found.modified_at > horizon:
            continue
        if premises.upkeep.shelf.remove(found):
            yield one


def _drop_online(name: str, premises: Premises, known: Dependents) -> bool:
    view = _views(premises, known).get(name)
    if view is None:
        return False
    premises.online.store.drop(OnlineTable.of(view))
    premises.online.progress.forget(premises.online.address, name)
    premises.online.publications.forget(premises.online.address, name)
    return True


def _tables(premises: Premises) -> tuple[str, ...]:
    ledger = premises.offline.ledger
    return tuple(sorted({*ledger.files.tables(), *premises.upkeep.commits.tables()}))


def _facts(table: str, premises: Premises) -> TableFacts:
    """Files are listed before the log is read: what a commit names meanwhile is then among the recorded ones."""
    ledger = premises.offline.ledger
    stored = ledger.files.stored(table)
    damage = None
    exists = bool(ledger.log.versions(table))
    if exists:
        try:
            check_log(table, premises.offline)
            record_commits(table, ledger)
        except TableDamaged as error:
            damage = f"expected {error.expected}, found {error.found}"
    elif stored and ledger.commits.last(table) is not None:
        damage = "its log is gone"
    files = ledger.commits.files(table)
    removed_at = {
        version: entry.written_at
        for version in {file.removed_in for file in files if file.removed_in is not None}
        if (entry := ledger.log.entry(table, version)) is not None
    }
    newest = ledger.log.entry(table, ledger.log.versions(table)[-1]) if exists else None
    changes = [file.modified_at for file in stored] + ([newest.written_at] if newest else [])
    return TableFacts(table, exists, files, stored, removed_at, max(changes, default=None), damage)


def _needs(premises: Premises, known: Dependents) -> tuple[Need, ...]:
    """Who needs which table: the applied views, the datasets, the models that were trained on them, and what is filled
    from it."""
    applied = premises.project.catalog.current()
    views = [
        Need(view.table, None, f"view:{view.name} is applied") for view in (applied.graph.views if applied else ())
    ]
    pins = [
        Need(pin.table, pin.version, f"dataset:{pin.dataset[:12]} pins version {pin.version}")
        for table in known.tables()
        for pin in known.pins(table)
    ]
    models = [
        Need(pinned.table, None, f"{user} was trained on it")
        for manifest in known.manifests
        for pinned in manifest.tables
        for user in known.users.get(manifest.id, ())
    ]
    return (*views, *dict.fromkeys(models), *pins, *_upstream_needs(premises, known))


def _upstream_needs(premises: Premises, known: Dependents) -> Iterator[Need]:
    """What is kept filled needs the tables of the views that it reads, whether or not those are applied still."""
    applied = premises.project.catalog.current()
    used = [view for one in known.manifests if one.id in known.users for view in one.features.views]
    for view in (*(applied.graph.views if applied else ()), *used):
        for upstream in with_upstreams(view.upstreams):
            yield Need(upstream.table, None, f"view:{view.table} is filled from it", online=False)


def _online_needs(needs: tuple[Need, ...]) -> dict[str, str]:
    """A dataset alone asks for nothing online."""
    return {need.table: need.because for need in reversed(needs) if need.version is None and need.online}


def _object_needs(premises: Premises, known: Dependents) -> dict[str, tuple[str, ...]]:
    datasets = [(manifest.id, manifest.objects) for manifest in known.manifests]
    return object_needs(datasets, premises.upkeep.object_usage.objects())


def _online(premises: Premises, known: Dependents) -> list[OnlineFacts]:
    views = _views(premises, known)
    return [
        OnlineFacts(one.table, OnlineTable.of(views[one.table]) if one.table in views else None, one.materialized_at)
        for one in premises.online.progress.all(premises.online.address)
    ]


def _views(premises: Premises, known: Dependents) -> dict[str, ResolvedView]:
    """Every view that was ever applied, or that a dataset was pulled from, by its table: each knows its columns."""
    applied = [view for one in premises.project.catalog.history() for view in one.graph.views]
    pulled = [view for manifest in known.manifests for view in manifest.features.views]
    return {view.table: view for view in (*pulled, *applied)}
