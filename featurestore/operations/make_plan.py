"""Make a plan: look at the definitions, the state and the stores, and let `featurestore.plan` decide."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from featurestore.compiler.event_days import dated_sources
from featurestore.errors import DefinitionsError, Problem, SourceDrifted
from featurestore.graph.draft import complete
from featurestore.graph.drift import drifts
from featurestore.graph.fingerprint import fingerprint
from featurestore.graph.resolved import Graph, ResolvedView
from featurestore.graph.selection import referenced_features
from featurestore.operations.drift import drifts_of
from featurestore.operations.first_event import first_event
from featurestore.operations.hold_rows import held_rows
from featurestore.operations.missing import quiet_until
from featurestore.operations.outdated import outdated
from featurestore.operations.prepare_on_demand import prepare_on_demand
from featurestore.operations.resolve import Resolved, resolve_definitions
from featurestore.operations.sides import OfflineSide, OnlineSide
from featurestore.operations.sources_once import SourcesOnce
from featurestore.operations.upstream import upstream_versions
from featurestore.plan.build import Situation, build_plan
from featurestore.plan.stages import ByEngine, CanFail, ChangeKind, LeftBehind, Plan
from featurestore.plan.usage import DatasetUse
from featurestore.ports.definitions import DefinitionsReader
from featurestore.ports.model_usage import ModelUsage
from featurestore.ports.online_store import Filled, OnlineTable, TableRead
from featurestore.ports.plan_memory import PlanMemory, Remembered
from featurestore.ports.state import CatalogState, DatasetState
from featurestore.spec.declarations import Declarations


@dataclass(frozen=True, slots=True)
class Project:
    """What a plan is made from: the definitions, what was applied, and who depends on it."""

    definitions: DefinitionsReader
    catalog: CatalogState
    datasets: DatasetState
    usage: ModelUsage
    memory: PlanMemory | None = None
    """Where findings are kept that the next plan need not make again; None: nowhere."""


def make_plan(project: Project, offline: OfflineSide, online: OnlineSide, *, now: datetime) -> Plan:
    """What must happen for the definitions to be what readers see. Reads only.

    Raises DefinitionsError, with the drift of sources that may be behind its problems; and SourceDrifted when a source
    is no longer what an unchanged view over it was applied with.
    """
    offline = replace(offline, sources=SourcesOnce(offline.sources))
    current = project.catalog.current()
    applied = current.graph if current else None
    known = project.memory.recall() if project.memory else Remembered()
    resolved = _with_upstreams(_resolved(project, offline, applied or Graph(), known), offline)
    firsts = _first_events(resolved, offline, known)
    found = Remembered(resolved.views, firsts, resolved.can_fail, resolved.on_demand)
    if project.memory and found != known:
        project.memory.keep(found)
    filled = [view for view in resolved.graph.views if offline.tables.exists(view.table)]
    covered = {view.table: offline.coverage.coverage(view.table) for view in filled}
    late = {view.table: outdated(view, offline, now=now) for view in filled}
    quiet = {view.table: quiet_until(view, covered[view.table], offline) for view in filled}
    answering = _online_tables(applied or Graph(), online)
    situation = Situation(
        applied=applied,
        serial=current.serial if current else None,
        covered={table: coverage.covered for table, coverage in covered.items()},
        quiet={table: until for table, until in quiet.items() if until is not None},
        spans=resolved.spans,
        online=frozenset(answering),
        keeps={table: filled.keeps for table, filled in answering.items() if filled.keeps is not None},
        now=now,
        firsts={view.table: first for view in resolved.graph.views if (first := firsts[_rows_key(view, resolved)])},
        outdated={table: one.days for table, one in late.items()},
        dated={view.table: dated_sources(view) for view in resolved.graph.views if view.upstreams},
    )
    plan = build_plan(resolved.graph, situation)
    told = tuple(one.late for one in late.values() if one.late)
    held = tuple(one for view in filled if (one := held_rows(view, offline.coverage.coverage(view.table))))
    slow = _by_engine(plan, resolved.graph, offline)
    failing = tuple(_can_fail(plan, resolved))
    pinned = _pinned(plan, applied or Graph(), project)
    left = tuple(_left_behind(applied or Graph(), resolved.graph, offline))
    return replace(plan, pinned=pinned, late=told, held=held, left_behind=left, by_engine=slow, can_fail=failing)


def _left_behind(applied: Graph, wanted: Graph, offline: OfflineSide) -> Iterator[LeftBehind]:
    """What is in tables that readers see now, is in no source, and will not be in those that take their place."""
    tables = {view.name: view.table for view in wanted.views}
    for view in applied.views:
        if tables.get(view.name, view.table) == view.table:
            continue
        if view.keeps_removed:
            yield LeftBehind(view.name, view.table, None)
        elif (held := held_rows(view, offline.coverage.coverage(view.table))) is not None:
            yield LeftBehind(view.name, view.table, held.rows)


def _can_fail(plan: Plan, resolved: Resolved) -> Iterator[CanFail]:
    changed = _changed(plan)
    for key, view in resolved.views.items():
        if f"view:{view.name}" in changed:
            yield from resolved.can_fail.get(key, ())
    for tried in resolved.on_demand.values():
        yield from (one for one in tried.can_fail if f"on_demand:{one.what}" in changed)


def _changed(plan: Plan) -> set[str]:
    return {change.what for change in plan.changes if change.kind in (ChangeKind.ADDED, ChangeKind.CHANGED)}


def _by_engine(plan: Plan, graph: Graph, offline: OfflineSide) -> tuple[ByEngine, ...]:
    changed = _changed(plan)
    names = [feature.name for feature in graph.on_demand if f"on_demand:{feature.name}" in changed]
    prepared = (prepare_on_demand(referenced_features(graph, [name]), offline.engine) for name in names)
    return tuple(ByEngine(name, reason) for one in prepared for name, reason in one.by_engine.items())


def _with_upstreams(resolved: Resolved, offline: OfflineSide) -> Resolved:
    """With the versions of views that others read beside those of the sources. No source has the name of one."""
    return replace(resolved, versions={**resolved.versions, **upstream_versions(resolved.graph.views, offline)})


def _first_events(resolved: Resolved, offline: OfflineSide, known: Remembered) -> dict[str, datetime | None]:
    """When each view's rows begin, by what decides it."""
    keyed = {_rows_key(view, resolved): view for view in resolved.graph.views}
    return {
        key: known.firsts[key] if key in known.firsts else first_event(view, offline) for key, view in keyed.items()
    }


def _rows_key(view: ResolvedView, resolved: Resolved) -> str:
    """The view's rows: its definition, and the versions of the data that they are made of."""
    names = [*(source.name for source in view.sources), *(upstream.name for upstream in view.upstreams)]
    return fingerprint("rows", view.fingerprint, [[name, resolved.versions[name]] for name in names])


def _resolved(project: Project, offline: OfflineSide, applied: Graph, known: Remembered) -> Resolved:
    read = _Read(project.definitions.load())
    try:
        resolved = resolve_definitions(read, offline.sources, offline.engine, known)
    except DefinitionsError as error:
        raise DefinitionsError([*error.problems, *_drift_problems(read, offline, applied)]) from error
    present = {source.name: source.fields for source in resolved.graph.sources}
    same = {view.fingerprint for view in resolved.graph.views}
    if found := [drift for view in applied.views if view.fingerprint in same for drift in drifts(view, present)]:
        raise SourceDrifted(found)
    return resolved


@dataclass(frozen=True, slots=True)
class _Read:
    """Definitions that were read already: running their files takes time, and says what they print."""

    declarations: Declarations

    def load(self) -> Declarations:
        return self.declarations


def _drift_problems(read: _Read, offline: OfflineSide, applied: Graph) -> list[Problem]:
    """What may be behind the problems of the definitions: a column that the applied views read is gone."""
    declared = {source.name: source.declared_at for source in complete(read.declarations)[0].sources}
    hint = "bring it back as it was, or change the views"
    found = drifts_of(applied, offline.sources)
    return [Problem(declared[drift.source], str(drift), hint) for drift in found if drift.source in declared]


def _online_tables(applied: Graph, online: OnlineSide) -> dict[str, Filled]:
    """The applied views' tables that were materialized, asked of the store itself only when state says so."""
    recorded = [view for view in applied.views if online.progress.last(online.address, view.table) is not None]
    reads = [TableRead(OnlineTable.of(view), []) for view in recorded]
    markers = online.store.read(reads) if reads else []
    return {view.table: rows.filled for view, rows in zip(recorded, markers, strict=True) if rows.filled is not None}


def _pinned(plan: Plan, applied: Graph, project: Project) -> tuple[DatasetUse, ...]:
    """The datasets that stay on what the plan replaces, with the models behind them."""
    replaced = {
        change.what.removeprefix("view:")
        for change in plan.changes
        if change.what.startswith("view:") and change.kind in (ChangeKind.CHANGED, ChangeKind.REMOVED)
    }
    tables = {view.table for view in applied.views if view.name in replaced}
    datasets = [
        manifest.id for manifest in project.datasets.all() if tables & {table.table for table in manifest.tables}
    ] if tables else []  # fmt: skip
    used = project.usage.users_of(datasets) if datasets else ()
    unused = sorted(set(datasets) - {use.dataset for use in used})
    return (*used, *(DatasetUse(dataset, f"dataset:{dataset[:12]}") for dataset in unused))
