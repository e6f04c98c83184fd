"""Served views: what has to be kept filled, offline and online."""

from __future__ import annotations

from featurestore.graph.chain_order import upstream_first, with_upstreams
from featurestore.graph.resolved import ResolvedView
from featurestore.operations.chosen_features import applied_graph
from featurestore.operations.make_plan import Project


def served_views(project: Project) -> tuple[ResolvedView, ...]:
    """The applied views, then the views of earlier fingerprints that a model was trained on: it is asked for those, and
    they must go on holding what is known. Raises NotApplied."""
    applied = applied_graph(project.catalog).graph.views
    manifests = {manifest.id: manifest for manifest in project.datasets.all()}
    used = {use.dataset for use in project.usage.users_of(manifests)}
    needed = {view.table: view for dataset in sorted(used) for view in manifests[dataset].features.views}
    for view in applied:
        needed.pop(view.table, None)
    return (*applied, *(view for _, view in sorted(needed.items())))


def filled_views(project: Project) -> tuple[ResolvedView, ...]:
    """The served views and the earlier fingerprints of views that those read, each after what it reads: what has to be
    kept filled offline. Raises NotApplied."""
    return upstream_first(with_upstreams(served_views(project)))
