"""A declaration that can not be is refused where it is written, with an error that says file, line and what to do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from featurestore.errors import InvalidDeclaration, UnknownName
from featurestore.spec.aggregate import Aggregate, Feature
from featurestore.spec.dtypes import DType
from featurestore.spec.entity import Entity
from featurestore.spec.feature_service import FeatureService
from featurestore.spec.feature_view import FeatureView
from featurestore.spec.names import FeatureReference, parse_duration, show_duration
from featurestore.spec.on_demand import OnDemandFeature
from featurestore.spec.source import ParquetSource

THING = Entity("thing", join_keys={"id": DType.STRING})
ROWS = ParquetSource("rows", path="rows.parquet", event_timestamp="at")


def view(**changes: Any) -> FeatureView:
    return FeatureView("things", **{"entity": THING, "source": ROWS, "features": ["x"], **changes})


def windows(**changes: Any) -> FeatureView:
    return view(**{"every": "1h", "features": [Aggregate("x", "sum", windows=["1d"])], **changes})


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (lambda: Entity("", join_keys={"id": DType.STRING}), "'' can not name a entity: names are letters"),
        (lambda: Entity("a__b", join_keys={"id": DType.STRING}), "'a__b' can not name a entity"),
        (lambda: Entity("thing", join_keys={}), "entity 'thing' needs at least one join key"),
        (lambda: Entity("thing", join_keys=["id"]), "entity 'thing' needs at least one join key"),  # type: ignore[arg-type]
        (
            lambda: Entity("thing", join_keys={"id": DType.FLOAT64}),
            "join key 'id' of entity 'thing' can not be of type",
        ),
        (lambda: Entity("thing", join_keys={"id": str}), "join key 'id' of entity 'thing' can not be of type"),  # type: ignore[dict-item]
        (lambda: Entity("thing", join_keys={"i d": DType.STRING}), "'i d' can not name a join key"),
        (
            lambda: Entity("thing", join_keys={"id": DType.STRING}, tags="a"),  # type: ignore[arg-type]
            "tags of entity 'thing' is a list, got 'a'",
        ),
        (lambda: ParquetSource("rows", path="", event_timestamp="at"), "source 'rows' needs path="),
        (lambda: ParquetSource("rows", path="p", event_timestamp=""), "source 'rows' needs event_timestamp="),
        (
            lambda: ParquetSource("rows", path="p", event_timestamp="at", delay="1 hour"),
            "delay of source 'rows' is a dur",
        ),
        (
            lambda: ParquetSource("rows", path="p", event_timestamp="at", known_at="k", delay="1h"),
            "source 'rows' has known_at and delay: declare one of them",
        ),
        (lambda: Feature("2nd"), "'2nd' can not name a feature"),
        (lambda: Feature("x", 5), "the expression of feature 'x' is SQL as text, got 5"),  # type: ignore[arg-type]
        (
            lambda: Aggregate("x", "median", windows=["1d"]),
            "there is no aggregate 'median'; there is: count, count_distinct",
        ),
        (lambda: Aggregate("x", "sum", windows="1d"), "windows is a list of durations such as"),
        (lambda: Aggregate("x", "sum", windows=[]), "windows is a list of durations such as"),
        (lambda: Aggregate("x", "sum", windows=5), "windows is a list, got 5"),  # type: ignore[arg-type]
        (
            lambda: Aggregate("x", "sum", windows=["1d", "24h"]),
            "windows are longer than zero and differ from each other",
        ),
        (lambda: Aggregate("x", "sum", windows=["0d"]), "windows are longer than zero"),
        (lambda: Aggregate("x", "sum", windows=["1y"]), "a window is a duration such as '30s', '10m'"),
        (lambda: Aggregate("*", "sum", windows=["1d"]), "'*' can only be counted, not given to sum"),
        (lambda: Aggregate("x + 1", "sum", windows=["1d"]), "an aggregate of the expression 'x + 1' needs name="),
        (lambda: Aggregate(5, "sum", windows=["1d"]), "the expression of an aggregate is SQL as text, got 5"),  # type: ignore[arg-type]
        (
            lambda: Aggregate("x", "sum", windows=["1d"], where=True),  # type: ignore[arg-type]
            "where= of the aggregate of 'x' is SQL as text, got T",
        ),
        (lambda: view(source=None), "view 'things' needs either source= or sql="),
        (lambda: view(sql="SELECT 1"), "view 'things' needs either source= or sql="),
        (lambda: view(source="rows"), "source is a source object, got 'rows'"),
        (lambda: view(entity="thing"), "entity is an Entity or None, got 'thing'"),
        (lambda: view(features=[]), "view 'things' has no features"),
        (lambda: view(features="x"), "features of view 'things' is a list, got 'x'"),
        (lambda: view(features=None), "features of view 'things' is a list, got None"),
        (lambda: view(features=[5]), "features are Feature, Aggregate or column names, got 5"),
        (lambda: view(source=None, sql=5), "sql of view 'things' is SQL as text, got 5"),
        (lambda: view(every="1h"), "every= is the hop of aggregates, and this view has none"),
        (lambda: view(ttl="0s"), "a ttl is longer than zero"),
        (lambda: view(ttl=-timedelta(1)), "ttl of view 'things' is a duration of whole seconds"),
        (lambda: view(publish_delay="soon"), "publish_delay of view 'things' is a duration such as"),
        (lambda: view(lateness="never"), "lateness of view 'things' is a duration such as"),
        (lambda: view(tags="tier"), "tags of view 'things' is a list, got 'tier'"),
        (lambda: windows(every=None), "needs every=, from '1m' to '1d', a whole part of a day"),
        (lambda: windows(every="7h"), "a whole part of a day, and '7h' is not"),
        (lambda: windows(every="30s"), "needs every=, from '1m' to '1d', a whole part of a day"),
        (lambda: windows(every="2d"), "needs every=, from '1m' to '1d', a whole part of a day"),
        (lambda: windows(ttl="1d"), "takes no ttl: windows expire values by themselves"),
        (
            lambda: windows(features=[Aggregate("x", "sum", windows=["90m"])]),
            "window 90m of 'x_sum' is not a multiple of 1h",
        ),
        (lambda: windows(features=[Aggregate("x", "sum", windows=["1d"]), "y"]), "mixes aggregates and plain columns"),
        (lambda: OnDemandFeature("o", expression=" "), "on-demand feature 'o' needs an expression"),
        (
            lambda: OnDemandFeature("o", expression="a", inputs={"a": float}),  # type: ignore[dict-item]
            "input 'a' of 'o' needs a type such as Float",
        ),
        (lambda: FeatureService("s", features=[]), "feature service 's' has no features"),
        (
            lambda: FeatureService("s", features=["things:x"]),  # type: ignore[list-item]
            "feature service 's' takes views, view['feature'], view.role",
        ),
        (lambda: FeatureService("s", features=view()), "features of feature service 's' is a list, got FeatureView("),  # type: ignore[arg-type]
        (lambda: view().role("a__b"), "'a__b' can not name a role"),
    ],
)
def test_what_can_not_be_is_refused_with_the_place_and_the_reason(declare: Callable[[], object], message: str) -> None:
    with pytest.raises(InvalidDeclaration) as raised:
        declare()

    place, _, what = raised.value.message.partition(": ")
    assert place.rpartition(":")[0] == __file__
    assert message in what or message in raised.value.message


def test_a_role_on_a_key_that_the_entity_does_not_have_says_what_was_meant() -> None:
    with pytest.raises(UnknownName, match=r"There is no join key of view 'things' .* 'idd'\. Did you mean 'id'\?"):
        view().role("other", idd="other_id")


def test_a_declaration_knows_where_it_stands() -> None:
    declared = view()

    assert declared.declared_at.startswith(f"{__file__}:")


def test_features_may_be_given_by_the_names_of_columns() -> None:
    assert view(features=["x", Feature("y", "x + 1")]).features == (Feature("x", "x"), Feature("y", "x + 1"))


def test_choosing_features_and_a_role_keeps_both() -> None:
    chosen = view().role("other", id="other_id")["x"]

    assert (chosen.name, chosen.features, chosen.join_keys) == ("other_things", ("x",), (("id", "other_id"),))


@pytest.mark.parametrize("text", ["0s", "90s", "10m", "1h", "36h", "7d"])
def test_a_duration_is_shown_as_it_is_written(text: str) -> None:
    assert show_duration(parse_duration("it", text)) == text


@pytest.mark.parametrize(("text", "shown"), [("60s", "1m"), ("24h", "1d"), ("2w", "14d"), ("0d", "0s")])
def test_a_duration_is_shown_in_its_shortest_spelling(text: str, shown: str) -> None:
    assert show_duration(parse_duration("it", text)) == shown


@pytest.mark.parametrize(
    "value", ["", "1", "h", "1.5h", "-1h", "1 h", "1H", 60, timedelta(microseconds=1), "9" * 30 + "w"]
)
def test_what_is_no_duration_is_refused(value: Any) -> None:
    with pytest.raises(InvalidDeclaration, match="it"):
        parse_duration("it", value)


def test_a_reference_is_a_view_and_a_feature() -> None:
    reference = FeatureReference.parse("things:x")

    assert (reference.view, reference.feature, reference.column, str(reference)) == (
        "things",
        "x",
        "things__x",
        "things:x",
    )
