"""The key of a declared view changes with whatever its resolved record is made from, and with nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from functools import partial

import pyarrow as pa
import pytest

import featurestore as fs
from featurestore.graph.declared import view_keys
from featurestore.spec.declarations import Declarations
from featurestore.spec.feature_view import FeatureView
from featurestore.spec.source import ParquetSource, Source
from tests.unit.graph.resolving import FLIGHTS, aircraft, flights

WEATHER = ParquetSource("weather", path="weather.parquet", event_timestamp="hour")


def key(view: FeatureView, source: Source | None = None, schema: pa.Schema = FLIGHTS) -> str | None:
    declared = Declarations(sources=(source or flights(), WEATHER), views=(view,))
    schemas = {"flights": schema, "weather": pa.schema([("hour", pa.timestamp("us", tz="UTC"))])}
    return view_keys(declared, schemas).get(view.name)


def delays(**changes: object) -> FeatureView:
    source = flights()
    return FeatureView("delays", **{"entity": aircraft(), "source": source, "features": ["delay"], **changes})  # type: ignore[arg-type]


def test_two_views_written_alike_in_different_places_have_one_key() -> None:
    first = fs.FeatureView("delays", entity=aircraft(), source=flights(), features=["delay"])
    second = fs.FeatureView("delays", entity=aircraft(), source=flights(), features=["delay"])

    assert first.declared_at != second.declared_at
    assert key(first) == key(second)


@pytest.mark.parametrize(
    "changed",
    [
        {"features": ["delay", "seats"]},
        {"features": [fs.Feature("delay", "delay + 1")]},
        {"features": [fs.Feature("delay", description="late")]},
        {"entity": aircraft(carrier=fs.String)},
        {"ttl": "1d"},
        {"publish_delay": "1m"},
        {"owner": "ops"},
        {"tags": ["tier-1"]},
        {"source": None, "sql": "SELECT tail, landed AS event_timestamp, delay FROM flights"},
        {"every": "1h", "features": [fs.Aggregate("delay", fs.sum, windows=["1d"])]},
    ],
)
def test_any_change_of_the_declaration_changes_the_key(changed: dict[str, object]) -> None:
    assert key(delays(**changed)) != key(delays())


def test_windows_functions_and_filters_are_told_apart() -> None:
    kinds = [
        fs.Aggregate("delay", fs.sum, windows=["1d"], name="a"),
        fs.Aggregate("delay", fs.max, windows=["1d"], name="a"),
        fs.Aggregate("delay", fs.sum, windows=["2d"], name="a"),
        fs.Aggregate("delay", fs.sum, windows=["1d"], name="a", where="seats > 1"),
    ]

    assert len({key(delays(every="1h", features=[kind])) for kind in kinds}) == len(kinds)


@pytest.mark.parametrize("changes", [{"path": "other.parquet"}, {"delay": "1h"}, {"known_at": "loaded"}])
def test_a_changed_source_changes_the_key(changes: dict[str, str]) -> None:
    assert key(delays(), flights(**changes)) != key(delays())


MOMENTS = {"tail": fs.String, "landed": fs.Timestamp, "delay": fs.Float64}


@pytest.mark.parametrize(
    ("declare", "changes"),
    [
        (fs.ParquetSource, {"partitions": {"day": fs.Date}}),
        (fs.CsvSource, {"columns": MOMENTS}),
        (fs.CsvSource, {"columns": {**MOMENTS, "delay": fs.Decimal(9, 2)}}),
        (fs.CsvSource, {"delimiter": ";"}),
        (fs.CsvSource, {"null_text": ["", "NA"]}),
        (fs.CsvSource, {"header": False, "columns": MOMENTS}),
        (fs.DeltaSource, {"version": 3}),
        (fs.DeltaSource, {"path": "other"}),
    ],
)
def test_what_any_kind_of_file_declares_is_part_of_the_key(
    declare: Callable[..., Source], changes: dict[str, object]
) -> None:
    def source(**changed: object) -> Source:
        return declare("flights", **{"path": "flights", "event_timestamp": "landed", **changed})

    keys = [key(delays(source=one), one) for one in (source(), source(), source(**changes))]

    assert None not in keys
    assert keys[0] == keys[1] != keys[2]


def test_what_databases_and_frames_declare_is_part_of_the_key() -> None:
    sql = partial(fs.SqlSource, "flights", event_timestamp="landed")
    frame = partial(fs.FrameSource, "flights", event_timestamp="landed")
    sources: list[Source] = [
        sql(connection="a", table="t"),
        sql(connection="b", table="t"),
        sql(connection="a", table="u"),
        sql(connection="a", query="SELECT * FROM t"),
        frame(columns=MOMENTS),
        frame(columns={**MOMENTS, "seats": fs.Int32}),
        fs.DeltaSource("flights", path="flights", event_timestamp="landed"),
        fs.ParquetSource("flights", path="flights", event_timestamp="landed"),
    ]

    assert len({key(delays(source=source), source) for source in sources} - {None}) == len(sources)


def test_a_column_of_another_type_changes_the_key_and_one_of_an_unread_source_does_not() -> None:
    retyped = FLIGHTS.set(3, pa.field("delay", pa.float32()))
    declared = Declarations(sources=(flights(), WEATHER), views=(delays(),))
    keys = [view_keys(declared, {"flights": FLIGHTS, "weather": schema}) for schema in (FLIGHTS, retyped)]

    assert key(delays(), schema=retyped) != key(delays())
    assert keys[0] == keys[1]


def test_sql_reads_every_source_that_it_names_in_letters_of_either_case() -> None:
    joined = delays(source=None, sql="SELECT tail, hour AS event_timestamp FROM Flights, WEATHER")
    declared = Declarations(sources=(flights(), WEATHER), views=(joined,))

    assert view_keys(declared, {"flights": FLIGHTS}) == {}


def test_every_field_that_decides_equality_is_covered() -> None:
    compared = {field.name for field in fields(FeatureView) if field.compare}

    assert {field.name for field in fields(FeatureView)} - compared == {"declared_at"}
