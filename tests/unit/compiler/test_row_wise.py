"""Which views can be computed from the rows that are pushed alone."""

from __future__ import annotations

from typing import Any

import pytest

from featurestore.compiler.row_wise import is_row_wise
from featurestore.spec.aggregate import Aggregate, Feature
from featurestore.spec.feature_view import FeatureView
from tests.unit.graph.resolving import aircraft, flights, resolve

TIMES = "tail, landed AS event_timestamp, loaded AS known_at"


def resolved(**written: Any) -> bool:
    source = flights(known_at="loaded")
    if "sql" not in written:
        written["source"] = source
    view = FeatureView("view", entity=aircraft(), **written)
    return is_row_wise(resolve(source, view).view("view"))


@pytest.mark.parametrize(
    "sql",
    [
        f"SELECT {TIMES}, delay FROM flights",
        f"SELECT {TIMES}, delay * 2 AS twice FROM flights WHERE delay > 15 AND tail IN ('a', 'b')",
        f"SELECT {TIMES}, CASE WHEN delay > 15 THEN 1 END AS late FROM (SELECT * FROM flights WHERE seats > 1) AS f",
        f"WITH some AS (SELECT * FROM flights) SELECT {TIMES}, delay FROM some",
    ],
)
def test_projecting_and_filtering_one_source_takes_row_by_row(sql: str) -> None:
    assert resolved(sql=sql)


def test_features_written_one_by_one_take_row_by_row() -> None:
    assert resolved(features=["delay", Feature("late", "delay > 15")])


@pytest.mark.parametrize(
    "sql",
    [
        f"SELECT DISTINCT {TIMES}, delay FROM flights",
        f"SELECT {TIMES}, delay FROM flights ORDER BY delay LIMIT 3",
        f"SELECT {TIMES}, delay FROM flights QUALIFY row_number() OVER (PARTITION BY tail ORDER BY landed) = 1",
        f"SELECT {TIMES}, lag(delay) OVER (PARTITION BY tail ORDER BY landed) AS delay FROM flights",
        f"SELECT {TIMES}, (SELECT max(delay) FROM flights) AS delay FROM flights",
        f"SELECT {TIMES}, delay FROM flights WHERE delay > (SELECT avg(delay) FROM flights)",
        f"SELECT {TIMES}, delay FROM flights WHERE tail IN (SELECT tail FROM flights)",
        f"SELECT {TIMES}, delay FROM flights UNION ALL SELECT {TIMES}, delay FROM flights",
        f"SELECT {TIMES}, delay FROM flights JOIN (SELECT 1 AS one) AS other ON true",
        f"SELECT {TIMES}, sum(delay) AS delay FROM flights GROUP BY ALL",
        "SELECT tail, landed + INTERVAL 1 DAY AS event_timestamp, loaded AS known_at, delay FROM flights",
    ],
)
def test_whatever_lets_one_row_decide_about_another_does_not(sql: str) -> None:
    assert not resolved(sql=sql)


def test_windows_do_not() -> None:
    assert not resolved(every="1h", features=[Aggregate("delay", "sum", windows=["1d"])])
