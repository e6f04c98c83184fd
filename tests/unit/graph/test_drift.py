"""Drift: only what a view reads breaks it, and it is told with what was, what is, and which features it breaks."""

from __future__ import annotations

import dataclasses

import pyarrow as pa
import pytest

import featurestore as fs
from featurestore.errors import SourceDrift
from featurestore.graph.arrow_types import same_values
from featurestore.graph.declared_sources import source_fields
from featurestore.graph.drift import drifts
from featurestore.graph.resolved import ResolvedView, SourceField
from tests.unit.graph.resolving import FLIGHTS, aircraft, flights, resolve


def row_view() -> ResolvedView:
    view = fs.FeatureView("v", entity=aircraft(), source=flights(), features=["delay", "carrier"])
    return resolve(view).view("v")


def told(view: ResolvedView, schema: pa.Schema) -> list[SourceDrift]:
    return list(drifts(view, {"flights": source_fields(schema)}))


def retyped(column: str, kind: pa.DataType) -> pa.Schema:
    return FLIGHTS.set(FLIGHTS.get_field_index(column), pa.field(column, kind))


def without(*columns: str) -> pa.Schema:
    return pa.schema([field for field in FLIGHTS if field.name not in columns])


def test_a_dropped_column_breaks_the_features_that_are_made_of_it() -> None:
    [drift] = told(row_view(), without("delay"))

    assert drift == SourceDrift("flights", "delay", "double", None, None, ("v:delay",))


def test_a_renamed_column_is_told_with_the_only_new_one_of_its_type() -> None:
    [drift] = told(row_view(), without("delay").append(pa.field("arrival_delay", pa.float64())))

    assert drift.renamed == "arrival_delay"


@pytest.mark.parametrize("column", ["tail", "landed"])
def test_a_key_or_a_time_breaks_every_feature(column: str) -> None:
    [drift] = told(row_view(), retyped(column, pa.int64()))

    assert drift.features == ("v:delay", "v:carrier")


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        ("delay", pa.string()),
        ("delay", pa.float32()),
        ("delay", pa.int64()),
        ("carrier", pa.int32()),
        ("landed", pa.string()),
        ("landed", pa.date32()),
        ("landed", pa.timestamp("us")),
    ],
)
def test_a_retyped_column_is_told_with_both_types(column: str, kind: pa.DataType) -> None:
    [drift] = told(row_view(), retyped(column, kind))

    assert (drift.column, drift.was, drift.now) == (column, str(FLIGHTS.field(column).type), str(kind))


@pytest.mark.parametrize(
    "schema",
    [
        without("seats", "Gate", "fare"),
        retyped("seats", pa.string()),
        retyped("carrier", pa.large_string()),
        retyped("carrier", pa.dictionary(pa.int32(), pa.string())),
        retyped("landed", pa.timestamp("ns", tz="UTC")),
        retyped("landed", pa.timestamp("ms", tz="Europe/Vienna")),
        FLIGHTS.append(pa.field("new", pa.string())),
        pa.schema(list(reversed(list(FLIGHTS)))),
        pa.schema([field.with_name(field.name.upper()) for field in FLIGHTS]),
    ],
)
def test_what_a_view_does_not_read_or_reads_the_same_is_no_drift(schema: pa.Schema) -> None:
    assert told(row_view(), schema) == []


def listed_view(kind: pa.DataType) -> ResolvedView:
    view = fs.FeatureView("v", entity=aircraft(), source=flights(), features=["delay"])
    return resolve(view, flights=retyped("delay", kind)).view("v")


def listed(item: pa.Field, size: int = -1) -> pa.DataType:
    return pa.list_(item, size)


@pytest.mark.parametrize(
    "kind",
    [
        pa.dictionary(pa.int32(), pa.large_string()),
        pa.run_end_encoded(pa.int32(), pa.string_view()),
        pa.struct([("a", pa.large_string()), ("t", pa.timestamp("ns", "America/New_York"))]),
        pa.list_(pa.field("x", pa.struct([pa.field("t", pa.timestamp("s"), nullable=False)]), nullable=False)),
        pa.large_list(pa.list_(pa.field("of", pa.timestamp("ns")), 3)),
        pa.map_(pa.string_view(), pa.large_binary()),
        pa.fixed_shape_tensor(pa.float32(), (2,)),
        pa.decimal256(9, 2),
        pa.decimal32(9, 2),
    ],
    ids=str,
)
def test_what_is_one_type_by_its_values_is_one_by_its_name(kind: pa.DataType) -> None:
    view = listed_view(pa.list_(pa.float32()))
    was = dataclasses.replace(
        view,
        sources=tuple(
            dataclasses.replace(
                source,
                fields=tuple(
                    SourceField(field.name, str(kind)) if field.name == "delay" else field for field in source.fields
                ),
            )
            for source in view.sources
        ),
    )

    assert told(was, retyped("delay", same_values(kind))) == []
    assert told(was, retyped("delay", pa.int8())) != []


@pytest.mark.parametrize(
    ("was", "now"),
    [
        (listed(pa.field("item", pa.int32())), listed(pa.field("element", pa.int32()))),
        (listed(pa.field("item", pa.int32())), listed(pa.field("array_element", pa.int32(), nullable=False))),
        (listed(pa.field("item", pa.string())), pa.large_list(pa.field("element", pa.large_string()))),
        (listed(pa.field("item", pa.float32()), 3), listed(pa.field("element", pa.float32()), 3)),
    ],
)
def test_a_list_whose_items_are_merely_called_otherwise_is_no_drift(was: pa.DataType, now: pa.DataType) -> None:
    view = listed_view(was)

    assert told(view, retyped("delay", now)) == []


@pytest.mark.parametrize(
    ("was", "now"),
    [
        (listed(pa.field("item", pa.int32())), listed(pa.field("item", pa.int64()))),
        (listed(pa.field("item", pa.int32())), pa.int32()),
        (listed(pa.field("item", pa.float32()), 3), listed(pa.field("item", pa.float32()), 4)),
        (listed(pa.field("item", pa.float32()), 3), listed(pa.field("item", pa.float32()))),
    ],
)
def test_a_list_of_other_items_or_another_size_is_drift(was: pa.DataType, now: pa.DataType) -> None:
    view = listed_view(was)

    assert [(drift.was, drift.now) for drift in told(view, retyped("delay", now))] == [(str(was), str(now))]


def test_the_star_of_an_inner_select_reads_only_what_is_used() -> None:
    sql = "WITH all_of_it AS (SELECT * FROM flights) SELECT tail, landed AS event_timestamp, delay FROM all_of_it"
    view = resolve(flights(), fs.FeatureView("v", entity=aircraft(), sql=sql)).view("v")

    assert told(view, without("carrier", "seats")) == []
    assert [drift.column for drift in told(view, without("delay"))] == ["delay"]


def test_the_filter_of_an_aggregate_breaks_the_features_it_filters() -> None:
    features = [
        fs.Aggregate("delay", fs.sum, windows=["1d"]),
        fs.Aggregate("*", fs.count, windows=["1d"], where="seats > 9", name="large"),
    ]
    view = fs.FeatureView("v", entity=aircraft(), source=flights(), every="1h", features=features)

    [drift] = told(resolve(view).view("v"), without("seats"))

    assert drift.features == ("v:large_1d",)
