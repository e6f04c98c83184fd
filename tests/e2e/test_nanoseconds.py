"""Nanoseconds are floored whichever way rows come in: an event in the last of an hour's is one of that hour."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sdk import Project, open_project

TEN = datetime(2024, 3, 1, 10, tzinfo=UTC)
MOMENT = pa.timestamp("us", tz="UTC")
DEFINITIONS = """\
import featurestore as fs

person = fs.Entity("person", join_keys={"id": fs.Int64})
rows = SOURCE
counts = fs.FeatureView("counts", entity=person, source=rows, every="1h",
                        features=[fs.Aggregate("*", fs.count, windows=["1h"], name="n")])
values = fs.FeatureView("values", entity=person, source=rows, features=[fs.Feature("seen")])
"""
PARQUET = 'fs.ParquetSource("rows", path="rows", event_timestamp="at", known_at="loaded")'
PARTED = PARQUET.replace("path=", 'partitions={"part": fs.Int64}, path=')
CSV = 'fs.CsvSource("rows", path="rows.csv", event_timestamp="at", known_at="loaded")'
FRAME = (
    'fs.FrameSource("rows", event_timestamp="at", known_at="loaded",'
    ' columns={"id": fs.Int64, "at": fs.Timestamp, "loaded": fs.Timestamp, "seen": fs.Timestamp})'
)


def rows(before: datetime, kind: pa.DataType) -> pa.Table:
    """One row 300 ns before a moment: when it happened, when it was known, and its value."""
    number = (int(before.timestamp()) * 10**9 - 300,)
    moments = pa.array(number, pa.timestamp("ns")).cast(kind)
    return pa.table({"id": [1], "at": moments, "loaded": moments, "seen": moments})


def write(folder: Path, name: str, table: pa.Table, **options: Any) -> None:
    (folder / "data" / name).parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, folder / "data" / name, **options)


def as_files(folder: Path, before: datetime) -> None:
    write(folder, "rows/a.parquet", rows(before, pa.timestamp("ns")))


def with_zone(folder: Path, before: datetime) -> None:
    write(folder, "rows/a.parquet", rows(before, pa.timestamp("ns", "UTC")))


def as_int96(folder: Path, before: datetime) -> None:
    write(folder, "rows/a.parquet", rows(before, pa.timestamp("ns")), use_deprecated_int96_timestamps=True)


def beside_microseconds(folder: Path, before: datetime) -> None:
    other = pa.array([before.replace(tzinfo=None) - timedelta(hours=9)], pa.timestamp("us"))
    write(folder, "rows/a.parquet", pa.table({"id": [2], "at": other, "loaded": other, "seen": other}))
    write(folder, "rows/b.parquet", rows(before, pa.timestamp("ns")))


def in_a_partition(folder: Path, before: datetime) -> None:
    write(folder, "rows/part=1/a.parquet", rows(before, pa.timestamp("ns")))


def as_text(folder: Path, before: datetime) -> None:
    text = f"{before - timedelta(seconds=1):%Y-%m-%dT%H:%M:%S}.9999997"
    (folder / "data" / "rows.csv").write_text(f"id,at,loaded,seen\n1,{text},{text},{text}\n")


def project(folder: Path, source: str, before: datetime = TEN) -> Project:
    for name in ("definitions", "data"):
        (folder / name).mkdir(parents=True)
    (folder / "definitions" / "all.py").write_text(DEFINITIONS.replace("SOURCE", source))
    now = (before + timedelta(hours=2)).isoformat()
    (folder / "knownat.toml").write_text(f'name = "fine"\nclock = {now}\n[engine]\nthreads = 1\n')
    return open_project(folder)


def answers(opened: Project, before: datetime) -> list[tuple[object, ...]]:
    """Counts and values at the moment and an hour later, and one microsecond before it."""
    for _ in opened.apply():
        pass
    for _ in opened.materialize():
        pass
    moments = [before, before + timedelta(hours=1), before - timedelta(microseconds=1)]
    spine = pa.table({"id": [1] * 3, "event_timestamp": pa.array(moments, MOMENT)})
    table = opened.client.training_set(spine, features=["counts:n_1h", "values:seen"]).to_arrow()
    return list(zip(table["counts__n_1h"].to_pylist(), table["values__seen"].to_pylist(), strict=True))


@pytest.mark.parametrize("before", [TEN, datetime(1969, 7, 20, 10, tzinfo=UTC)], ids=["after 1970", "before 1970"])
@pytest.mark.parametrize(
    ("source", "written"),
    [
        (PARQUET, as_files),
        (PARQUET, with_zone),
        (PARQUET, as_int96),
        (PARQUET, beside_microseconds),
        (PARTED, in_a_partition),
        (CSV, as_text),
    ],
)
def test_files_are_floored(
    tmp_path: Path, source: str, written: Callable[[Path, datetime], None], before: datetime
) -> None:
    with project(tmp_path / "project", source, before) as opened:
        written(tmp_path / "project", before)

        found = answers(opened, before)
        online = opened.client.online(features=["values:seen"], entities=[{"id": 1}]).to_dicts()

    last = before - timedelta(microseconds=1)
    assert found == [(1, last), (0, last), (0, last)]
    assert online == [{"values__seen": last}]


@pytest.mark.parametrize(
    "frame", [lambda table: table, pa.Table.to_pandas, pl.from_arrow], ids=["Arrow", "pandas", "Polars"]
)
def test_frames_are_floored(tmp_path: Path, frame: Callable[[pa.Table], Any]) -> None:
    pushed = frame(rows(TEN, pa.timestamp("ns")))
    with project(tmp_path / "project", FRAME) as opened:
        opened.push("rows", pushed, key="one")

        found = answers(opened, TEN)

    last = TEN - timedelta(microseconds=1)
    assert found == [(1, last), (0, last), (0, last)]


def test_a_key_and_an_input_of_nanoseconds_are_floored(tmp_path: Path) -> None:
    """In a spine and in a lookup; as Arrow has them, and as pandas does."""
    definitions = """\
import featurestore as fs

tick = fs.Entity("tick", join_keys={"of": fs.Timestamp})
rows = fs.ParquetSource("rows", path="rows.parquet", event_timestamp="at")
values = fs.FeatureView("values", entity=tick, source=rows, features=["n"])
shown = fs.OnDemandFeature("shown", expression="epoch_us(asked) + epoch_us(many[1])",
                           inputs={"asked": fs.Timestamp, "many": fs.List(fs.Timestamp)})
"""
    fine = pa.array([-1500], pa.timestamp("ns", "UTC"))
    write(tmp_path, "rows.parquet", pa.table({"of": fine, "at": fine, "n": [7]}))
    (tmp_path / "definitions").mkdir()
    (tmp_path / "definitions" / "all.py").write_text(definitions)
    (tmp_path / "knownat.toml").write_text('name = "fine"\nclock = 1970-01-02T00:00:00Z\n[engine]\nthreads = 1\n')
    many = pa.array([[-1500]], pa.list_(fine.type))
    spine = pa.table({"of": fine, "asked": fine, "many": many, "event_timestamp": fine})
    moment = pd.Timestamp(-1500, tz="UTC")

    with open_project(tmp_path) as opened:
        for _ in (*opened.apply(), *opened.materialize()):
            pass
        features = ["values:n", "shown"]
        table = opened.client.training_set(spine, features=features).to_arrow().select(["values__n", "shown"])
        online = opened.client.online(features=features, entities=[{"of": moment, "asked": moment, "many": [moment]}])

    assert table.to_pylist() == online.to_dicts() == [{"values__n": 7, "shown": -4}]
