"""Views over views: what can not be declared, what their fingerprints cover, and what they are made of."""

from __future__ import annotations

from typing import Any

import pytest

import featurestore as fs
from featurestore.adapters.sql_values import from_json, to_json
from featurestore.errors import DefinitionsError
from featurestore.graph.chain_order import upstream_first, with_upstreams
from featurestore.graph.declared import view_keys
from featurestore.graph.lineage import Direction, graph_edges, lineage_tree, view_urn
from featurestore.graph.resolved import Graph, ResolvedView
from featurestore.spec.declarations import Declarations
from featurestore.spec.feature_view import FeatureView
from tests.unit.graph.resolving import FLIGHTS as COLUMNS
from tests.unit.graph.resolving import aircraft, edges, flights, problems, resolve

FLIGHTS, AIRCRAFT = flights(), aircraft()

ROWS = "SELECT tail, landed AS event_timestamp, delay"
SQL = "SELECT tail, event_timestamp, delay * 2 AS doubled FROM up"


def up(**changes: Any) -> FeatureView:
    return FeatureView("up", **{"entity": AIRCRAFT, "source": FLIGHTS, "features": ["delay", "seats"], **changes})


def down(sql: str = SQL, name: str = "down", **changes: Any) -> FeatureView:
    return FeatureView(name, entity=AIRCRAFT, sql=sql, **changes)


def resolved(upstream: FeatureView, downstream: FeatureView | None = None) -> ResolvedView:
    return resolve(FLIGHTS, downstream or down(), upstream).view("down")


def test_a_view_reads_another_wherever_that_is_declared() -> None:
    graph = resolve(FLIGHTS, down("SELECT tail, event_timestamp, doubled FROM down2"), down(name="down2"), up())

    assert [view.name for view in graph.views] == ["down", "down2", "up"]
    assert graph.view("down").upstreams == (graph.view("down2"),)
    assert [view.name for view in upstream_first(graph.views)] == ["up", "down2", "down"]
    assert [view.name for view in with_upstreams([graph.view("down")])] == ["down", "down2", "up"]


def test_a_windowed_view_can_not_be_read_yet() -> None:
    windowed = up(every="1h", features=[fs.Aggregate("delay", fs.sum, windows=["1d"])])

    assert problems(FLIGHTS, windowed, down()) == [
        "view 'down' reads view 'up', which is windowed and can not be read by another view yet (read its source)"
    ]


def test_views_in_a_circle_are_told_with_their_place_and_the_way_round() -> None:
    first = down("SELECT tail, event_timestamp, x FROM b", "a")
    second = down("SELECT tail, event_timestamp, x FROM c", "b")
    third = down("SELECT tail, event_timestamp, x FROM a", "c")
    outside = down("SELECT tail, event_timestamp, x FROM c", "d")

    with pytest.raises(DefinitionsError) as error:
        resolve(FLIGHTS, up(), outside, first, second, third)

    [problem] = error.value.problems
    assert problem.what == "view 'a' reads itself: a → b → c → a"
    assert problem.where == first.declared_at
    assert "test_chained.py:" in problem.where


def test_a_view_that_reads_itself_is_a_circle_unless_a_source_has_its_name() -> None:
    over_source = FeatureView(
        "flights", entity=AIRCRAFT, sql="SELECT tail, landed AS event_timestamp, delay FROM flights"
    )

    assert problems(FLIGHTS, down("SELECT tail, event_timestamp, x FROM down")) == [
        "view 'down' reads itself: down → down (let one of them read a source)"
    ]
    assert problems(FLIGHTS, over_source) == []


def test_a_problem_upstream_is_told_once_and_not_again_downstream() -> None:
    [problem] = problems(FLIGHTS, up(features=["delya"]), down())

    assert "'delya' of view 'up' reads column 'delya'" in problem


def test_a_column_the_upstream_does_not_have_is_told() -> None:
    [problem] = problems(FLIGHTS, up(), down("SELECT tail, event_timestamp, fare FROM up"))

    assert problem.startswith("the SQL of view 'down'")
    assert "fare" in problem


def test_when_rows_are_known_follows_the_rules_of_sources() -> None:
    late = flights(known_at="loaded")
    delayed = flights(delay="1h")
    says_itself = down("SELECT tail, event_timestamp, known_at, delay FROM up")

    [problem] = problems(late, up(source=late), down())
    assert problem.startswith("view 'down' does not say when its rows are known, and up can be late")
    assert resolve(late, up(source=late), says_itself).view("down").delay is None
    chained = resolve(delayed, up(source=delayed, publish_delay="10m"), down()).view("down").delay
    assert chained == fs.ParquetSource("x", path="x", event_timestamp="x", delay="70m").delay


def test_an_unrelated_feature_upstream_leaves_the_downstream_alone() -> None:
    more = up(features=["delay", "seats", "carrier"], ttl="1d", owner="ops")
    other = up(features=["delay", fs.Feature("seats", "seats + 1")])

    assert resolved(more).fingerprint == resolved(up()).fingerprint
    assert resolved(more).features == resolved(up()).features
    assert resolved(other).fingerprint == resolved(up()).fingerprint


READS_A_VALUE = "SELECT tail, event_timestamp, known_at, delay * 2 AS doubled FROM up"
READS_NO_VALUE = "SELECT tail, event_timestamp, known_at, 1 AS one FROM up"


@pytest.mark.parametrize("sql", [READS_A_VALUE, READS_NO_VALUE])
@pytest.mark.parametrize(
    "changed",
    [
        up(publish_delay="1m"),
        up(source=None, sql=f"{ROWS} FROM flights WHERE seats > 9", features=()),
        up(source=None, sql=f"{ROWS}, loaded AS known_at FROM flights", features=()),
        up(source=None, sql="SELECT tail, loaded AS event_timestamp, delay FROM flights", features=()),
    ],
)
def test_which_rows_the_upstream_has_and_when_they_are_known_decide_everything(changed: FeatureView, sql: str) -> None:
    plain = up(source=None, sql=f"{ROWS} FROM flights", features=())
    before, after = resolved(plain, down(sql)), resolved(changed, down(sql))

    assert before.fingerprint != after.fingerprint
    assert before.features[0].fingerprint != after.features[0].fingerprint


def test_another_value_of_what_is_read_changes_who_reads_it() -> None:
    changed = up(features=[fs.Feature("delay", "delay + 1")])

    assert resolved(changed, down(READS_A_VALUE)).fingerprint != resolved(up(), down(READS_A_VALUE)).fingerprint
    assert resolved(changed, down(READS_NO_VALUE)).fingerprint == resolved(up(), down(READS_NO_VALUE)).fingerprint


def test_a_change_is_passed_on_through_the_views_between() -> None:
    def end(upstream: FeatureView) -> ResolvedView:
        middle = down(name="middle")
        return resolve(
            FLIGHTS, upstream, middle, down("SELECT tail, event_timestamp, doubled FROM middle")
        ).view("down")  # fmt: skip

    assert end(up(features=["delay", "carrier"])).fingerprint == end(up()).fingerprint
    assert end(up(features=[fs.Feature("delay", "delay + 1")])).fingerprint != end(up()).fingerprint


def test_only_the_features_that_read_it_change() -> None:
    both = down("SELECT tail, event_timestamp, delay * 2 AS doubled, seats + 1 AS more FROM up")
    before = resolved(up(), both)
    after = resolved(up(features=["delay", fs.Feature("seats", "seats * 3")]), both)

    assert before.feature("doubled") == after.feature("doubled")
    assert before.feature("more").fingerprint != after.feature("more").fingerprint


def test_lineage_passes_through_to_the_columns_of_sources_and_names_the_view_between() -> None:
    graph = resolve(FLIGHTS, up(features=[fs.Feature("gate", "Gate")]), down(
        "SELECT tail, event_timestamp, upper(gate) AS big, tail AS number FROM up WHERE gate <> ''"
    ))  # fmt: skip
    view = graph.view("down")

    assert edges(view, "big") == {
        "direct": ["flights.Gate"], "indirect": ["flights.landed", "flights.tail"]
    }  # fmt: skip
    assert edges(view, "number")["direct"] == ["flights.tail"]
    tree = lineage_tree(graph_edges(graph), view_urn(view), Direction.UP)
    assert list(tree.urns()) == [view_urn(view), view_urn(graph.view("up")), "source:flights"]


def keys(*views: FeatureView) -> dict[str, str]:
    return view_keys(Declarations(sources=(FLIGHTS,), views=views), {"flights": COLUMNS})


def test_the_key_of_a_declaration_covers_what_it_reads_however_far() -> None:
    end = down("SELECT tail, event_timestamp, doubled FROM middle")
    before = keys(up(), down(name="middle"), end)
    after = keys(up(ttl="1d"), down(name="middle"), end)

    assert before["down"] != after["down"]
    assert before == keys(end, down(name="middle"), up())


def test_a_view_that_others_do_not_read_leaves_their_keys_alone() -> None:
    assert keys(up(), down())["up"] == keys(up(), down("SELECT tail, event_timestamp, seats FROM up"))["up"]


def test_graphs_of_before_are_read() -> None:
    graph = resolve(FLIGHTS, up(), down())
    text = to_json(graph)

    assert from_json(text, Graph) == graph
    alone = resolve(FLIGHTS, up())
    assert from_json(to_json(alone).replace(',"upstreams":[]', ""), Graph) == alone
