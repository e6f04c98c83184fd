"""Which source columns a feature is made of, and which decide about its rows, read from its SQL."""

from __future__ import annotations

import pytest

from featurestore.spec.aggregate import Aggregate
from featurestore.spec.feature_view import FeatureView
from tests.unit.graph.resolving import aircraft, edges, flights, resolve, view_of

KEYS = "tail, landed AS event_timestamp"
ALWAYS = ["flights.landed", "flights.tail"]


@pytest.mark.parametrize(
    ("sql", "direct", "indirect"),
    [
        pytest.param(f"SELECT {KEYS}, delay + seats AS x FROM flights", ["delay", "seats"], [], id="computed"),
        pytest.param(f"SELECT {KEYS}, 1 AS x FROM flights", [], [], id="constant"),
        pytest.param(f"SELECT {KEYS}, delay AS x FROM flights WHERE seats > 1", ["delay"], ["seats"], id="filter"),
        pytest.param(
            f"WITH a AS (SELECT tail, landed, delay * seats AS y, carrier FROM flights) "
            f"SELECT {KEYS}, y AS x FROM a WHERE carrier = 'AA'",
            ["delay", "seats"], ["carrier"], id="CTE",
        ),
        pytest.param(
            f"SELECT {KEYS}, y AS x FROM (SELECT tail, landed, max(delay) AS y FROM flights GROUP BY tail, landed)",
            ["delay"], [], id="subquery with a group",
        ),
        pytest.param(
            f"SELECT {KEYS}, delay AS x FROM flights UNION ALL SELECT {KEYS}, seats FROM flights WHERE fare > 0",
            ["delay", "seats"], ["fare"], id="union",
        ),
        pytest.param(
            "SELECT f.tail, f.landed AS event_timestamp, g.delay AS x "
            "FROM flights AS f JOIN flights AS g ON f.carrier = g.carrier",
            ["delay"], ["carrier"], id="join",
        ),
        pytest.param(
            f"SELECT {KEYS}, count(*) OVER (PARTITION BY carrier) AS x FROM flights", ["carrier"], [], id="window"
        ),
        pytest.param(
            f"SELECT {KEYS}, delay AS x FROM flights WHERE carrier IN (SELECT carrier FROM flights WHERE seats > 1)",
            ["delay"], ["carrier", "seats"], id="filter with a subquery",
        ),
        pytest.param(
            f"SELECT {KEYS}, (SELECT max(seats) FROM flights AS g WHERE g.carrier = f.carrier) AS x FROM flights AS f",
            ["carrier", "seats"], [], id="correlated subquery",
        ),
        pytest.param(f'SELECT {KEYS}, gate AS x FROM flights', ["Gate"], [], id="spelled as in the source"),
    ],
)  # fmt: skip
def test_a_column_is_traced_to_the_sources_columns(sql: str, direct: list[str], indirect: list[str]) -> None:
    found = edges(view_of(sql), "x")

    assert found["direct"] == [f"flights.{name}" for name in direct]
    assert found["indirect"] == sorted([*ALWAYS, *(f"flights.{name}" for name in indirect)])


@pytest.mark.parametrize(
    ("aggregate", "direct", "indirect"),
    [
        (Aggregate("*", "count", windows=["1d"], name="x"), [], []),
        (Aggregate("*", "count", windows=["1d"], where="seats > 1", name="x"), [], ["flights.seats"]),
        (Aggregate("delay", "mean", windows=["1d"], name="x"), ["flights.delay"], []),
        (Aggregate("delay", "max", windows=["1d"], where="seats > 1", name="x"), ["flights.delay"], ["flights.seats"]),
        (Aggregate("delay", "max", windows=["1d"], where="delay > 1", name="x"), ["flights.delay"], []),
    ],
)
def test_an_aggregate_is_made_of_its_expression_and_decided_by_its_filter(
    aggregate: Aggregate, direct: list[str], indirect: list[str]
) -> None:
    source = flights()
    other = Aggregate("fare::DOUBLE", "max", windows=["1d"], where="carrier = 'AA'", name="other")
    view = FeatureView("v", entity=aircraft(), source=source, every="1h", features=[aggregate, other])

    found = edges(resolve(source, view).view("v"), "x_1d")

    assert found["direct"] == direct
    assert found["indirect"] == sorted([*ALWAYS, *indirect])


def test_a_known_timestamp_decides_which_rows_count() -> None:
    late = flights(known_at="loaded")

    found = edges(
        resolve(late, FeatureView("v", entity=aircraft(), source=late, features=["delay"])).view("v"), "delay"
    )

    assert found["indirect"] == ["flights.landed", "flights.loaded", "flights.tail"]
