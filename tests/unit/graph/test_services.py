"""Feature services and on-demand features over settled views: what they choose, and what can not be chosen."""

from __future__ import annotations

import pytest

from featurestore.errors import InvalidReference, UnknownName
from featurestore.graph.selection import referenced_features, service_features
from featurestore.spec.dtypes import DType
from featurestore.spec.feature_service import FeatureService
from featurestore.spec.feature_view import FeatureView
from featurestore.spec.on_demand import OnDemandFeature
from tests.unit.graph.resolving import aircraft, flights, problems, resolve

SOURCE = flights()
FACTS = FeatureView("facts", entity=aircraft(), source=SOURCE, features=["delay", "seats"])
NEXT = FACTS.role("next", tail="next_tail")
SLACK = OnDemandFeature("slack", expression="minutes - facts:delay", inputs={"minutes": DType.FLOAT64})
HEADROOM = OnDemandFeature("headroom", expression="next_facts:seats - facts:seats")
SERVICE = FeatureService("both", features=[FACTS["seats"], NEXT, SLACK, HEADROOM])
GRAPH = resolve(SOURCE, FACTS, SERVICE)


UNKNOWN_INPUT = (
    "on-demand feature 'unknown_input': 'minuts' is neither one of its inputs nor a reference view:feature. "
    "Did you mean 'minutes'?"
)


def test_a_service_gives_its_members_in_their_order_under_their_names() -> None:
    found = service_features(GRAPH, "both")

    assert [(output.name, output.reference) for output in found.outputs] == [
        ("facts__seats", "facts:seats"),
        ("next_facts__delay", "next_facts:delay"),
        ("next_facts__seats", "next_facts:seats"),
        ("slack", "slack"),
        ("headroom", "headroom"),
    ]
    assert [view.name for view in found.views] == ["facts"]


def test_what_on_demand_features_read_is_computed_though_nobody_asked_for_it() -> None:
    found = service_features(GRAPH, "both")

    assert {use.name: (use.features, use.join_columns) for use in found.uses} == {
        "facts": (("seats", "delay"), ("tail",)),
        "next_facts": (("delay", "seats"), ("next_tail",)),
    }
    assert [column.name for column in found.join_columns] == ["tail", "next_tail"]
    assert [column.name for column in found.request_inputs] == ["minutes"]


def test_references_name_features_whole_views_roles_and_on_demand_features() -> None:
    found = referenced_features(GRAPH, ["facts:*", "next_facts:delay", "slack"])

    assert [output.name for output in found.outputs] == ["facts__delay", "facts__seats", "next_facts__delay", "slack"]
    assert found.service is None


@pytest.mark.parametrize(
    ("references", "message"),
    [
        (["fact:delay"], "There is no feature view 'fact'. Did you mean 'facts'"),
        (["facts:dellay"], "There is no feature of view 'facts' 'dellay'. Did you mean 'delay'?"),
        (["slak"], "There is no on-demand feature 'slak'. Did you mean 'slack'?"),
        (["fact:*"], "There is no feature view 'fact'. Did you mean 'facts'"),
    ],
)
def test_a_reference_to_nothing_says_what_was_meant(references: list[str], message: str) -> None:
    with pytest.raises(UnknownName) as raised:
        referenced_features(GRAPH, references)

    assert raised.value.message.startswith(message)


@pytest.mark.parametrize(
    ("references", "message"),
    [
        ([], "no features were asked for: name at least one, as view:feature"),
        (["facts:delay", "facts:*"], "'facts:delay' is asked for twice"),
        (["slack", "slack"], "'slack' is asked for twice"),
        (["facts:"], "'facts:' is not a feature reference: write view:feature"),
        (["a:b:c"], "'a:b:c' is not a feature reference: write view:feature"),
    ],
)
def test_text_that_is_no_reference_is_refused(references: list[str], message: str) -> None:
    with pytest.raises(InvalidReference) as raised:
        referenced_features(GRAPH, references)

    assert raised.value.message == message


def test_an_unknown_service_says_what_was_meant() -> None:
    with pytest.raises(UnknownName, match=r"There is no feature service 'bth'\. Did you mean 'both'"):
        service_features(GRAPH, "bth")


def test_everything_wrong_with_services_and_on_demand_features_is_told_at_once() -> None:
    other = OnDemandFeature("other", expression="minutes + 1", inputs={"minutes": DType.INT64})
    found = problems(
        SOURCE,
        FACTS,
        OnDemandFeature("unknown_view", expression="fact:delay + 1"),
        OnDemandFeature("unknown_feature", expression="facts:dellay + 1"),
        OnDemandFeature("unknown_input", expression="minuts + 1", inputs={"minutes": DType.FLOAT64}),
        OnDemandFeature("aggregated", expression="sum(facts:delay)"),
        OnDemandFeature("repeated", expression="facts:delay"),
        FeatureService("twice", features=[FACTS, FACTS["delay"]]),
        FeatureService("misspelled", features=[FACTS["dellay"]]),
        FeatureService("two_joins", features=[FACTS.role("r", tail="a")["delay"], FACTS.role("r", tail="b")["seats"]]),
        FeatureService("two_types", features=[SLACK, other]),
    )

    assert sorted(found) == [
        "feature service 'misspelled' has 'facts:dellay' (Did you mean 'delay'?)",
        "feature service 'twice' has two columns named 'facts__delay' (list each feature once)",
        "feature service 'two_joins' has 'r_facts' twice with different join keys (give each a role)",
        "feature service 'two_types' has the request input 'minutes' with two types (agree on one)",
        "on-demand feature 'aggregated': an on-demand feature is computed row by row: it can not aggregate",
        "on-demand feature 'repeated': it only repeats a column: name the feature itself in the service",
        "on-demand feature 'unknown_feature': There is no feature of view 'facts' 'dellay'. Did you mean 'delay'?",
        UNKNOWN_INPUT,
        "on-demand feature 'unknown_view': There is no feature view 'fact'. Did you mean 'facts' or 'r_facts'?",
    ]  # fmt: skip


def test_a_service_must_have_the_role_that_its_on_demand_feature_reads() -> None:
    without = FeatureService("without", features=[FACTS, HEADROOM])

    found = problems(SOURCE, FACTS, SERVICE, without)

    what = "feature service 'without' has 'headroom', which reads 'next_facts:seats' in a role"
    assert found == [f"{what} (add the view with that role, or one feature of it: 'next_facts')"]


def test_a_role_can_not_take_the_name_of_a_view() -> None:
    named = FeatureView("next_facts", entity=FACTS.entity, source=SOURCE, features=["seats"])

    found = problems(SOURCE, FACTS, named, FeatureService("s", features=[NEXT]))

    assert found == ["feature service 's': the role 'next_facts' has the name of a view (choose another prefix)"]


def test_two_declarations_of_a_name_are_told_with_the_place_of_the_first() -> None:
    found = problems(SOURCE, FACTS, FeatureView("Facts", entity=FACTS.entity, source=SOURCE, features=["delay"]))

    assert len(found) == 1
    assert found[0].startswith(f"feature view 'Facts' is declared twice (the first is at {FACTS.declared_at}; rename")


def test_the_type_of_an_on_demand_feature_is_what_the_engine_finds() -> None:
    graph = resolve(SOURCE, FACTS, SLACK, OnDemandFeature("late", expression="facts:delay > 15"))

    assert {feature.name: feature.dtype for feature in graph.on_demand} == {"slack": DType.FLOAT64, "late": DType.BOOL}


def test_a_request_input_may_be_called_like_a_word_of_sql() -> None:
    words = {"true": DType.FLOAT64, "select": DType.FLOAT64}
    share = OnDemandFeature("order", expression='"true" / "select" + facts:delay', inputs=words)

    (found,) = resolve(SOURCE, FACTS, share).on_demand

    assert found.expression == '"true" / "select" + "facts__delay"'


@pytest.mark.parametrize("word", ["true", "current_date", "select"])
def test_a_word_of_sql_that_is_an_input_too_is_never_taken_for_the_other(word: str) -> None:
    twice = OnDemandFeature("twice", expression=f"{word} = facts:delay", inputs={word: DType.FLOAT64})

    (found,) = problems(SOURCE, FACTS, twice)

    assert found.endswith(f'a column whose name is a word of SQL is quoted: "{word}"')
