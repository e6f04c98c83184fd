"""Make a plan: look at the definitions, the state and the stores, and let `featurestore.plan` decide."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from featurestore.graph.fingerprint import fingerprint
from featurestore.graph.resolved import Graph, ResolvedView
from featurestore.operations.first_event import first_event
from featurestore.operations.outdated import outdated
from featurestore.operations.resolve import Resolved, resolve_definitions
from featurestore.operations.sides import OfflineSide, OnlineSide
from featurestore.plan.build import Situation, build_plan
from featurestore.plan.stages import ChangeKind, Plan
from featurestore.plan.usage import DatasetUse
from featurestore.ports.definitions import DefinitionsReader
from featurestore.ports.model_usage import ModelUsage
from featurestore.ports.online_store import OnlineTable, TableRead
from featurestore.ports.plan_memory import PlanMemory, Remembered
from featurestore.ports.state import CatalogState, DatasetState


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
    """What must happen for the definitions to be what readers see. Reads only. Raises DefinitionsError."""
    known = project.memory.recall() if project.memory else Remembered()
    resolved = resolve_definitions(project.definitions, offline.sources, offline.engine, known.views)
    firsts = _first_events(resolved, offline, known)
    found = Remembered(resolved.views, firsts)
    if project.memory and found != known:
        project.memory.keep(found)
    current = project.catalog.current()
    applied = current.graph if current else None
    filled = [view for view in resolved.graph.views if offline.tables.exists(view.table)]
    late = {view.table: outdated(view, offline, now=now) for view in filled}
    situation = Situation(
        applied=applied,
        serial=current.serial if current else None,
        covered={view.table: offline.coverage.coverage(view.table).covered for view in filled},
        spans=resolved.spans,
        online=_online_tables(applied or Graph(), online),
        now=now,
        firsts={view.table: first for view in resolved.graph.views if (first := firsts[_rows_key(view, resolved)])},
        outdated={table: one.days for table, one in late.items()},
    )
    plan = build_plan(resolved.graph, situation)
    told = tuple(one.late for one in late.values() if one.late)
    return replace(plan, pinned=_pinned(plan, applied or Graph(), project), late=told)


def _first_events(resolved: Resolved, offline: OfflineSide, known: Remembered) -> dict[str, datetime | None]:
    """When each view's rows begin, by what decides it."""
    keyed = {_rows_key(view, resolved): view for view in resolved.graph.views}
    return {
        key: known.firsts[key] if key in known.firsts else first_event(view, offline) for key, view in keyed.items()
    }


def _rows_key(view: ResolvedView, resolved: Resolved) -> str:
    """The view's rows: its definition, and the versions of the data that they are made of."""
    return fingerprint(
        "rows", view.fingerprint, [[source.name, resolved.versions[source.name]] for source in view.sources]
    )


def _online_tables(applied: Graph, online: OnlineSide) -> frozenset[str]:
    """The applied views' tables that were materialized, asked of the store itself only when state says so."""
    recorded = [view for view in applied.views if online.progress.last(online.address, view.table) is not None]
    reads = [TableRead(OnlineTable.of(view), []) for view in recorded]
    markers = online.store.read(reads) if reads else []
    return frozenset(view.table for view, rows in zip(recorded, markers, strict=True) if rows.filled_to is not None)


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
