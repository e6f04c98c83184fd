"""On a year of real flights, training-set values are what a brute-force count over the source files says.

The oracle reads the sources' files and goes from flight to flight: it shares nothing with the store but the
definitions' meaning, written down here a second time.
"""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from docs.demo.prepare import prepare
from featurestore.adapters.definitions_folder import DefinitionsFolder
from featurestore.adapters.duckdb_engine import DuckDBEngine
from featurestore.operations.apply import apply
from featurestore.operations.make_plan import Project, make_plan
from tests.property.oracle import same
from tests.property.project import NoUsers, SmallProject, open_small_project

DEFINITIONS = Path(__file__).parents[2] / "definitions"
NOW = datetime(2014, 1, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SAMPLE = 2_000
WINDOWS = {"1d": DAY, "7d": 7 * DAY, "30d": 30 * DAY}
WINDOWED = {
    "aircraft_delays": ("tailnum",),
    "carrier_delays": ("carrier",),
    "route_delays": ("origin", "dest"),
}
ROW_COLUMNS = ("wind_kmh", "visibility_km", "temperature_c", "rain_mm", "pressure_hpa")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallProject]:
    """The example with the whole year in it, applied at the year's end."""
    folder = tmp_path_factory.mktemp("flights")
    engine = DuckDBEngine(memory_limit="3GB", threads=2, spill_folder=folder / "spill")
    project = open_small_project(folder, engine)
    prepare(project.data)
    definitions = Project(DefinitionsFolder(DEFINITIONS), project.catalog, project.archive.datasets, NoUsers())
    plan = make_plan(definitions, project.offline, project.online, now=NOW)
    for _ in apply(plan, project.catalog, project.offline, project.online, now=NOW):
        pass
    yield project
    engine.close()


@dataclass(frozen=True)
class Landings:
    """The landings of one aircraft, carrier or route in the order of time. A delay that is not known is NaN."""

    landed_at: NDArray[np.datetime64]
    arr_delay: NDArray[np.float64]
    block_minutes: NDArray[np.float64]

    @classmethod
    def of(cls, rows: list[dict[str, Any]]) -> Landings:
        return cls(
            np.array([row["landed_at"].replace(tzinfo=None) for row in rows], "datetime64[us]"),
            np.array([math.nan if row["arr_delay"] is None else row["arr_delay"] for row in rows], np.float64),
            np.array([row["block_minutes"] for row in rows], np.float64),
        )


NO_LANDINGS = Landings.of([])


class Oracle:
    """Features of one flight at its moment of prediction, counted from the sources' rows."""

    def __init__(self, data: Path) -> None:
        flights = pq.read_table(data / "flights").to_pylist()
        self._landings = {
            view: {key: Landings.of(rows) for key, rows in _by_key(flights, keys, "landed_at").items()}
            for view, keys in WINDOWED.items()
        }
        self._weather = _by_key(pq.read_table(data / "weather.parquet").to_pylist(), ("origin",), "observed_at")
        self._aircraft = {row["tailnum"]: row for row in pq.read_table(data / "aircraft.parquet").to_pylist()}

    def features(self, flight: dict[str, Any]) -> dict[str, object]:
        found: dict[str, object] = {}
        for view, keys in WINDOWED.items():
            landings = self._landings[view].get(tuple(flight[key] for key in keys), NO_LANDINGS)
            found |= {f"{view}__{name}": value for name, value in _windows(view, landings, flight["event_timestamp"])}
        aircraft = self._aircraft.get(flight["tailnum"], {})
        found |= {f"aircraft_facts__{name}": aircraft.get(name) for name in ("seats", "engines", "engine")}
        made = aircraft.get("manufactured")
        found["aircraft_facts__age"] = None if made is None else 2013 - made
        for role, airport, names in (
            ("weather", flight["origin"], ROW_COLUMNS),
            ("dest_weather", flight["dest"], ROW_COLUMNS[:2]),
        ):
            observed = self._observed(airport, flight["event_timestamp"])
            found |= {f"{role}__{name}": observed.get(name) for name in names}
        found["schedule_slack"] = _minus(flight["scheduled_minutes"], found["route_delays__block_minutes_mean_30d"])
        found["aircraft_against_carrier"] = _minus(
            found["aircraft_delays__late_share_7d"], found["carrier_delays__late_share_7d"]
        )
        return found

    def _observed(self, airport: str, moment: datetime) -> dict[str, float | None]:
        """The latest observation that was published, an hour after it was made, and is younger than six hours."""
        rows = self._weather.get((airport,), [])
        newest = [row for row in rows if moment - 6 * HOUR < row["observed_at"] <= moment - HOUR]
        if not newest:
            return {}
        last = max(row["observed_at"] for row in newest)
        [row] = [row for row in newest if row["observed_at"] == last]
        return {
            "wind_kmh": _times(row["wind_speed"] if (row["wind_speed"] or 0) < 260 else None, 1.609344),
            "visibility_km": _times(row["visib"], 1.609344),
            "temperature_c": None if row["temp"] is None else (row["temp"] - 32) / 1.8,
            "rain_mm": _times(row["precip"], 25.4),
            "pressure_hpa": row["pressure"],
        }


def _windows(view: str, landings: Landings, moment: datetime) -> Iterator[tuple[str, object]]:
    """Landings are known when they happen, and count from the next full hour on."""
    boundary = moment.replace(minute=0, second=0, microsecond=0, tzinfo=None)
    for name, window in WINDOWS.items():
        inside = (landings.landed_at >= np.datetime64(boundary - window)) & (
            landings.landed_at < np.datetime64(boundary)
        )
        delays = landings.arr_delay[inside]
        delays = delays[~np.isnan(delays)]
        yield f"landings_{name}", int(inside.sum())
        yield f"arr_delay_mean_{name}", _mean(delays)
        yield f"arr_delay_max_{name}", float(delays.max()) if len(delays) else None
        yield f"late_share_{name}", _mean((delays > 15).astype(np.float64))
        if view == "route_delays":
            yield f"block_minutes_mean_{name}", _mean(landings.block_minutes[inside])


def _by_key(
    rows: list[dict[str, Any]], keys: tuple[str, ...], time: str
) -> dict[tuple[object, ...], list[dict[str, Any]]]:
    found = defaultdict(list)
    for row in sorted(rows, key=lambda row: row[time]):
        found[tuple(row[key] for key in keys)].append(row)
    return {key: rows for key, rows in found.items() if None not in key}


def _mean(values: NDArray[np.float64]) -> float | None:
    return math.fsum(values) / len(values) if len(values) else None


def _minus(left: Any, right: Any) -> float | None:
    return None if left is None or right is None else float(left - right)


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def differences(answer: pa.Table, oracle: Oracle) -> list[str]:
    found = []
    for flight in answer.to_pylist():
        wanted = oracle.features(flight)
        found += [
            f"{flight['carrier']}{flight['flight']} {flight['event_timestamp']} {name}: {flight[name]!r} for {value!r}"
            for name, value in wanted.items()
            if not same(flight[name], value)
        ]
    return found


def test_a_random_sample_of_the_years_flights_equals_the_brute_force_count_in_every_cell(
    project: SmallProject,
) -> None:
    flights = pq.read_table(project.data / "spine.parquet")
    sample = flights.take(random.Random(2013).sample(range(flights.num_rows), SAMPLE))
    features = project.service("arrival_delay_v1")

    manifest = project.pull(sample, features, now=NOW, timestamp="event_timestamp")

    answer = project.result(manifest)
    oracle = Oracle(project.data)
    assert differences(answer, oracle) == []
    assert set(oracle.features(sample.slice(0, 1).to_pylist()[0])) == {output.name for output in features.outputs}
    assert answer.num_rows == SAMPLE
