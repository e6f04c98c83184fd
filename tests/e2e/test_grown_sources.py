"""Sources of every kind whose rows come late: their days are filled again, and no others, without being asked for."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake
from pyarrow import csv

from sdk import Project
from tests.e2e.test_changed_sources import TODAY, day, days_filled
from tests.e2e.test_promises import HOUR, NOON, Folder
from tests.postgres_server import PostgresServer
from tests.s3_server import S3Server

VIEW = """
view = fs.FeatureView("view", entity=thing, source=source, features=["v"])
"""
SOURCES = {
    "parquet": 'fs.ParquetSource("rows", path="*.parquet", event_timestamp="happened", delay="1h")',
    "partitions": """fs.ParquetSource("rows", path="rows", event_timestamp="happened", delay="1h",
        partitions={"month": fs.Int32})""",
    "csv": 'fs.CsvSource("rows", path="*.csv", event_timestamp="happened", delay="1h")',
    "delta": 'fs.DeltaSource("rows", path="rows", event_timestamp="happened", delay="1h")',
    "frames": """fs.FrameSource("rows", event_timestamp="happened", delay="1h",
        columns={"k": fs.String, "happened": fs.Timestamp, "v": fs.Float64})""",
}
Add = Callable[[Folder, str, pa.Table], None]


def add_parquet(folder: Folder, name: str, rows: pa.Table) -> None:
    (folder.root / "data").mkdir(exist_ok=True)
    pq.write_table(rows, folder.root / "data" / f"{name}.parquet")


def add_partitioned(folder: Folder, name: str, rows: pa.Table) -> None:
    (folder.root / "data" / "rows" / "month=3").mkdir(parents=True, exist_ok=True)
    pq.write_table(rows, folder.root / "data" / "rows" / "month=3" / f"{name}.parquet")


def add_csv(folder: Folder, name: str, rows: pa.Table) -> None:
    (folder.root / "data").mkdir(exist_ok=True)
    csv.write_csv(rows, folder.root / "data" / f"{name}.csv")


def add_delta(folder: Folder, _: str, rows: pa.Table) -> None:
    (folder.root / "data").mkdir(exist_ok=True)
    write_deltalake(folder.root / "data" / "rows", rows, mode="append")


def add_frame(folder: Folder, name: str, rows: pa.Table) -> None:
    with folder.at(NOON) as project:
        project.push("rows", rows, key=name)


ADD: dict[str, Add] = {
    "parquet": add_parquet,
    "partitions": add_partitioned,
    "csv": add_csv,
    "delta": add_delta,
    "frames": add_frame,
}


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    root = tmp_path / "project"
    root.mkdir()
    (root / "knownat.toml").write_text('name = "growing"\n[engine]\nthreads = 1\n')
    return Folder(root)


def rows(*happened: datetime, value: float) -> pa.Table:
    schema = pa.schema([("k", pa.string()), ("happened", pa.timestamp("us", "UTC")), ("v", pa.float64())])
    return pa.table({"k": ["a"] * len(happened), "happened": happened, "v": [value] * len(happened)}, schema=schema)


def first_rows() -> pa.Table:
    return rows(*(day(ago).start + HOUR for ago in range(5, 0, -1)), value=1.0)


def late_row() -> pa.Table:
    return rows(day(3).start + 2 * HOUR, value=30.0)


def filled(folder: Folder, kind: str) -> None:
    """A project with a row on each of the last five days, filled up to noon."""
    folder.define(f"source = {SOURCES[kind]}{VIEW}")
    if kind == "frames":
        with folder.at(NOON) as project:
            list(project.apply())
    ADD[kind](folder, "first", first_rows())
    with folder.at(NOON) as project:
        list(project.apply())
        list(project.backfill())


def takes_in(folder: Folder, project: Project) -> None:
    assert days_filled(project) == [day(3)]
    assert days_filled(project) == []
    assert project.plan().nothing_to_do
    assert folder.trained(NOON, TODAY - 2 * 24 * HOUR) == 30.0


@pytest.mark.parametrize("kind", SOURCES)
def test_days_that_rows_came_for_are_filled_again(folder: Folder, kind: str) -> None:
    filled(folder, kind)
    ADD[kind](folder, "late", late_row())

    with folder.at(NOON) as project:
        takes_in(folder, project)


@pytest.mark.parametrize("kind", SOURCES)
def test_a_project_that_was_moved_still_knows_what_it_was_filled_from(
    folder: Folder, tmp_path: Path, kind: str
) -> None:
    filled(folder, kind)
    moved = Folder(Path(shutil.move(folder.root, tmp_path / "elsewhere")))

    with moved.at(NOON) as project:
        assert days_filled(project) == []
    ADD[kind](moved, "late", late_row())
    with moved.at(NOON) as project:
        assert days_filled(project) == [day(3)]


def test_rows_that_came_into_a_database_are_filled(
    folder: Folder, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KNOWNAT_CONNECTIONS__SHOP", postgres.url)
    monkeypatch.setitem(
        SOURCES,
        "sql",
        'fs.SqlSource("rows", connection="shop", table="growing", event_timestamp="happened", delay="1h")',
    )

    def add(_: Folder, name: str, added: pa.Table) -> None:
        if name == "first":
            postgres.run("CREATE TABLE growing (k text, happened timestamptz, v float8)")
        postgres.run(
            *(f"INSERT INTO growing VALUES ('{r['k']}', '{r['happened']}', {r['v']})" for r in added.to_pylist())
        )

    monkeypatch.setitem(ADD, "sql", add)
    filled(folder, "sql")
    add(folder, "late", late_row())

    with folder.at(NOON) as project:
        takes_in(folder, project)


@pytest.mark.parametrize("kind", ["parquet", "csv", "delta"])
def test_objects_that_came_into_a_bucket_are_filled(
    folder: Folder, s3: S3Server, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    storage, place = s3.storage, f"data/growing/{kind}"
    for name in ("endpoint", "region", "access_key", "secret_key"):
        monkeypatch.setenv(f"KNOWNAT_S3__{name.upper()}", getattr(storage, name))
    monkeypatch.setitem(SOURCES, kind, SOURCES[kind].replace('path="', f'path="s3://{place}/'))

    def add(_: Folder, name: str, added: pa.Table) -> None:
        if kind == "delta":
            write_deltalake(f"s3://{place}/rows", added, mode="append", storage_options=storage.delta_options())
            return
        with storage.filesystem().open_output_stream(f"{place}/{name}.{kind}") as stream:
            (pq.write_table if kind == "parquet" else csv.write_csv)(added, stream)

    monkeypatch.setitem(ADD, kind, add)
    filled(folder, kind)
    add(folder, "late", late_row())

    with folder.at(NOON) as project:
        takes_in(folder, project)
