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
        pytest.param(
            f"SELECT {KEYS}, (SELECT max(f.seats) FROM flights AS f) AS x "
            "FROM (SELECT tail, landed, 1 AS seats FROM flights) f",
            ["seats"], [], id="subquery with an alias of the outer query",
        ),
        pytest.param(
            f"SELECT {KEYS}, (SELECT max(seats) FROM flights AS g WHERE g.fare > "
            "(SELECT min(h.delay) FROM flights AS h WHERE h.carrier = g.carrier)) AS x FROM flights AS f",
            ["carrier", "delay", "fare", "seats"], [], id="subquery of a subquery",
        ),
        pytest.param(
            f"SELECT {KEYS}, max(delay) OVER w AS x FROM flights WINDOW w AS (PARTITION BY carrier ORDER BY seats)",
            ["carrier", "delay", "seats"], [], id="named window",
        ),
        pytest.param(
            f"SELECT {KEYS}, max(delay) OVER (v ORDER BY fare) AS x FROM flights "
            "WINDOW w AS (PARTITION BY carrier), v AS (w)",
            ["carrier", "delay", "fare"], [], id="named window after another",
        ),
        pytest.param(
            f"SELECT {KEYS}, delay AS x FROM flights WINDOW w AS (PARTITION BY carrier ORDER BY seats) "
            "QUALIFY row_number() OVER w = 1",
            ["delay"], ["carrier", "seats"], id="named window that decides about rows",
        ),
        pytest.param(
            f"SELECT {KEYS}, delay AS x FROM flights UNION ALL BY NAME SELECT seats AS x, landed AS event_timestamp, "
            "tail FROM flights",
            ["delay", "seats"], [], id="union by name, in another order",
        ),
        pytest.param(
            f"SELECT {KEYS}, fare AS y FROM flights UNION ALL BY NAME SELECT seats AS x, {KEYS} FROM flights",
            ["seats"], [], id="union by name, of a column that one side lacks",
        ),
        pytest.param(
            f"SELECT {KEYS}, delay AS x FROM flights UNION SELECT {KEYS}, seats FROM flights", ["delay", "seats"], [],
            id="union of different rows",
        ),
        pytest.param(
            f"SELECT {KEYS}, delay AS x FROM (SELECT tail, landed, delay, fare FROM flights EXCEPT "
            "SELECT tail, landed, delay, seats FROM flights)",
            ["delay"], ["fare", "seats"], id="rows without those of another query",
        ),
        pytest.param(
            f"SELECT tail, event_timestamp, x FROM (SELECT {KEYS}, delay AS x, seats + fare AS y FROM flights "
            "ORDER BY y LIMIT 3)",
            ["delay"], ["fare", "seats"], id="first rows by an alias",
        ),
        pytest.param(
            f"SELECT tail, event_timestamp, x FROM (SELECT {KEYS}, delay AS x, seats AS y FROM flights UNION ALL "
            f"SELECT {KEYS}, delay, fare FROM flights ORDER BY y LIMIT 3)",
            ["delay"], ["fare", "seats"], id="first rows of a union",
        ),
        pytest.param(
            f"SELECT * EXCLUDE (seats) FROM (SELECT {KEYS}, delay AS x, seats FROM flights ORDER BY ALL LIMIT 3)",
            ["delay"], ["seats"], id="first rows by all columns",
        ),
        pytest.param(
            f"SELECT tail, event_timestamp, x FROM (SELECT DISTINCT {KEYS}, delay AS x, seats FROM flights)",
            ["delay"], ["seats"], id="distinct rows",
        ),
        pytest.param(
            "SELECT * EXCLUDE (carrier) FROM (SELECT tail, max(landed) AS event_timestamp, carrier, sum(delay) AS x "
            "FROM flights GROUP BY ALL)",
            ["delay"], ["carrier"], id="grouped by all",
        ),
        pytest.param(
            f"SELECT {KEYS}, n AS x FROM flights, unnest(range(seats)) AS t(n) WHERE fare > 0", ["seats"], ["fare"],
            id="a row for each item",
        ),
        pytest.param(
            f"SELECT {KEYS}, delay AS x FROM flights, unnest(range(seats)) AS t(n)", ["delay"], ["seats"],
            id="several times a row",
        ),
        pytest.param(f"SELECT {KEYS}, delay AS x, unnest(range(seats)) AS n FROM flights", ["delay"], ["seats"],
            id="several times a row, by what is selected"),
        pytest.param(
            "SELECT f.tail, f.landed AS event_timestamp, y.m AS x FROM flights AS f, "
            "LATERAL (SELECT max(g.seats) AS m, min(g.delay) AS n FROM flights AS g WHERE g.carrier = f.carrier) AS y",
            ["seats"], ["carrier"], id="a subquery for each row",
        ),
        pytest.param(
            f"SELECT {KEYS}, v.y AS x FROM flights JOIN (VALUES (1, 2)) AS v(k, y) ON v.k = seats", [], ["seats"],
            id="values",
        ),
        pytest.param(
            f"WITH RECURSIVE r AS (SELECT {KEYS}, 0 AS x, seats AS y FROM flights UNION ALL "
            "SELECT tail, event_timestamp, y, y FROM r WHERE x < 1) SELECT tail, event_timestamp, x FROM r",
            ["landed", "seats", "tail"], [], id="recursion",
        ),
        pytest.param(
            f"SELECT {KEYS}, a AS x FROM (SELECT tail, landed, carrier, delay FROM flights) "
            "PIVOT (max(delay) FOR carrier IN ('AA' AS a))",
            ["carrier", "delay", "landed", "tail"], [], id="pivot",
        ),
        pytest.param(f'SELECT {KEYS}, gate AS x FROM flights', ["Gate"], [], id="spelled as in the source"),
    ],
)  # fmt: skip
def test_a_column_is_traced_to_the_sources_columns(sql: str, direct: list[str], indirect: list[str]) -> None:
    found = edges(view_of(sql), "x")

    assert found["direct"] == [f"flights.{name}" for name in direct]
    assert found["indirect"] == sorted({*ALWAYS, *(f"flights.{name}" for name in indirect)} - {*found["direct"]})


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
