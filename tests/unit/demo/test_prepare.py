"""The example's sources hold true moments: known flights, checked by hand against the airlines' clocks."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from docs.demo.prepare import Prepared, prepare


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return prepare(tmp_path_factory.mktemp("year"))


@pytest.fixture(scope="module")
def flights(year: Prepared) -> Any:
    return pq.read_table(year.folder / "flights")


@pytest.fixture(scope="module")
def spine(year: Prepared) -> Any:
    return pq.read_table(year.folder / "spine.parquet")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def one(table: Any, scheduled_departure: datetime, carrier: str, flight: int) -> dict[str, Any]:
    moment = "scheduled_departure" if "scheduled_departure" in table.column_names else "event_timestamp"
    chosen = (
        (pc.field(moment) == pa.scalar(scheduled_departure, pa.timestamp("us", "UTC")))
        & (pc.field("carrier") == carrier)
        & (pc.field("flight") == flight)
    )
    (row,) = table.filter(chosen).to_pylist()
    return dict(row)


@pytest.mark.parametrize(
    ("named", "scheduled", "departed", "landed"),
    [
        pytest.param(
            ("UA", 1545, "IAH"), "2013-01-01T10:15", "2013-01-01T10:17", "2013-01-01T14:30", id="another zone"
        ),
        pytest.param(("B6", 915, "SFO"), "2013-10-06T00:25", "2013-10-06T00:57", "2013-10-06T07:00", id="at 2400"),
        pytest.param(("HA", 51, "HNL"), "2013-10-05T14:00", "2013-10-05T14:02", "2013-10-06T00:18", id="Honolulu"),
        pytest.param(("UA", 1071, "BQN"), "2013-01-02T00:20", "2013-01-02T00:29", "2013-01-02T04:03", id="Puerto Rico"),
        pytest.param(
            ("VX", 413, "LAX"), "2013-11-02T20:55", "2013-11-03T02:17", "2013-11-03T08:14", id="repeated hour"
        ),
        pytest.param(("B6", 35, "PBI"), "2013-03-10T02:45", "2013-03-10T04:06", "2013-03-10T07:03", id="skipped hour"),
        pytest.param(("AA", 185, "LAX"), "2014-01-01T02:35", "2014-01-01T02:28", "2014-01-01T09:01", id="next year"),
        pytest.param(("UA", 343, "DEN"), "2013-10-14T10:55", "2013-10-14T10:54", "2013-10-14T18:06", id="diverted"),
    ],
)
def test_a_flight_lands_when_the_clock_at_its_destination_says_so(
    flights: Any, named: tuple[str, int, str], scheduled: str, departed: str, landed: str
) -> None:
    carrier, flight, dest = named

    row = one(flights, utc(scheduled), carrier, flight)

    assert (row["dest"], row["departed_at"], row["landed_at"]) == (dest, utc(departed), utc(landed))


def test_block_minutes_are_the_minutes_between_departure_and_landing(flights: Any) -> None:
    row = one(flights, utc("2013-01-01T10:15"), "UA", 1545)

    assert (row["block_minutes"], row["air_time"], row["dep_delay"], row["arr_delay"]) == (253.0, 227.0, 2.0, 11.0)


def test_every_source_has_all_its_rows(year: Prepared) -> None:
    assert year.rows == (("flights", 328_063), ("weather", 26_115), ("aircraft", 3_322), ("spine", 336_776))


def test_landing_takes_between_five_minutes_and_four_hours_longer_than_being_in_the_air(flights: Any) -> None:
    on_the_ground = pc.subtract(flights["block_minutes"], flights["air_time"])

    assert pc.min_max(on_the_ground).as_py() == {"min": 5.0, "max": 235.0}


def test_only_diverted_flights_have_landed_without_a_delay(flights: Any) -> None:
    diverted = flights.filter(pc.field("arr_delay").is_null())

    assert diverted.num_rows == diverted["air_time"].null_count == 717


def test_a_file_holds_the_landings_of_its_month(year: Prepared) -> None:
    march = pq.read_table(year.folder / "flights" / "2013-03.parquet")

    assert pc.min(march["landed_at"]).as_py() >= utc("2013-03-01")
    assert pc.max(march["landed_at"]).as_py() < utc("2013-04-01")
    assert len(list((year.folder / "flights").iterdir())) == 13


def test_the_moment_of_prediction_is_two_hours_before_scheduled_departure(spine: Any) -> None:
    row = one(spine, utc("2013-01-01T08:15"), "UA", 1545)

    assert (row["origin"], row["dest"], row["tailnum"]) == ("EWR", "IAH", "N14228")
    assert (row["scheduled_minutes"], row["scheduled_hour"], row["late"]) == (244.0, 5, False)


def test_the_spine_is_in_scheduled_order_and_has_no_label_for_what_never_arrived(spine: Any) -> None:
    keys = ["event_timestamp", "carrier", "flight"]

    assert spine["late"].null_count == 336_776 - 327_346
    assert spine.equals(spine.sort_by([(key, "ascending") for key in keys]))
    assert spine.group_by(keys).aggregate([]).num_rows == spine.num_rows


def test_weather_is_unique_by_place_and_hour(year: Prepared) -> None:
    weather = pq.read_table(year.folder / "weather.parquet")

    assert weather.group_by(["origin", "observed_at"]).aggregate([]).num_rows == 26_115
    assert pc.min(weather["observed_at"]).as_py() == utc("2013-01-01T06:00")


def test_the_register_of_aircraft_was_known_before_the_year(year: Prepared) -> None:
    aircraft = pq.read_table(year.folder / "aircraft.parquet")

    assert pc.unique(aircraft["recorded_at"]).to_pylist() == [utc("2012-12-31")]
    assert aircraft.schema.field("manufactured").type == pa.int64()


def test_a_second_run_touches_nothing(tmp_path: Path) -> None:
    first = prepare(tmp_path, months=[1])
    before = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")}

    second = prepare(tmp_path, months={1})

    assert (first.newly, second.newly) == (True, False)
    assert first.rows == second.rows
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")} == before


def test_the_same_months_give_the_same_bytes(tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "other"]

    for folder in folders:
        prepare(folder, months=[2])

    one_way, other_way = ({f.relative_to(d): f.read_bytes() for f in d.rglob("*.*") if f.is_file()} for d in folders)
    assert one_way == other_way


def test_files_without_their_marker_are_made_again(tmp_path: Path) -> None:
    prepare(tmp_path, months=[1])
    (tmp_path / "prepared.json").unlink()
    (tmp_path / "spine.parquet").write_bytes(b"half a file")
    (tmp_path / ".preparing").mkdir()

    again = prepare(tmp_path, months=[1])

    assert again.newly
    assert pq.read_table(tmp_path / "spine.parquet").num_rows == dict(again.rows)["spine"] == 27_004
    assert not (tmp_path / ".preparing").exists()


def test_other_months_replace_the_files_of_a_former_run(tmp_path: Path) -> None:
    prepare(tmp_path, months=[1])

    prepare(tmp_path, months=[6])

    assert sorted(file.name for file in (tmp_path / "flights").iterdir()) == ["2013-06.parquet", "2013-07.parquet"]


@pytest.mark.parametrize("months", [[], [0], [13], [1, 14]])
def test_months_that_do_not_exist_are_refused(tmp_path: Path, months: list[int]) -> None:
    with pytest.raises(ValueError, match="from 1 to 12"):
        prepare(tmp_path, months=months)
