"""What pushing promises over each transport: the same rows, the same refusals, the same answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from featurestore.errors import EntityRowsError, InvalidRequest, RequestTooLarge, UnknownName
from featurestore.service.bodies import Limits
from sdk import Client, connect, open_project
from tests.pushed_project import HOUR, MINUTE, MOMENT, NOON, pushed_project, visits
from tests.service.conftest import connected, served

ROW: dict[str, object] = {"shop": "alma", "at": NOON - MINUTE, "visitors": 7, "mood": float("nan")}
TABLE = visits(("alma", NOON - MINUTE, 7, float("nan")))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two views are online, and it is noon."""
    project = pushed_project(tmp_path / "project")
    with project.at(NOON - HOUR) as opened:
        rows = visits(("alma", NOON - 2 * HOUR, 1, 0.9))
        opened.push("visits", rows.append_column("seen", rows["at"]), key="history")
        list(opened.backfill(views=["latest", "hourly"]))
        list(opened.materialize(views=["latest", "hourly"]))
    settings = project.folder / "knownat.toml"
    settings.write_text(f"clock = {NOON.isoformat()}\n{settings.read_text()}")
    return project.folder


@pytest.fixture(params=["path", "http"])
def client(request: pytest.FixtureRequest, folder: Path) -> Iterator[Client]:
    with connected(folder, request.param) as connection:
        yield connection


def latest(client: Client) -> object:
    return client.online(features=["latest:visitors"], entities=[{"shop": "alma"}]).to_dicts()[0]["latest__visitors"]


def test_rows_are_online_when_the_call_returns(client: Client) -> None:
    result = client.push("latest", [ROW], key="first")

    assert (result.rows, result.feature_rows, result.rejected, result.is_new) == (1, 1, 0, True)
    assert (result.online, result.is_online, result.reason, result.known_at) == ("now", True, None, NOON)
    assert (result.view, result.source, result.key, result.source_version) == ("latest", "visits", "first", "2")
    assert latest(client) == 7


def test_a_training_set_sees_them_at_once(client: Client) -> None:
    client.push("latest", [ROW], key="first")
    spine = pa.table({"shop": ["alma"] * 2, "event_timestamp": pa.array([NOON - MINUTE, NOON], MOMENT)})

    rows = client.training_set(spine, features=["latest:visitors"]).to_arrow()

    assert rows["latest__visitors"].to_pylist() == [1, 7]


@pytest.mark.parametrize("form", ["dicts", "iterator", "arrow", "reader", "pandas", "polars", "parquet"])
def test_rows_come_in_any_form_and_are_the_same_rows(client: Client, tmp_path: Path, form: str) -> None:
    file = tmp_path / "rows.parquet"
    pq.write_table(TABLE, file)
    forms: dict[str, Any] = {
        "dicts": [ROW], "iterator": iter([ROW]), "arrow": TABLE, "reader": TABLE.to_reader(), "parquet": file,
        "pandas": pd.DataFrame({"shop": ["alma"], "at": [NOON - MINUTE], "visitors": [7], "mood": [float("nan")]}),
        "polars": pl.from_arrow(TABLE),
    }  # fmt: skip
    if form == "pandas":  # for pandas NaN is null
        assert client.push("latest", forms[form], key="pandas").is_new
        return
    client.push("latest", [ROW], key="same")

    again = client.push("latest", forms[form], key="same")

    assert (again.is_new, again.online) == (False, "now")


def test_other_rows_under_a_key_are_refused(client: Client) -> None:
    client.push("latest", [ROW], key="first")

    with pytest.raises(InvalidRequest, match=r"with other rows \(another 'visitors'\).*push corrections under another"):
        client.push("latest", [{**ROW, "visitors": 8}], key="first")
    with pytest.raises(InvalidRequest, match="with 1 rows, and has 2 now"):
        client.push("latest", [ROW, ROW], key="first")
    assert latest(client) == 7


def test_a_windowed_view_says_when_it_counts_them(client: Client) -> None:
    result = client.push("hourly", [ROW], key="first")

    assert (result.online, result.online_from, result.feature_rows) == ("later", NOON + HOUR, None)
    assert "run `knownat run --due`" in str(result.reason)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"visitors": 2.5}, r"Row 1: 'visitors' is 2.5, expected int64"),
        ({"visitors": "7"}, r"Row 1: 'visitors' is '7', expected int64"),
        ({"visitors": 2**63}, r"Row 1: 'visitors' is 9223372036854775808, expected int64"),
        ({"visitors": True}, r"Row 1: 'visitors' is True, expected int64"),
        ({"mood": 2**53 + 1}, r"Row 1: 'mood' is 9007199254740993, expected float64, which has no such whole number"),
        ({"mood": "0.5"}, r"Row 1: 'mood' is '0.5', expected float64"),
        ({"shop": "\ud800"}, r"Row 1: 'shop' is .*, expected string"),
        ({"at": "yesterday"}, r"Row 1: 'at' is 'yesterday', expected timestamp"),
        ({"visitor": 1}, r"Row 1 has 'visitor', which source 'visits' does not declare. Did you mean 'visitors'"),
    ],
)
def test_a_row_with_a_wrong_value_is_named(client: Client, change: dict[str, object], told: str) -> None:
    with pytest.raises(EntityRowsError, match=told):
        client.push("latest", [ROW, {**ROW, **change}], key="first")

    assert latest(client) == 1


def test_a_row_that_lacks_a_column_is_named(client: Client) -> None:
    with pytest.raises(EntityRowsError, match=r"Row 0 has no 'mood' \(float64\)"):
        client.push("latest", [{name: value for name, value in ROW.items() if name != "mood"}], key="first")
    with pytest.raises(EntityRowsError, match=r"Row 1 has no 'seen'"):
        client.push("latest", [{**ROW, "seen": NOON}, ROW], key="first")


@pytest.mark.parametrize("year", [1677, 9999])
def test_a_row_that_happened_when_tables_have_no_days_is_refused_and_harms_no_other(
    client: Client, folder: Path, year: int
) -> None:
    with pytest.raises(InvalidRequest, match="1 rows have a 'at' before the year 1678 or after 2261"):
        client.push("latest", [{**ROW, "at": datetime(year, 12, 31, tzinfo=UTC), "seen": NOON}], key="first")
    client.push("latest", [{**ROW, "at": datetime(1678, 1, 1, tzinfo=UTC)}], key="second")
    client.push("latest", [{**ROW, "at": datetime(2261, 12, 31, tzinfo=UTC)}], key="third")

    with open_project(folder, settings={"clock": NOON + HOUR}) as project:
        assert [filled.view for filled in project.backfill(views=["latest"])] != []


def test_what_can_not_be_pushed_is_refused_with_what_to_do(client: Client) -> None:
    with pytest.raises(UnknownName, match="Did you mean 'latest'"):
        client.push("latests", [ROW], key="first")
    with pytest.raises(InvalidRequest, match="from 1 to 100,000 rows, got 0"):
        client.push("latest", [], key="first")
    with pytest.raises(InvalidRequest, match="from 1 to 100,000 rows, got 100,001"):
        client.push("latest", pa.table({"shop": pa.nulls(100_001)}), key="first")
    with pytest.raises(InvalidRequest, match="names this piece of data"):
        client.push("latest", [ROW], key="")
    with pytest.raises(InvalidRequest, match="do not fit source 'visits':\n  1 rows have no 'at'"):
        client.push("latest", [{**ROW, "at": None}], key="first")
    with pytest.raises(InvalidRequest, match="column 'visitors' is double"):
        client.push("latest", TABLE.set_column(2, "visitors", pa.array([7.0])), key="first")
    with pytest.raises(InvalidRequest, match="column 'mood' does not fit float64: row 0 has 9007199254740993"):
        client.push("latest", TABLE.set_column(3, "mood", pa.array([2**53 + 1])), key="first")
    with pytest.raises(InvalidRequest, match="known at 2024-03-10T12:01Z"):
        client.push("latest", [{**ROW, "seen": NOON + timedelta(minutes=1)}], key="first")


@pytest.fixture
def address(folder: Path) -> Iterator[str]:
    with served(folder, Limits(json_bytes=10_000)) as found:
        yield found


@pytest.mark.parametrize(
    ("content", "media_type", "told"),
    [
        (b"{}", "application/json", 'not {"rows"'),
        (b"[]", "application/json", 'not {"rows"'),
        (b'{"rows": [1]}', "application/json", 'not {"rows"'),
        (b'{"rows": [], "more": 1}', "application/json", 'not {"rows"'),
        (b'{"rows": [{"mood": NaN}]}', "application/json", "NaN is not a JSON value"),
        (b"rows", "application/json; charset=utf-8", "not JSON"),
        (b"rows", "application/vnd.apache.arrow.stream", "not an Arrow IPC stream"),
        (b"rows", "text/csv", "send Content-Type"),
        (b"", "", "send Content-Type"),
    ],
)
def test_a_body_that_is_none_is_a_clear_bad_request(address: str, content: bytes, media_type: str, told: str) -> None:
    response = httpx.post(
        f"{address}/v1/views/latest/push?key=a", content=content, headers={"content-type": media_type}
    )

    assert (response.status_code, response.json()["code"]) == (400, "invalid_request")
    assert told in response.json()["detail"]


def test_values_are_typed_as_in_lookups_and_one_way_of_saying_them_is_all(address: str) -> None:
    rows = [{"shop": "alma", "at": "2024-03-10T11:59:00Z", "visitors": 7, "mood": {"$float": "NaN"}}]

    answer = httpx.post(f"{address}/v1/views/latest/push", params={"key": "a"}, json={"rows": rows})

    assert answer.status_code == 200
    assert answer.json() | {"table": "", "source_version": "", "table_version": 0} == {
        "view": "latest", "table": "", "source": "visits", "key": "a", "rows": 1, "feature_rows": 1, "rejected": 0,
        "is_new": True, "known_at": "2024-03-10T12:00:00Z", "source_version": "", "table_version": 0, "online": "now",
        "online_from": None, "reason": None,
    }  # fmt: skip


def test_a_push_without_a_key_and_one_that_is_too_large_are_refused(address: str) -> None:
    without = httpx.post(f"{address}/v1/views/latest/push", json={"rows": [{}]})
    with connect(address) as client, pytest.raises(RequestTooLarge, match="send an Arrow stream"):
        client.push("latest", [ROW] * 1000, key="large")

    assert (without.status_code, without.json()["code"]) == (400, "invalid_request")
    assert "query.key" in without.json()["detail"]


def test_the_description_says_what_can_be_sent(address: str) -> None:
    route = httpx.get(f"{address}/openapi.json").json()["paths"]["/v1/views/{view}/push"]["post"]

    assert set(route["requestBody"]["content"]) == {"application/json", "application/vnd.apache.arrow.stream"}
    assert {"200", "202"} <= set(route["responses"])
    assert json.dumps(route)


def test_a_moment_without_a_zone_is_in_utc(client: Client) -> None:
    client.push("latest", [{**ROW, "at": datetime(2024, 3, 10, 11, 59)}], key="naive")  # noqa: DTZ001 - the point of it

    assert client.push("latest", [ROW], key="naive").is_new is False


def test_the_async_twin_pushes_the_same(client: Client) -> None:
    async def twice() -> tuple[list[tuple[int, bool]], object]:
        async with client:
            results = [await client.push_async("latest", [ROW], key="first") for _ in range(2)]
            return [(result.rows, result.is_new) for result in results], latest(client)

    assert asyncio.run(twice()) == ([(1, True), (1, False)], 7)
