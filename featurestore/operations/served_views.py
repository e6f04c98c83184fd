"""Served views: what has to be kept filled, offline and online."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from featurestore.graph.chain_order import upstream_first, with_upstreams
from featurestore.graph.resolved import ResolvedSource, ResolvedView
from featurestore.operations.chosen_features import applied_graph
from featurestore.operations.make_plan import Project
from featurestore.spec.source import RemovedRows


def served_views(project: Project) -> tuple[ResolvedView, ...]:
    """The applied views, then the views of earlier fingerprints that a model was trained on: it is asked for those, and
    they must go on holding what is known. Raises NotApplied."""
    graph = applied_graph(project.catalog).graph
    applied = graph.views
    manifests = {manifest.id: manifest for manifest in project.datasets.all()}
    used = {use.dataset for use in project.usage.users_of(manifests)}
    needed = {view.table: view for dataset in sorted(used) for view in manifests[dataset].features.views}
    for view in applied:
        needed.pop(view.table, None)
    return (*applied, *(_as_declared_now(view, graph.sources) for _, view in sorted(needed.items())))


def filled_views(project: Project) -> tuple[ResolvedView, ...]:
    """The served views and the earlier fingerprints of views that those read, each after what it reads: what has to be
    kept filled offline. Raises NotApplied."""
    sources = applied_graph(project.catalog).graph.sources
    views = with_upstreams(served_views(project))
    return upstream_first(_as_declared_now(view, sources) for view in views)


def _as_declared_now(view: ResolvedView, declared: Iterable[ResolvedSource]) -> ResolvedView:
    """The view, with what its sources say by now of rows that are gone: that decides no identity, so an earlier
    fingerprint has it as it was declared then. Whether rows are kept does, and stays."""
    now = {source.name: source.removed_rows for source in declared}
    sources = tuple(_saying(source, now.get(source.name, source.removed_rows)) for source in view.sources)
    return view if sources == view.sources else replace(view, sources=sources)


def _saying(source: ResolvedSource, removed_rows: RemovedRows) -> ResolvedSource:
    if RemovedRows.KEEP in (source.removed_rows, removed_rows):
        return source
    return replace(source, removed_rows=removed_rows)
