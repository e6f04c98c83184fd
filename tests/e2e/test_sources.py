"""The same rows from every kind of source: the same features, to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from adbc_driver_postgresql import dbapi
from deltalake import write_deltalake

from featurestore.errors import SourceError
from sdk import open_project
from tests.delta_tables import delete_rows
from tests.postgres_server import PASSWORD, PostgresServer
from tests.s3_server import S3Server
from tests.small_project import DAY, FACTS, MOMENT, NOW, SPINE, SmallProject, small_project

ORDERS_SOURCE = 'fs.ParquetSource("orders", path="orders/*.parquet", event_timestamp="ordered_at")'
FACTS_SOURCE = 'fs.ParquetSource("facts", path="facts.parquet", event_timestamp="recorded_at")'


def pulled(project: SmallProject) -> pa.Table:
    with open_project(project.folder) as opened:
        list(opened.apply())
        return opened.client.training_set(SPINE, service="shops_v1", label="late").to_arrow()


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    return pulled(small_project(tmp_path_factory.mktemp("parquet") / "shops"))


def orders(project: SmallProject) -> pa.Table:
    return pq.read_table(project.folder / "data" / "orders" / "first.parquet")


def same(found: pa.Table, expected: pa.Table) -> bool:
    """To the last bit: NaN too, which is not equal to itself."""
    return str(found.to_pylist()) == str(expected.to_pylist()) and found.schema.equals(expected.schema)


def csv_files(project: SmallProject) -> None:
    data = project.folder / "data"
    for number, row in enumerate((orders(project).slice(0, 3), orders(project).slice(3))):
        pa_csv.write_csv(row, data / f"orders-{number}.csv")
    pa_csv.write_csv(FACTS, data / "facts.csv")
    project.redefine(ORDERS_SOURCE, 'fs.CsvSource("orders", path="orders-*.csv", event_timestamp="ordered_at")')
    types = '"shop": fs.String, "recorded_at": fs.Timestamp, "score": fs.Float64, "visitors": fs.Int64, '
    columns = f'{{{types}"city": fs.String, "opened": fs.Timestamp}}'
    source = f'fs.CsvSource("facts", path="facts.csv", event_timestamp="recorded_at", columns={columns})'
    project.redefine(FACTS_SOURCE, source)


def partitioned_folders(project: SmallProject) -> None:
    data = project.folder / "data"
    pq.write_to_dataset(orders(project), data / "by_shop", partition_cols=["shop"])
    pq.write_to_dataset(FACTS, data / "by_city", partition_cols=["city"])
    for name, path, column, timestamp in (
        ("orders", "by_shop", "shop", "ordered_at"),
        ("facts", "by_city", "city", "recorded_at"),
    ):
        old = ORDERS_SOURCE if name == "orders" else FACTS_SOURCE
        place = f'path="{path}", partitions={{"{column}": fs.String}}'
        project.redefine(old, f'fs.ParquetSource("{name}", {place}, event_timestamp="{timestamp}")')


def delta_tables(project: SmallProject) -> None:
    """With a file that a deletion vector takes rows from, so that what is left is what the others hold."""
    data = project.folder / "data"
    twice = pa.concat_tables([orders(project), orders(project)])
    write_deltalake(data / "orders_delta", twice)
    delete_rows(data / "orders_delta", range(orders(project).num_rows))
    write_deltalake(data / "facts_delta", FACTS, partition_by=["city"])
    project.redefine(ORDERS_SOURCE, 'fs.DeltaSource("orders", path="orders_delta", event_timestamp="ordered_at")')
    project.redefine(FACTS_SOURCE, 'fs.DeltaSource("facts", path="facts_delta", event_timestamp="recorded_at")')


KINDS: dict[str, Callable[[SmallProject], None]] = {
    "csv": csv_files,
    "partitioned folders": partitioned_folders,
    "delta": delta_tables,
}


def test_a_database_gives_the_same_training_set(
    tmp_path: Path, postgres: PostgresServer, expected: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = small_project(tmp_path / "shops")
    monkeypatch.setenv("KNOWNAT_CONNECTIONS__SHOPS", postgres.url)
    with dbapi.connect(postgres.url) as connection, connection.cursor() as cursor:
        cursor.adbc_ingest("orders", orders(project))
        cursor.adbc_ingest("facts", FACTS)
        connection.commit()
    place = 'connection="shops", event_timestamp'
    project.redefine(ORDERS_SOURCE, f'fs.SqlSource("orders", table="orders", {place}="ordered_at")')
    project.redefine(FACTS_SOURCE, f'fs.SqlSource("facts", query="SELECT * FROM facts", {place}="recorded_at")')

    found = pulled(project)

    assert same(found, expected)
    for file in project.folder.rglob("*"):
        assert not file.is_file() or PASSWORD.encode() not in file.read_bytes()


def test_storage_that_speaks_s3_gives_the_same_training_set(
    tmp_path: Path, s3: S3Server, expected: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = small_project(tmp_path / "shops")
    storage = s3.storage
    for name in ("endpoint", "region", "access_key", "secret_key"):
        monkeypatch.setenv(f"KNOWNAT_S3__{name.upper()}", getattr(storage, name))
    pq.write_table(orders(project), "data/shops/orders/a.parquet", filesystem=storage.filesystem())
    write_deltalake("s3://data/shops/facts", FACTS, storage_options=storage.delta_options())
    place = 'path="s3://data/shops'
    new = f'fs.ParquetSource("orders", {place}/orders/*.parquet", event_timestamp="ordered_at")'
    project.redefine(ORDERS_SOURCE, new)
    project.redefine(FACTS_SOURCE, f'fs.DeltaSource("facts", {place}/facts", event_timestamp="recorded_at")')

    found = pulled(project)

    assert same(found, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_source_gives_the_same_training_set(tmp_path: Path, kind: str, expected: pa.Table) -> None:
    project = small_project(tmp_path / "shops")
    KINDS[kind](project)

    found = pulled(project)

    assert same(found, expected)


def test_new_csv_rows_are_filled_and_a_malformed_line_is_not(tmp_path: Path) -> None:
    project = small_project(tmp_path / "shops")
    csv_files(project)
    pulled(project)
    (project.folder / "data" / "orders-2.csv").write_text("shop,ordered_at,amount\nalma,2024-03-10 01:00,4,5\n")

    with open_project(project.folder, settings={"clock": NOW + DAY}) as opened:
        with pytest.raises(SourceError, match=r"line 2 of .*orders-2\.csv is malformed"):
            list(opened.backfill())
        (project.folder / "data" / "orders-2.csv").write_text("shop,ordered_at,amount\nalma,2024-03-10 01:00,4\n")
        list(opened.backfill())
        spine = pa.table({"shop": ["alma"], "event_timestamp": pa.array([NOW + timedelta(hours=3)], MOMENT)})
        answer = opened.client.training_set(spine, features=["shop_orders:orders_1d"]).to_arrow()

    assert answer["shop_orders__orders_1d"].to_pylist() == [2]


def test_rows_that_sql_dates_by_another_column_are_all_read(tmp_path: Path) -> None:
    """The source happened on one day; the view says that its rows happened a month before."""
    project = small_project(tmp_path / "shops")
    rows = pa.table({"shop": ["alma"], "loaded": pa.array([NOW], MOMENT), "v": [7]})
    happened = pa.array([NOW - 30 * DAY], MOMENT)
    write_deltalake(project.folder / "data" / "moved", rows.append_column("event_timestamp", happened))
    (project.folder / "definitions" / "moved.py").write_text(
        "import featurestore as fs\n"
        "from definitions.shops import shop\n"
        'moved = fs.DeltaSource("moved", path="moved", event_timestamp="loaded")\n'
        'by_sql = fs.FeatureView("by_sql", entity=shop, sql="SELECT * FROM moved", features=["v"])\n'
    )

    with open_project(project.folder) as opened:
        list(opened.apply())
        spine = pa.table({"shop": ["alma"], "event_timestamp": pa.array([NOW], MOMENT)})
        found = opened.client.training_set(spine, features=["by_sql:v"]).to_arrow()

    assert found["by_sql__v"].to_pylist() == [7]
