"""Lineage of what is applied and what was pulled: the feature store's part of the thread."""

from __future__ import annotations

from collections.abc import Iterator

from featurestore.graph.lineage import (
    LineageEdge,
    dataset_urn,
    feature_urn,
    graph_edges,
    on_demand_edges,
    on_demand_urn,
    view_edges,
    view_urn,
)
from featurestore.ports.state import CatalogState, DatasetState, Manifest


def lineage_edges(catalog: CatalogState, datasets: DatasetState) -> Iterator[LineageEdge]:
    """Every edge from source columns to services and datasets: of the applied definitions, and of every definition
    that a dataset was pulled from."""
    if current := catalog.current():
        yield from graph_edges(current.graph)
    for manifest in datasets.all():
        yield from dataset_edges(manifest)


def dataset_edges(manifest: Manifest) -> Iterator[LineageEdge]:
    """A dataset is made of features at their fingerprints and of tables at their versions."""
    urn = dataset_urn(manifest.id)
    features = manifest.features
    views = {use.name: features.view(use.view) for use in features.uses} | {view.name: view for view in features.views}
    computed = {feature.name: feature for feature in features.on_demand}
    for view in features.views:
        yield from view_edges(view)
    for feature in features.on_demand:
        yield from on_demand_edges(feature, views)
    for output in features.outputs:
        name, _, column = output.reference.partition(":")
        upstream = feature_urn(views[name], views[name].feature(column)) if column else on_demand_urn(computed[name])
        yield LineageEdge(upstream, urn)
    for table in manifest.tables:
        version = f"table:{table.table}@v{table.version}"
        yield LineageEdge(version, urn)
        yield LineageEdge(view_urn(features.view(table.view)), version)
    if features.service is not None:
        yield LineageEdge(f"service:{features.service}", urn)
