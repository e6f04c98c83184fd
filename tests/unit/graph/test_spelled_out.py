"""What the engine would expand by itself is spelled out when a view is resolved, or refused by name."""

from __future__ import annotations

import pyarrow as pa
import pytest

from featurestore.graph.resolved import ResolvedView
from featurestore.spec.aggregate import Aggregate, Feature
from featurestore.spec.feature_view import FeatureView
from featurestore.spec.source import ParquetSource
from tests.unit.graph.resolving import MOMENT, aircraft, edges, problems, resolve

FLIGHTS = pa.schema(
    [
        ("tail", pa.string()), ("landed", MOMENT), ("delay", pa.int64()), ("seats", pa.int64()), ("Gate", pa.string()),
        ("legs", pa.list_(pa.int64())),
        ("plane", pa.struct([("weight", pa.int64()), ("engine", pa.struct([("power", pa.int64())]))])),
    ]
)  # fmt: skip
WEATHER = pa.schema([("tail", pa.string()), ("landed", MOMENT), ("wind", pa.int64()), ("delay", pa.int64())])
SOURCES = [ParquetSource(name, path=f"{name}.parquet", event_timestamp="landed") for name in ("flights", "weather")]
KEYS = "tail, landed AS event_timestamp"
F_KEYS = "f.tail, f.landed AS event_timestamp"


def view(sql: str) -> ResolvedView:
    found = FeatureView("v", entity=aircraft(), sql=sql)
    return resolve(*SOURCES, found, flights=FLIGHTS, weather=WEATHER).view("v")


def told(sql: str) -> str:
    found = FeatureView("v", entity=aircraft(), sql=sql)
    return "\n".join(problems(*SOURCES, found, flights=FLIGHTS, weather=WEATHER))


@pytest.mark.parametrize(
    ("written", "spelled_out"),
    [
        pytest.param(
            f"SELECT {KEYS}, greatest(*COLUMNS('delay|seats')) AS x FROM flights",
            f"SELECT {KEYS}, greatest(delay, seats) AS x FROM flights", id="pattern among arguments",
        ),
        pytest.param(
            f"SELECT {KEYS}, list_max([*COLUMNS('^(delay|seats)$'), 1]) AS x FROM flights",
            f"SELECT {KEYS}, list_max([delay, seats, 1]) AS x FROM flights", id="pattern in a list",
        ),
        pytest.param(
            f"SELECT {KEYS}, coalesce(UNPACK(COLUMNS('delay|seats')), 0) AS x FROM flights",
            f"SELECT {KEYS}, coalesce(delay, seats, 0) AS x FROM flights", id="UNPACK",
        ),
        pytest.param(
            f"SELECT {KEYS}, COLUMNS('delay|seats') + 1 FROM flights",
            f"SELECT {KEYS}, delay + 1 AS delay, seats + 1 AS seats FROM flights", id="an item for each column",
        ),
        pytest.param(
            f"WITH c AS (SELECT * FROM flights) SELECT {KEYS}, greatest(*COLUMNS('delay|seats')) AS x FROM c",
            f"WITH c AS (SELECT * FROM flights) SELECT {KEYS}, greatest(delay, seats) AS x FROM c", id="behind a CTE",
        ),
        pytest.param(
            f"SELECT {KEYS}, COLUMNS(w.* EXCLUDE (tail, landed)) FROM flights JOIN weather AS w USING (tail, landed)",
            f"SELECT {KEYS}, w.wind, w.delay FROM flights JOIN weather AS w USING (tail, landed)", id="a table's star",
        ),
        pytest.param(
            f"SELECT {KEYS}, flights.* LIKE 's%' FROM flights", f"SELECT {KEYS}, seats FROM flights", id="LIKE"
        ),
        pytest.param(
            f"SELECT {KEYS}, * SIMILAR TO '(s|d).*' FROM flights", f"SELECT {KEYS}, delay, seats FROM flights",
            id="SIMILAR TO",
        ),
        pytest.param(
            f"SELECT {KEYS}, to_json(f)::VARCHAR AS x FROM (SELECT tail, landed, seats FROM flights) AS f",
            f"SELECT {KEYS}, to_json({{'tail': f.tail, 'landed': f.landed, 'seats': f.seats}})::VARCHAR AS x "
            "FROM (SELECT tail, landed, seats FROM flights) AS f", id="a row as a value",
        ),
        pytest.param(
            f"SELECT {F_KEYS}, wind FROM flights AS f ASOF JOIN weather AS w USING (tail, landed)",
            f"SELECT {F_KEYS}, wind FROM flights AS f ASOF JOIN weather AS w "
            "ON f.tail = w.tail AND f.landed >= w.landed", id="ASOF with USING",
        ),
        pytest.param(
            f"SELECT {F_KEYS}, y.m FROM flights f, LATERAL (SELECT max(wind) AS m FROM weather WHERE delay = seats) y",
            f"SELECT {F_KEYS}, y.m FROM flights AS f, "
            "(SELECT max(weather.wind) AS m FROM weather WHERE weather.delay = f.seats) AS y", id="LATERAL",
        ),
        pytest.param(
            f"SELECT {KEYS}, leg FROM flights, LATERAL unnest(legs) AS l(leg)",
            f"SELECT {KEYS}, l.leg FROM flights, unnest(flights.legs) AS l(leg)", id="LATERAL unnest",
        ),
        pytest.param(
            f"SELECT {KEYS}, seats AS x FROM flights ORDER BY ALL LIMIT 3",
            f"SELECT {KEYS}, seats AS x FROM flights ORDER BY 1, 2, 3 LIMIT 3", id="ORDER BY ALL",
        ),
        pytest.param(
            f"(SELECT {KEYS}, seats AS x FROM flights) ORDER BY x LIMIT 3",
            f"SELECT * FROM (SELECT {KEYS}, seats AS x FROM flights) ORDER BY x LIMIT 3", id="clauses of parentheses",
        ),
        pytest.param(
            "SELECT t AS tail, time AS event_timestamp, x FROM flights AS f(t, time, x)",
            "SELECT t AS tail, time AS event_timestamp, x FROM (SELECT * FROM flights) AS f(t, time, x)",
            id="columns named anew",
        ),
    ],
)  # fmt: skip
def test_sql_that_names_no_columns_is_the_same_as_sql_that_does(written: str, spelled_out: str) -> None:
    assert view(written).query == view(spelled_out).query
    assert view(written).fingerprint == view(spelled_out).fingerprint


@pytest.mark.parametrize(
    ("sql", "part"),
    [
        (f"SELECT {KEYS}, greatest(COLUMNS('delay|seats')) AS x FROM flights", "2 columns the name 'x'"),
        (f"SELECT {KEYS}, COLUMNS(lambda c: c LIKE 's%') FROM flights", "name the columns"),
        (f"SELECT {KEYS}, COLUMNS('wind') FROM flights", "matches no column"),
        (f"SELECT {KEYS}, COLUMNS('(?=a)') FROM flights", "too special"),
        (f"SELECT {KEYS}, * GLOB 's*' FROM flights", "name the columns"),
        (f"SELECT {KEYS}, seats FROM flights WHERE COLUMNS('delay|seats') > 1", "name the columns"),
        (f"SELECT {KEYS}, count(flights.*) AS x FROM flights", "name the columns"),
        (f"SELECT {KEYS}, plane.* FROM flights", "fields of a struct"),
        (f"SELECT {KEYS}, seats + ? AS x FROM flights", "is a parameter"),
        (f"SELECT {KEYS}, seats + $1 AS x FROM flights", "is a parameter"),
        (f"SELECT {KEYS}, #3 AS x FROM flights", "by its place"),
        (f"SELECT {F_KEYS}, wind FROM flights AS f POSITIONAL JOIN weather", "row_number()"),
        (f"SELECT {F_KEYS}, wind FROM flights AS f ASOF RIGHT JOIN weather USING (tail, landed)", "with ON"),
        (f"SELECT {KEYS}, unnest AS x FROM flights, unnest(legs)", "no names for its columns"),
        (f"SELECT {KEYS}, col0 AS x FROM flights, (VALUES (1))", "no names for its columns"),
        (f"SELECT {KEYS}, count AS x FROM flights, (SUMMARIZE weather)", "tells of a table"),
        ("SELECT * FROM (PIVOT weather ON wind USING sum(delay))", "behind a table"),
        (f"SELECT {KEYS}, n, x FROM (SELECT tail, landed, gate FROM flights) UNPIVOT (x FOR n IN (gate))", "capital"),
        (f"SELECT {KEYS}, x FROM flights, range(3) AS r(x)", "UNNEST(RANGE"),
        (f"SELECT {KEYS}, alias(seats) AS x FROM flights", "write the text"),
        (
            "SELECT tail, max(landed) AS event_timestamp, tail AS k, 1 AS x FROM flights GROUP BY tail, ROLLUP (k)",
            "name it once",
        ),
    ],
)  # fmt: skip
def test_what_can_not_be_spelled_out_is_refused_by_name(sql: str, part: str) -> None:
    assert part in told(sql)


@pytest.mark.parametrize("expression", ["greatest(*COLUMNS('s.*'))", "hash(*)", "#1", "seats + ?", "seats + $x"])
def test_a_features_expression_names_what_it_reads(expression: str) -> None:
    source = SOURCES[0]
    row_level = FeatureView("r", entity=aircraft(), source=source, features=[Feature("x", expression)])
    windowed = FeatureView(
        "w", source=source, every="1h", features=[Aggregate(expression, "max", windows=["1d"], name="x")]
    )

    said = problems(row_level, windowed, flights=FLIGHTS)

    assert len(said) == 2
    assert all("reads columns without naming them" in one or "is a parameter" in one for one in said), said


@pytest.mark.parametrize(
    "sql",
    [
        f"SELECT {KEYS}, plane.engine.power AS x FROM flights",
        f"WITH c AS (SELECT * FROM flights) SELECT {KEYS}, c.plane.engine.power AS x FROM c",
        f"SELECT {KEYS}, e.power AS x FROM (SELECT tail, landed, plane.engine AS e FROM flights)",
        f"SELECT {KEYS}, weather.power AS x FROM (SELECT tail, landed, plane.engine AS weather FROM flights)",
    ],
)
def test_a_field_of_a_struct_is_part_of_its_column(sql: str) -> None:
    assert edges(view(sql), "x")["direct"] == ["flights.plane"]


def test_a_features_expression_reads_fields_of_structs() -> None:
    found = FeatureView("v", entity=aircraft(), source=SOURCES[0], features=[Feature("x", "plane.engine.power + 1")])
    unknown = FeatureView("u", entity=aircraft(), source=SOURCES[0], features=[Feature("x", "planes.weight + 1")])

    resolved = resolve(found, flights=FLIGHTS).view("v")

    assert edges(resolved, "x")["direct"] == ["flights.plane"]
    assert "reads column 'planes.weight'" in problems(unknown, flights=FLIGHTS)[0]


def test_names_of_fields_keep_their_capital_letters() -> None:
    """They can become values: in JSON, say."""
    found = view(f"SELECT {KEYS}, to_json({{'Seats': seats}})::VARCHAR AS x FROM flights")

    assert "'Seats'" in found.query


@pytest.mark.parametrize(
    ("group", "sorted_group"), [("1, 2", '3, "flights"."tail"'), ("ROLLUP (1, 2)", "ROLLUP (3, 2)")]
)
def test_grouping_by_a_place_means_the_same_column_after_sorting(group: str, sorted_group: str) -> None:
    found = view(f"SELECT 5 AS x, tail, max(landed) AS event_timestamp FROM flights GROUP BY {group}")

    assert f"GROUP BY {sorted_group}" in found.query
