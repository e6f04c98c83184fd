"""Lineage: what is made of what, as nodes with URNs and edges from upstream to downstream. Pure.

URNs: `source:flights`, `source:flights.arr_delay`, `view:aircraft@<fp8>`, `feature:aircraft.delay_mean_7d@<fp8>`,
`service:…`, `table:aircraft@<fp8>@v12`, `dataset:<id12>`, and, from the storey above, `model:…` and `alias:…`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from featurestore.errors import InvalidReference, UnknownName
from featurestore.graph.resolved import (
    EdgeKind,
    Graph,
    ResolvedFeature,
    ResolvedOnDemand,
    ResolvedView,
    ServiceEntry,
)


class Direction(Enum):
    UP = "up"
    """What is this made of?"""
    DOWN = "down"
    """What is made of this?"""


@dataclass(frozen=True, slots=True)
class LineageEdge:
    """`downstream` is made of `upstream`. INDIRECT: upstream only decides which rows count."""

    upstream: str
    downstream: str
    kind: EdgeKind = EdgeKind.DIRECT


@dataclass(frozen=True, slots=True)
class LineageTree:
    """A node with what lies beyond it. `repeated`: its branches stand where the node was first shown."""

    urn: str
    kind: EdgeKind
    branches: tuple[LineageTree, ...]
    repeated: bool = False

    def urns(self) -> Iterator[str]:
        """Every URN of the tree, the root first."""
        yield self.urn
        for branch in self.branches:
            yield from branch.urns()


def graph_edges(graph: Graph) -> Iterator[LineageEdge]:
    """The edges of the definitions: source columns to features to on-demand features and services."""
    for view in graph.views:
        yield from view_edges(view)
    views = {use.name: graph.view(use.view) for service in graph.services for use in service.uses}
    views |= {view.name: view for view in graph.views}
    for feature in graph.on_demand:
        yield from on_demand_edges(feature, views)
    for service in graph.services:
        yield from _service_edges(service, views, {feature.name: feature for feature in graph.on_demand})


def view_edges(view: ResolvedView) -> Iterator[LineageEdge]:
    for feature in view.features:
        urn = feature_urn(view, feature)
        for edge in feature.edges:
            yield LineageEdge(source_column_urn(edge.column.source, edge.column.column), urn, edge.kind)
    for source in view.sources:
        yield LineageEdge(f"source:{source.name}", view_urn(view))
    for upstream in view.upstreams:
        yield LineageEdge(view_urn(upstream), view_urn(view))
        yield from view_edges(upstream)


def on_demand_edges(feature: ResolvedOnDemand, views: Mapping[str, ResolvedView]) -> Iterator[LineageEdge]:
    """`views` by every name that the feature's references may use."""
    for reference in feature.features:
        name, _, column = reference.partition(":")
        view = views[name]
        yield LineageEdge(feature_urn(view, view.feature(column)), on_demand_urn(feature))


def view_urn(view: ResolvedView) -> str:
    return f"view:{view.table}"


def feature_urn(view: ResolvedView, feature: ResolvedFeature) -> str:
    return f"feature:{view.name}.{feature.name}@{feature.fingerprint[:8]}"


def on_demand_urn(feature: ResolvedOnDemand) -> str:
    return f"feature:{feature.name}@{feature.fingerprint[:8]}"


def source_column_urn(source: str, column: str) -> str:
    return f"source:{source}.{column}"


def dataset_urn(dataset: str) -> str:
    return f"dataset:{dataset[:12]}"


def lineage_tree(
    edges: Iterable[LineageEdge], urn: str, direction: Direction, *, lone: Iterable[str] = ()
) -> LineageTree:
    """Everything up or down from `urn`, which may be given without its fingerprint or with the start of its hash.

    `lone` are further nodes, which may have no edge at all.

    Raises UnknownName, with the closest URNs, or InvalidReference when several nodes are meant.
    """
    beyond: dict[str, dict[str, EdgeKind]] = {}
    nodes: dict[str, None] = dict.fromkeys(lone)
    for edge in edges:
        near, far = (edge.downstream, edge.upstream) if direction is Direction.UP else (edge.upstream, edge.downstream)
        beyond.setdefault(near, {})[far] = edge.kind
        nodes |= {edge.upstream: None, edge.downstream: None}
    if urn.startswith("source:") and "." not in urn and direction is Direction.DOWN:
        columns = [node for node in nodes if node.startswith(f"{urn}.")]
        beyond.setdefault(urn, {}).update(dict.fromkeys(columns, EdgeKind.DIRECT))
    return _tree(_meant(urn, nodes), EdgeKind.DIRECT, beyond, set())


def _tree(urn: str, kind: EdgeKind, beyond: Mapping[str, Mapping[str, EdgeKind]], shown: set[str]) -> LineageTree:
    following = beyond.get(urn, {})
    if urn in shown and following:
        return LineageTree(urn, kind, (), repeated=True)
    shown.add(urn)
    ordered = sorted(following.items(), key=lambda item: (item[1] is EdgeKind.INDIRECT, item[0]))
    return LineageTree(urn, kind, tuple(_tree(far, edge, beyond, shown) for far, edge in ordered))


def _meant(urn: str, nodes: Iterable[str]) -> str:
    known = list(nodes)
    if urn in known:
        return urn
    matches = [node for node in known if node.startswith((f"{urn}@", urn) if urn.startswith("dataset:") else f"{urn}@")]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise InvalidReference(f"'{urn}' can mean {', '.join(sorted(matches))}: name one of them")
    raise UnknownName("node in the lineage", urn, known)


def _service_edges(
    service: ServiceEntry, views: Mapping[str, ResolvedView], on_demand: Mapping[str, ResolvedOnDemand]
) -> Iterator[LineageEdge]:
    for member in service.members:
        name, _, column = member.partition(":")
        upstream = feature_urn(views[name], views[name].feature(column)) if column else on_demand_urn(on_demand[name])
        yield LineageEdge(upstream, f"service:{service.name}")
