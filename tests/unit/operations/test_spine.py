"""Spines: what can not be used is told all at once, and what can be is read without a guess."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from featurestore.errors import SpineError
from featurestore.graph.resolved import FeatureSet
from featurestore.graph.selection import service_features
from featurestore.operations.fitted_column import as_moments
from featurestore.operations.spine import as_kept, check_spine, spine_relation
from featurestore.spec import dtypes
from featurestore.spec.dtypes import DType
from featurestore.spec.feature_service import FeatureService
from featurestore.spec.feature_view import FeatureView
from featurestore.spec.on_demand import OnDemandFeature
from tests.unit.graph.resolving import aircraft, flights, resolve

NOON = datetime(2013, 3, 10, 12, tzinfo=UTC)
MOMENT = pa.timestamp("us", tz="UTC")


def _features() -> FeatureSet:
    source = flights()
    facts = FeatureView(
        "facts", entity=aircraft(tail=DType.STRING, seats=DType.INT32), source=source, features=["delay"]
    )
    slack = OnDemandFeature("slack", expression="minutes - facts:delay", inputs={"minutes": DType.FLOAT32})
    return service_features(resolve(source, facts, FeatureService("all", features=[facts, slack])), "all")


FEATURES = _features()


def spine(**changes: Any) -> pa.Table:
    columns = {
        "at": pa.array([NOON], MOMENT),
        "tail": ["N1"],
        "seats": pa.array([4], pa.int32()),
        "minutes": pa.array([1.5], pa.float32()),
        "late": [True],
    }
    return pa.table({name: column for name, column in (columns | changes).items() if column is not None})


def problems(table: pa.Table, label: str | None = "late") -> str:
    with pytest.raises(SpineError) as raised:
        check_spine(table, FEATURES, timestamp="at", label=label)
    return raised.value.message


def test_a_spine_with_everything_is_accepted() -> None:
    check_spine(spine(), FEATURES, timestamp="at", label="late")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"at": None}, "it has no timestamp column 'at', which says when each row asks (timestamp=)"),
        ({"at": [1]}, "its timestamp column 'at' is int64, not a timestamp"),
        ({"at": pa.array([None], MOMENT)}, "1 rows have no 'at'"),
        ({"late": None}, "it has no label column 'late'"),
        ({"tail": None, "tial": ["N1"]}, "it has no join key 'tail' (string). Did you mean 'tial'?"),
        ({"tail": [7]}, "its join key 'tail' is int64, and string is needed: convert it"),
        ({"seats": ["4"]}, "its join key 'seats' is string, and int32 is needed: convert it"),
        ({"seats": [4.0]}, "its join key 'seats' is double, and int32 is needed: convert it"),
        ({"seats": [2**40]}, "its join key 'seats' does not fit int32: row 0 has 1099511627776"),
        ({"seats": [True]}, "its join key 'seats' is bool, and int32 is needed: convert it"),
        ({"minutes": [1e308]}, "its request input 'minutes' does not fit float32: row 0 has 1e+308"),
        ({"minutes": [2**24 + 1]}, "its request input 'minutes' does not fit float32: row 0 has 16777217"),
        ({"at": pa.array([2**62], pa.timestamp("s"))}, "'at' holds a moment outside of the years 1 to 9999: row 0 has"),
        ({"minutes": None}, "it has no request input 'minutes' (float32)"),
        ({"minutes": ["1"]}, "its request input 'minutes' is string, and float32 is needed: convert it"),
        ({"facts__delay": [1]}, "its column 'facts__delay' has the name of the feature facts:delay: rename it"),
        ({"slack": [1]}, "its column 'slack' has the name of the feature slack: rename it"),
    ],
)
def test_what_does_not_fit_is_said_with_what_is_needed(changes: dict[str, Any], message: str) -> None:
    assert message in problems(spine(**changes))


def test_everything_that_does_not_fit_is_said_at_once() -> None:
    found = problems(spine(at=None, tail=[7], minutes=None, slack=[1]), label="lat")

    assert len(found.splitlines()) == 6


def test_two_columns_of_one_name_are_refused() -> None:
    twice = pa.table([pa.array([NOON], MOMENT), pa.array(["a"]), pa.array(["b"])], names=["at", "tail", "tail"])

    assert problems(twice) == "The spine has two columns named 'tail'. Rename one."


@pytest.mark.parametrize(
    "tail",
    [
        pa.array(["N1"], pa.large_string()),
        pa.array(["N1"], pa.string_view()),
        pa.array(["N1"]).dictionary_encode(),
    ],
)
def test_text_is_a_key_in_whatever_form_it_comes(tail: pa.Array) -> None:
    table = spine(tail=tail)
    check_spine(table, FEATURES, timestamp="at", label=None)

    assert spine_relation(table, FEATURES, timestamp="at")["tail"].to_pylist() == ["N1"]


def test_a_spine_that_an_earlier_release_kept_is_read_as_it_was_then() -> None:
    """Its datasets are rebuilt to the same bytes, though nobody could pull them by now."""
    table = spine(minutes=[1e308])
    assert "'minutes' does not fit float32" in problems(table)

    assert spine_relation(table, FEATURES, timestamp="at")["minutes"].to_pylist() == [math.inf]


def test_a_column_of_nulls_is_a_key_that_matches_nothing() -> None:
    table = spine(tail=pa.nulls(1))
    check_spine(table, FEATURES, timestamp="at", label=None)

    assert spine_relation(table, FEATURES, timestamp="at").column("tail").to_pylist() == [None]


def test_the_relation_has_the_moment_and_what_the_features_need() -> None:
    relation = spine_relation(spine(extra=["e"]), FEATURES, timestamp="at")

    assert relation.to_pylist() == [{"__moment": NOON, "tail": "N1", "seats": 4, "minutes": 1.5}]


@pytest.mark.parametrize(
    ("values", "moment"),
    [
        (pa.array([datetime(2013, 3, 10, 12)], pa.timestamp("us")), NOON),  # noqa: DTZ001 - naive on purpose
        (pa.array([NOON], pa.timestamp("s", "UTC")), NOON),
        (pa.array([NOON], pa.timestamp("ms", "America/New_York")), NOON),
        (pa.array([-1], pa.timestamp("ns")), datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
        (pa.array([1999], pa.timestamp("ns", "Asia/Tokyo")), datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=UTC)),
        (pa.array([date(2013, 3, 10)]), NOON.replace(hour=0)),
        (pa.array([date(2013, 3, 10)], pa.date64()), NOON.replace(hour=0)),
    ],
)
def test_every_kind_of_timestamp_is_a_moment_in_utc(values: pa.Array, moment: datetime) -> None:
    assert as_moments(pa.chunked_array([values])).to_pylist() == [moment]


def test_a_spine_is_kept_with_the_types_that_parquet_has() -> None:
    table = pa.table(
        {"at": pa.array([NOON], pa.timestamp("s")), "list": [[1, 2]], "text": pa.array(["a"], pa.large_string())}
    )

    kept = as_kept(table)

    assert [str(kind) for kind in kept.schema.types] == ["timestamp[ms]", "list<element: int64>", "large_string"]


def test_a_column_that_parquet_can_not_hold_is_refused() -> None:
    with pytest.raises(SpineError, match="can not be kept as Parquet, leave that column out"):
        as_kept(spine(extra=pa.array([(1, 2, 3)], pa.month_day_nano_interval())))


TYPED = service_features(
    resolve(
        flights(),
        FeatureService(
            "typed",
            features=[
                OnDemandFeature(
                    "sized",
                    expression="price + len(vector) + len(words) + len(moments)",
                    inputs={
                        "price": dtypes.Decimal(6, 2),
                        "vector": dtypes.Embedding(2),
                        "words": dtypes.List(DType.STRING),
                        "moments": dtypes.List(DType.TIMESTAMP),
                    },
                )
            ],
        ),
    ),
    "typed",
)


def typed_spine(**changes: Any) -> pa.Table:
    columns = {
        "at": pa.array([NOON], MOMENT),
        "price": pa.array([Decimal("1.50")]),
        "vector": pa.array([[1.5, 2.0]]),
        "words": [["a", None]],
        "moments": pa.array([[NOON, None]], pa.list_(MOMENT)),
    }
    return pa.table(columns | changes)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"price": Decimal("1.50"), "vector": [1.5, 2.0], "words": ["a", None]}),
        ({"price": [7]}, {"price": Decimal("7.00")}),
        ({"price": pa.array([Decimal("1.500")], pa.decimal256(60, 3))}, {"price": Decimal("1.50")}),
        ({"price": pa.nulls(1)}, {"price": None}),
        ({"vector": [[1, 2]]}, {"vector": [1.0, 2.0]}),
        ({"vector": pa.array([[1.5, 2.0]], pa.list_(pa.float64(), 2))}, {"vector": [1.5, 2.0]}),
        ({"vector": pa.array([[1.5, 2.0]], pa.large_list(pa.float16()))}, {"vector": [1.5, 2.0]}),
        ({"vector": pa.array([None], pa.list_(pa.float32(), 2))}, {"vector": None}),
        ({"words": pa.array([["a"]], pa.large_list(pa.large_string()))}, {"words": ["a"]}),
        ({"words": [[]]}, {"words": []}),
        ({"moments": pa.array([[0]], pa.list_(pa.timestamp("s")))}, {"moments": [datetime(1970, 1, 1, tzinfo=UTC)]}),
    ],
)
def test_decimals_and_lists_are_read_in_whatever_form_they_come(
    changes: dict[str, Any], expected: dict[str, object]
) -> None:
    table = typed_spine(**changes)
    check_spine(table, TYPED, timestamp="at", label=None)

    [row] = spine_relation(table, TYPED, timestamp="at").to_pylist()

    assert {name: row[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"price": [1.5]}, "its request input 'price' is double, and decimal(6, 2) is needed: convert it"),
        ({"price": ["1.5"]}, "its request input 'price' is string, and decimal(6, 2) is needed: convert it"),
        ({"price": [10_000]}, "its request input 'price' does not fit decimal(6, 2)"),
        ({"price": [Decimal("0.001")]}, "its request input 'price' does not fit decimal(6, 2)"),
        ({"vector": [[1.0]]}, "its request input 'vector' does not fit embedding(2)"),
        (
            {"vector": pa.array([[1.0]], pa.list_(pa.float32(), 1))},
            "is fixed_size_list<item: float>[1], and embedding(2)",
        ),
        ({"vector": pa.array([[1.0, 2.0]], pa.list_view(pa.float32()))}, "is list_view<item: float>, and embedding(2)"),
        ({"vector": [[1.0, None]]}, "its request input 'vector' does not fit embedding(2): row 0 has [1.0, None]"),
        ({"vector": [1.0]}, "its request input 'vector' is double, and embedding(2) is needed: convert it"),
        ({"words": [[1]]}, "its request input 'words' is list<item: int64>, and list(string) is needed: convert it"),
    ],
)
def test_decimals_and_lists_that_do_not_fit_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SpineError) as raised:
        check_spine(typed_spine(**changes), TYPED, timestamp="at", label=None)

    assert message in raised.value.message
