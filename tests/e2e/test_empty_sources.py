"""Sources that have no rows yet: their views answer null, and 0 for counts, and hold nothing else up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import deltalake
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from adbc_driver_postgresql import dbapi

from featurestore.errors import DefinitionsError
from featurestore.operations.fill_chunks import ChunkFilled
from featurestore.operations.materialize import Materialized
from registry.wiring import open_project
from sdk.project import Project
from tests.postgres_server import PostgresServer

NOW = datetime(2024, 3, 10, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MOMENT = pa.timestamp("us", tz="UTC")
SCHEMA = pa.schema([("shop", pa.string()), ("at", MOMENT), ("amount", pa.float64())])

DEFINITIONS = """\
import featurestore as fs

shop = fs.Entity("shop", join_keys={"shop": fs.String})
COLUMNS = {"shop": fs.String, "at": fs.Timestamp, "amount": fs.Float64}
files = fs.ParquetSource("files", path="files/*.parquet", event_timestamp="at")
texts = fs.CsvSource("texts", path="texts/*.csv", event_timestamp="at", columns=COLUMNS)
delta = fs.DeltaSource("delta", path="delta", event_timestamp="at")
frames = fs.FrameSource("frames", columns=COLUMNS, event_timestamp="at")
future = fs.ParquetSource("future", path="future.parquet", event_timestamp="at")
old = fs.ParquetSource("old", path="old.parquet", event_timestamp="at")

def rows(source):
    return fs.FeatureView(f"{source.name}_rows", entity=shop, source=source, features=["amount"])

def windows(source):
    return fs.FeatureView(f"{source.name}_windows", entity=shop, source=source, every="1h", features=[
        fs.Aggregate("amount", fs.sum, windows=["1d"], name="sum"),
        fs.Aggregate("*", fs.count, windows=["1d"], name="count"),
    ])

SOURCES = (files, texts, delta, frames, future, old)
views = [make(source) for source in SOURCES for make in (rows, windows)]
none = fs.FeatureView("none", entity=shop, sql="SELECT shop, at AS event_timestamp, amount FROM old WHERE amount > 100")
grouped = fs.FeatureView("grouped", entity=shop, sql=\"\"\"
    SELECT shop, date_trunc('day', at) AS event_timestamp, sum(amount) AS total FROM files GROUP BY ALL
\"\"\")
below = fs.FeatureView("below", entity=shop, sql="SELECT shop, event_timestamp, amount * 2 AS twice FROM files_rows")
everything = fs.FeatureService("everything", features=[*views, none, grouped, below])
"""
EMPTY = ("files", "texts", "delta", "frames", "future")


def table(*rows: tuple[str, datetime, float]) -> pa.Table:
    return pa.Table.from_pylist([dict(zip(SCHEMA.names, row, strict=True)) for row in rows], schema=SCHEMA)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    data = tmp_path / "data"
    for name in ("files", "texts"):
        (data / name).mkdir(parents=True)
    pq.write_table(table(), data / "files" / "none.parquet")
    deltalake.write_deltalake(str(data / "delta"), table())
    pq.write_table(table(("alma", NOW + 2 * DAY, 1.0)), data / "future.parquet")
    pq.write_table(table(("alma", NOW - 5 * HOUR, 2.0)), data / "old.parquet")
    (tmp_path / "definitions").mkdir()
    (tmp_path / "definitions" / "all.py").write_text(DEFINITIONS)
    (tmp_path / "knownat.toml").write_text('name = "empty"\n')
    return tmp_path


def at(folder: Path, now: datetime) -> Project:
    return Project(open_project(folder, {"clock": now, "engine": {"threads": 1}}))


def answers(project: Project, moment: datetime) -> tuple[dict[str, object], dict[str, object]]:
    """What alma's features are: of a training set for the moment, and online."""
    spine = pa.table({"shop": ["alma"], "event_timestamp": pa.array([moment], MOMENT)})
    [joined] = project.client.training_set(spine, service="everything").to_arrow().to_pylist()
    [online] = project.client.online(service="everything", entities=[{"shop": "alma"}]).to_dicts()
    names = online.keys() - {"shop"}
    return {name: joined[name] for name in names}, {name: online[name] for name in names}


def test_views_without_rows_answer_null_and_zero_offline_and_online(folder: Path) -> None:
    with at(folder, NOW) as project:
        list(project.apply())
        online = [done.view for done in project.materialize()]
        offline_answer, online_answer = answers(project, NOW)
        audits = project.client.audits(service="everything")
        statuses = project.client.status()
        run = list(project.run_due())

    assert set(online) == {view["view"] for view in statuses}
    assert online_answer == offline_answer
    some = {"old_rows__amount": 2.0, "old_windows__sum_1d": 2.0, "old_windows__count_1d": 1}
    counts = dict.fromkeys((f"{source}_windows__count_1d" for source in EMPTY), 0)
    assert {name: value for name, value in online_answer.items() if value is not None} == {**some, **counts}
    assert audits.equal
    assert {view.state for view in audits.views} == {"compared"}
    assert not [done for done in run if isinstance(done, ChunkFilled)]
    assert all(view["offline_to"] and view["online_to"] for view in statuses)


def test_rows_that_come_later_are_filled_also_those_from_before_what_was_covered(folder: Path) -> None:
    with at(folder, NOW) as project:
        list(project.apply())
        list(project.materialize())
    with at(folder, NOW + DAY) as project:
        list(project.run_due())
    before, since = ("alma", NOW - 9 * DAY, 4.0), ("alma", NOW + HOUR, 8.0)
    pq.write_table(table(before, since), folder / "data" / "files" / "first.parquet")
    lines = [f"{shop},{moment.isoformat()},{amount}" for shop, moment, amount in (before, since)]
    (folder / "data" / "texts" / "first.csv").write_text("\n".join(["shop,at,amount", *lines]))
    deltalake.write_deltalake(str(folder / "data" / "delta"), table(before, since), mode="append")

    with at(folder, NOW + DAY + HOUR) as project:
        project.push("frames", table(before, since), key="first")
        done = list(project.run_due())
        asked = [answers(project, moment)[0] for moment in (NOW - 8 * DAY, NOW + DAY)]
        _, online_answer = answers(project, NOW + DAY)
        assert project.client.audits(service="everything").equal

    assert {type(one) for one in done} == {ChunkFilled, Materialized}
    for source in EMPTY[:-1]:
        assert [answer[f"{source}_rows__amount"] for answer in asked] == [4.0, 8.0], source
        assert [answer[f"{source}_windows__count_1d"] for answer in asked] == [1, 1], source
        assert online_answer[f"{source}_rows__amount"] == 8.0
    assert [answer["grouped__total"] for answer in asked] == [4.0, 8.0]
    assert [answer["below__twice"] for answer in asked] == [8.0, 16.0]


def test_the_first_rows_that_are_pushed_to_a_view_may_be_of_any_time(folder: Path) -> None:
    with at(folder, NOW) as project:
        list(project.apply())
        list(project.materialize())

        pushed = project.client.push("frames_rows", table(("alma", NOW - 9 * DAY, 4.0)), key="first")

        offline_answer, online_answer = answers(project, NOW - 8 * DAY)
    assert pushed.online == "now"
    assert (offline_answer["frames_rows__amount"], online_answer["frames_rows__amount"]) == (4.0, 4.0)


def test_an_empty_table_of_a_database_is_an_answer(tmp_path: Path, postgres: PostgresServer) -> None:
    with dbapi.connect(postgres.url) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE sales (shop TEXT, at TIMESTAMPTZ, amount DOUBLE PRECISION)")
        connection.commit()
    (tmp_path / "definitions").mkdir()
    (tmp_path / "knownat.toml").write_text('name = "empty"\n')
    (tmp_path / "definitions" / "all.py").write_text(
        "import featurestore as fs\n"
        'shop = fs.Entity("shop", join_keys={"shop": fs.String})\n'
        'sales = fs.SqlSource("sales", connection="db", table="sales", event_timestamp="at")\n'
        'latest = fs.FeatureView("latest", entity=shop, source=sales, features=["amount"])\n'
        'everything = fs.FeatureService("everything", features=[latest])\n'
    )
    settings = {"clock": NOW, "connections": {"db": postgres.url}}
    with Project(open_project(tmp_path, settings)) as project:
        list(project.apply())
        list(project.materialize())

        assert answers(project, NOW) == ({"latest__amount": None}, {"latest__amount": None})


def test_a_folder_that_is_not_there_is_a_mistake_and_not_empty(folder: Path) -> None:
    (folder / "data" / "texts").rmdir()

    with at(folder, NOW) as project, pytest.raises(DefinitionsError, match=r"nothing matches .*texts"):
        project.plan()


def test_a_folder_without_files_says_nothing_of_columns_that_are_not_declared(folder: Path) -> None:
    (folder / "data" / "files" / "none.parquet").unlink()

    with at(folder, NOW) as project, pytest.raises(DefinitionsError, match=r"nothing matches .*files"):
        project.plan()
