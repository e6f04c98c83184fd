"""Lineage as trees: up to what something is made of, down to what is made of it."""

from __future__ import annotations

import pytest

from featurestore.errors import InvalidReference, UnknownName
from featurestore.graph.lineage import Direction, LineageEdge, LineageTree, graph_edges, lineage_tree
from featurestore.graph.resolved import EdgeKind
from tests.unit.graph.test_services import GRAPH

FACTS = GRAPH.view("facts")
DELAY = f"feature:facts.delay@{FACTS.feature('delay').fingerprint[:8]}"
SEATS = f"feature:facts.seats@{FACTS.feature('seats').fingerprint[:8]}"
ON_DEMAND = {feature.name: f"feature:{feature.name}@{feature.fingerprint[:8]}" for feature in GRAPH.on_demand}


def test_a_service_leads_up_to_the_columns_of_sources() -> None:
    tree = lineage_tree(graph_edges(GRAPH), "service:both", Direction.UP)

    assert {"source:flights.delay", "source:flights.seats", DELAY, SEATS, *ON_DEMAND.values()} < set(tree.urns())


def test_a_column_leads_down_to_features_and_services() -> None:
    tree = lineage_tree(graph_edges(GRAPH), "source:flights.delay", Direction.DOWN)

    assert set(tree.urns()) == {"source:flights.delay", DELAY, ON_DEMAND["slack"], "service:both"}


def test_a_source_leads_down_to_everything_made_of_any_of_its_columns() -> None:
    tree = lineage_tree(graph_edges(GRAPH), "source:flights", Direction.DOWN)

    assert {DELAY, SEATS, "service:both", f"view:{FACTS.table}"} < set(tree.urns())


def test_direct_branches_come_first_and_what_was_shown_is_not_shown_again() -> None:
    edges = [
        LineageEdge("b", "a", EdgeKind.INDIRECT),
        LineageEdge("z", "a"),
        LineageEdge("c", "b"),
        LineageEdge("b", "z"),
    ]

    tree = lineage_tree(edges, "a", Direction.UP)

    c = LineageTree("c", EdgeKind.DIRECT, ())
    z = LineageTree("z", EdgeKind.DIRECT, (LineageTree("b", EdgeKind.DIRECT, (c,)),))
    assert tree.branches == (z, LineageTree("b", EdgeKind.INDIRECT, (), repeated=True))


def test_a_name_without_its_fingerprint_is_enough_where_it_means_one_node() -> None:
    assert lineage_tree(graph_edges(GRAPH), "feature:facts.delay", Direction.UP).urn == DELAY


def test_a_name_that_means_several_nodes_is_refused_with_all_of_them() -> None:
    edges = [LineageEdge("s", "feature:v.x@1"), LineageEdge("s", "feature:v.x@2")]

    with pytest.raises(InvalidReference, match=r"can mean feature:v\.x@1, feature:v\.x@2: name one"):
        lineage_tree(edges, "feature:v.x", Direction.UP)


def test_an_unknown_node_says_what_was_meant() -> None:
    with pytest.raises(UnknownName, match=r"Did you mean 'source:flights.delay'"):
        lineage_tree(graph_edges(GRAPH), "source:flights.dellay", Direction.DOWN)
