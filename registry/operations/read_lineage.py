"""The whole thread: source column, feature, feature service, dataset, model version, alias."""

from __future__ import annotations

from featurestore.graph.lineage import Direction, LineageTree, lineage_tree
from featurestore.operations.lineage import lineage_edges
from featurestore.ports.state import CatalogState
from registry.lineage import model_edges
from registry.ports import RegistryStores


def read_lineage(urn: str, direction: Direction, catalog: CatalogState, stores: RegistryStores) -> LineageTree:
    """Everything up or down from `urn`. Raises UnknownName with the closest URNs, or InvalidReference."""
    models = [model.name for model in stores.models.models()]
    versions = [version for model in models for version in stores.models.versions(model)]
    aliases = [alias for model in models for alias in stores.aliases.aliases(model)]
    edges = [*lineage_edges(catalog, stores.datasets), *model_edges(versions, aliases)]
    # A version that was registered without a dataset, and has no alias, hangs together with nothing.
    return lineage_tree(edges, urn, direction, lone=[version.urn for version in versions])
