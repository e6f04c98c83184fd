"""Lineage from datasets on: dataset to model version to alias. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from featurestore.graph.lineage import LineageEdge, dataset_urn
from registry.records import Alias, ModelVersion


def model_edges(versions: Iterable[ModelVersion], aliases: Iterable[Alias]) -> Iterator[LineageEdge]:
    """A version is made of its dataset; an alias points at a version."""
    for version in versions:
        if version.dataset is not None:
            yield LineageEdge(dataset_urn(version.dataset), version.urn)
    for alias in aliases:
        yield LineageEdge(f"model:{alias.model}@{alias.version}", alias.urn)
