"""A source stays on its day where that can be proven of the view's query, and nowhere else."""

from __future__ import annotations

import pyarrow as pa
import pytest

from featurestore.compiler.event_days import dated_sources
from featurestore.spec.aggregate import Aggregate
from featurestore.spec.feature_view import FeatureView
from featurestore.spec.source import ParquetSource
from tests.unit.graph.resolving import MOMENT, aircraft, flights, resolve

WEATHER = ParquetSource("weather", path="weather.parquet", event_timestamp="observed")
COLUMNS = pa.schema([("observed", MOMENT), ("wind", pa.float64()), ("tail", pa.string())])
HEAD = "SELECT f.tail, f.landed AS event_timestamp, f.delay"


def dated(sql: str) -> frozenset[str]:
    view = FeatureView("v", entity=aircraft(), sql=sql)
    return dated_sources(resolve(flights(), WEATHER, view, weather=COLUMNS).view("v"))


def test_a_view_of_one_source_stays_on_its_days() -> None:
    source = flights(delay="1h")
    rows = FeatureView("rows", entity=aircraft(), source=source, features=["delay"])
    windows = FeatureView("w", source=source, every="1h", features=[Aggregate("delay", "sum", windows=["1d"])])

    assert [dated_sources(view) for view in resolve(source, rows, windows).views] == [frozenset({"flights"})] * 2


@pytest.mark.parametrize(
    "sql",
    [
        f"{HEAD} FROM flights AS f",
        "SELECT tail, landed::TIMESTAMPTZ AS event_timestamp, delay FROM flights WHERE delay > 0",
        f"{HEAD}, w.wind FROM flights AS f LEFT JOIN weather AS w ON w.tail = f.tail",
        f"{HEAD}, w.wind FROM flights AS f ASOF JOIN weather AS w ON w.tail = f.tail AND w.observed <= f.landed",
        f"WITH late AS (SELECT * FROM flights WHERE delay > 15) {HEAD} FROM late AS f",
        f"{HEAD} FROM (SELECT * FROM flights) AS f WHERE f.tail IN (SELECT tail FROM weather)",
        f"{HEAD}, (SELECT max(wind) FROM weather) AS wind FROM flights AS f",
        f"{HEAD}, n FROM flights AS f, unnest(range(f.seats)) AS t(n)",
        f"{HEAD}, y.w FROM flights AS f, LATERAL (SELECT max(wind) AS w FROM weather WHERE weather.tail = f.tail) AS y",
        f"{HEAD}, y.w FROM flights AS f LEFT JOIN (SELECT max(wind) AS w FROM weather WHERE tail = f.tail) y ON true",
        f"{HEAD} FROM flights AS f ASOF JOIN (SELECT tail, observed AS landed FROM weather) USING (tail, landed)",
        f"{HEAD}, to_json(f)::VARCHAR AS row FROM flights AS f",
    ],
)
def test_rows_that_are_taken_one_by_one_stay_on_their_days(sql: str) -> None:
    assert dated(sql) == {"flights"}


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT tail, date_trunc('day', landed) AS event_timestamp, sum(delay) AS s FROM flights GROUP BY ALL",
        "SELECT tail, landed + INTERVAL 1 DAY AS event_timestamp, delay FROM flights",
        "SELECT tail, loaded AS event_timestamp, delay FROM flights",
        "SELECT DISTINCT tail, landed AS event_timestamp, delay FROM flights",
        f"{HEAD} FROM flights AS f ORDER BY f.landed LIMIT 10",
        f"{HEAD} - lag(f.delay) OVER (PARTITION BY f.tail ORDER BY f.landed) AS change FROM flights AS f",
        f"{HEAD} FROM flights AS f QUALIFY row_number() OVER (PARTITION BY f.tail ORDER BY f.landed) = 1",
        f"{HEAD}, o.delay AS other FROM flights AS f JOIN flights AS o ON o.tail = f.tail",
        f"WITH a AS (SELECT * FROM flights) {HEAD}, o.delay AS other FROM a AS f JOIN a AS o ON o.tail = f.tail",
        f"{HEAD} FROM flights AS f WHERE f.delay > (SELECT avg(delay) FROM flights)",
        f"{HEAD}, w.wind FROM weather AS w JOIN flights AS f ON w.tail = f.tail",
        f"{HEAD}, w.wind FROM flights AS f RIGHT JOIN weather AS w ON w.tail = f.tail",
        f"{HEAD} FROM flights AS f UNION ALL {HEAD} FROM flights AS f",
        f"{HEAD} FROM (SELECT * FROM flights ORDER BY delay LIMIT 5) AS f",
        f"{HEAD} - lag(f.delay) OVER w AS change FROM flights AS f WINDOW w AS (PARTITION BY f.tail ORDER BY f.landed)",
        f"{HEAD}, y.d FROM flights AS f, LATERAL (SELECT max(delay) AS d FROM flights AS g WHERE g.tail = f.tail) AS y",
        "SELECT tail, landed AS event_timestamp, delay FROM (SELECT tail, landed, gate, seats FROM flights) "  # noqa: ISC004
        "PIVOT (max(seats) FOR gate IN ('A' AS delay))",
        f"{HEAD} FROM flights AS f UNION ALL BY NAME {HEAD} FROM flights AS f",
        f"{HEAD} FROM flights AS f ORDER BY ALL LIMIT 3",
        "(SELECT tail, landed AS event_timestamp, delay FROM flights) LIMIT 3",
    ],
)
def test_rows_that_decide_about_others_may_touch_any_day(sql: str) -> None:
    assert dated(sql) == frozenset()
