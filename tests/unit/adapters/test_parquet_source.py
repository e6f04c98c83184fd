"""Parquet files as sources: which files they are, what their footers tell, and when their version changes."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from featurestore.adapters.parquet_source import ParquetSources
from featurestore.adapters.source_files import SourceFiles
from featurestore.errors import SourceError
from featurestore.ports.engine import ParquetFiles
from featurestore.ports.source_reader import SourceSnapshot
from featurestore.spec.dtypes import DType
from featurestore.spec.source import ParquetSource

MOMENT = pa.timestamp("us", tz="UTC")
JUNE = datetime(2024, 6, 1, tzinfo=UTC)
JULY = datetime(2024, 7, 1, 12, 0, 0, 123456, tzinfo=UTC)


def write(file: Path, *moments: object, kind: pa.DataType = MOMENT, **options: Any) -> Path:
    """A file with the column `at`, behind a column of two parts and before a column of values."""
    parts = pa.array([{"a": "x", "b": 1.5}] * len(moments), pa.struct([("a", pa.string()), ("b", pa.float64())]))
    values = pa.array(range(len(moments)), pa.int64())
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"parts": parts, "at": pa.array(moments, kind), "value": values}), file, **options)
    return file


def read(folder: Path, path: str = "flights", column: str = "at") -> SourceSnapshot:
    return ParquetSources(SourceFiles(folder)).read(ParquetSource("flights", path=path, event_timestamp=column))


def files_of(snapshot: SourceSnapshot, folder: Path) -> list[str]:
    assert isinstance(snapshot.relation, ParquetFiles)
    return [str(Path(path).relative_to(folder)) for path in snapshot.relation.paths]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("flights/b.parquet", ["flights/b.parquet"]),
        ("flights", ["flights/a.parquet", "flights/b.parquet"]),
        ("flights/", ["flights/a.parquet", "flights/b.parquet"]),
        ("flights/*.parquet", ["flights/a.parquet", "flights/b.parquet"]),
        ("flights/[a]*", ["flights/a.parquet"]),
        ("*/**/*.parquet", ["flights/2013/c.parquet", "flights/a.parquet", "flights/b.parquet"]),
    ],
)
@pytest.mark.parametrize("absolute", [False, True], ids=["relative", "absolute"])
def test_a_path_is_a_file_a_folder_or_a_glob(tmp_path: Path, path: str, expected: list[str], absolute: bool) -> None:
    for name in ("b.parquet", "a.parquet", "2013/c.parquet"):
        write(tmp_path / "flights" / name, JUNE)
    (tmp_path / "flights" / "_SUCCESS").touch()
    folder = tmp_path / "elsewhere" if absolute else tmp_path

    snapshot = read(folder, f"{tmp_path}/{path}" if absolute else path)

    assert files_of(snapshot, tmp_path) == expected


@pytest.mark.parametrize("path", ["nothing.parquet", "nothing/*.parquet", "empty", "/nowhere/x.parquet"])
def test_missing_files_are_told_with_what_was_looked_for(tmp_path: Path, path: str) -> None:
    (tmp_path / "empty").mkdir()
    looked_for = f"{tmp_path / path}" + ("/*.parquet" if path == "empty" else "")

    with pytest.raises(SourceError) as caught:
        read(tmp_path, path)

    assert f"nothing matches {looked_for}. Paths are relative to data_folder" in caught.value.message
    assert "source 'flights'" in caught.value.message


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b"PAR1 and no more PAR1"])
def test_a_file_that_is_not_parquet_is_named(tmp_path: Path, content: bytes) -> None:
    write(tmp_path / "flights" / "a.parquet", JUNE)
    (tmp_path / "flights" / "b.parquet").write_bytes(content)

    with pytest.raises(SourceError, match=r"b\.parquet is not a readable Parquet file"):
        read(tmp_path)


def ordered(folder: Path, *tables: pa.Table) -> None:
    """Files in the order of their age: a.parquet is the oldest."""
    for number, (name, table) in enumerate(zip("abc", tables, strict=False)):
        pq.write_table(table, folder / f"{name}.parquet")
        os.utime(folder / f"{name}.parquet", (number + 1, number + 1))


def test_the_newest_file_says_which_columns_there_are(tmp_path: Path) -> None:
    old = pa.table({"value": [1], "gone": ["x"], "at": [JUNE]})
    ordered(tmp_path, old, pa.table({"at": [JUNE], "value": [2], "added": ["y"]}))

    snapshot = read(tmp_path, "*.parquet")

    assert snapshot.schema.names == ["at", "value", "added"]
    assert isinstance(snapshot.relation, ParquetFiles)
    assert snapshot.relation.by_name
    assert not snapshot.mixed


@pytest.mark.parametrize("other", [pa.table({"at": [JUNE], "value": [1.5]}), pa.table({"at": [JUNE], "Value": [1]})])
def test_a_column_that_differs_between_files_is_told_with_both(tmp_path: Path, other: pa.Table) -> None:
    ordered(tmp_path, pa.table({"at": [JUNE], "value": [1]}), other)

    [(column, told)] = read(tmp_path, "*.parquet").mixed.items()

    assert column == other.schema.names[1]
    assert "'value' (int64) in" in told
    assert f"'{column}' ({other.schema.field(1).type}) in {tmp_path}/b.parquet" in told


@pytest.mark.parametrize("names", [["at", "v", "v"], ["at", "v", "V"]], ids=["alike", "in other letters"])
def test_a_column_that_is_there_twice_is_told_and_others_can_be_read(tmp_path: Path, names: list[str]) -> None:
    pq.write_table(pa.table([pa.array([JUNE], MOMENT), [1], [2]], names=names), tmp_path / "a.parquet")

    snapshot = read(tmp_path, "a.parquet")

    assert snapshot.mixed == {"v": f"there twice in {tmp_path}/a.parquet"}
    assert snapshot.first == JUNE


def test_a_file_without_the_event_timestamp_is_refused(tmp_path: Path) -> None:
    ordered(tmp_path, pa.table({"value": [1]}), pa.table({"at": [JUNE], "value": [1]}))

    with pytest.raises(SourceError, match=r"a\.parquet lacks the column 'at'"):
        read(tmp_path, "*.parquet")


def test_a_snapshot_tells_columns_rows_and_time_of_all_files(tmp_path: Path) -> None:
    write(tmp_path / "flights" / "a.parquet", JULY, None, JUNE, row_group_size=1)
    write(tmp_path / "flights" / "b.parquet", datetime(2024, 6, 2, tzinfo=UTC))

    snapshot = read(tmp_path)

    assert snapshot.schema.names == ["parts", "at", "value"]
    assert snapshot.schema.field("at").type == MOMENT
    assert (snapshot.source, snapshot.rows) == ("flights", 4)
    assert (snapshot.first, snapshot.last) == (JUNE, JULY)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (pa.timestamp("us", tz="UTC"), {}),
        (pa.timestamp("us"), {}),
        (pa.timestamp("ms"), {}),
        (pa.timestamp("ns"), {}),
        (pa.timestamp("ns", tz="UTC"), {}),
        (pa.timestamp("us", tz="America/New_York"), {}),
        (pa.timestamp("us", tz="UTC"), {"write_statistics": False}),
        (pa.timestamp("us"), {"write_statistics": ["value"]}),
        (pa.timestamp("us"), {"use_deprecated_int96_timestamps": True}),
        (pa.timestamp("us"), {"use_deprecated_int96_timestamps": True, "row_group_size": 1}),
    ],
    ids=str,
)
def test_every_kind_of_timestamp_is_told_in_utc(tmp_path: Path, kind: pa.DataType, options: dict[str, Any]) -> None:
    moments = [JULY.replace(microsecond=123000), JUNE, None]
    moments = [moment and (moment if kind.tz else moment.replace(tzinfo=None)) for moment in moments]
    write(tmp_path / "a.parquet", *moments, kind=kind, **options)

    snapshot = read(tmp_path, "a.parquet")

    assert (snapshot.first, snapshot.last) == (JUNE, JULY.replace(microsecond=123000))
    assert {type(snapshot.first), type(snapshot.last)} == {datetime}
    assert snapshot.first is not None
    assert snapshot.first.tzinfo == UTC


def test_nanoseconds_are_told_to_the_microsecond_before(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", 1_000_000_001_999, kind=pa.timestamp("ns"))

    write(tmp_path / "before.parquet", -1, kind=pa.timestamp("ns"), write_statistics=False)

    snapshot, before = read(tmp_path, "a.parquet"), read(tmp_path, "before.parquet")

    assert snapshot.first == snapshot.last == datetime(1970, 1, 1, 0, 16, 40, 1, tzinfo=UTC)
    assert before.first == datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)


@pytest.mark.parametrize(
    ("number", "kind", "told"),
    [
        (2**63 - 1, MOMENT, "infinity"),
        (-(2**63) + 1, pa.timestamp("us"), "infinity"),
        (2**31 - 1, pa.date32(), "infinity"),
        (1_704_067_200_000, pa.timestamp("s"), "1,704,067,200,000,000"),  # milliseconds taken for seconds; kept as ms
        (3_000_000, pa.date32(), "3,000,000"),
    ],
    ids=str,
)
@pytest.mark.parametrize("options", [{}, {"write_statistics": False}], ids=["statistics", "none"])
def test_an_event_timestamp_in_no_year_is_told_with_its_column(
    tmp_path: Path, number: int, kind: pa.DataType, told: str, options: dict[str, Any]
) -> None:
    values = pa.array([number], pa.int32() if pa.types.is_date(kind) else pa.int64()).cast(kind)
    pq.write_table(pa.table({"at": values}), tmp_path / "a.parquet", **options)

    with pytest.raises(SourceError, match=f"source 'flights': 'at' holds {told} .* in no year from 1 to 9999"):
        read(tmp_path, "a.parquet")


def test_a_date_is_told_as_its_midnight(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", date(2024, 6, 2), date(2024, 6, 1), kind=pa.date32())

    snapshot = read(tmp_path, "a.parquet")

    assert (snapshot.first, snapshot.last) == (JUNE, datetime(2024, 6, 2, tzinfo=UTC))


@pytest.mark.parametrize("moments", [(), (None,), (None, None)])
@pytest.mark.parametrize("options", [{}, {"write_statistics": False}], ids=["statistics", "none"])
def test_files_without_a_moment_tell_none(tmp_path: Path, moments: tuple[None, ...], options: dict[str, Any]) -> None:
    write(tmp_path / "a.parquet", *moments, **options)

    snapshot = read(tmp_path, "a.parquet")

    assert (snapshot.rows, snapshot.first, snapshot.last) == (len(moments), None, None)


def test_an_empty_file_leaves_the_time_to_the_others(tmp_path: Path) -> None:
    write(tmp_path / "flights" / "a.parquet")
    write(tmp_path / "flights" / "b.parquet", None)
    write(tmp_path / "flights" / "c.parquet", JUNE)

    snapshot = read(tmp_path)

    assert (snapshot.rows, snapshot.first, snapshot.last) == (2, JUNE, JUNE)


@pytest.mark.parametrize("column", ["value", "parts", "missing"])
def test_a_column_that_holds_no_moments_tells_none(tmp_path: Path, column: str) -> None:
    write(tmp_path / "a.parquet", JUNE)

    snapshot = read(tmp_path, "a.parquet", column)

    assert (snapshot.first, snapshot.last) == (None, None)


def test_the_version_stays_while_the_files_do(tmp_path: Path) -> None:
    write(tmp_path / "flights" / "a.parquet", JUNE)

    assert read(tmp_path).version == read(tmp_path).version


def test_the_version_changes_when_a_file_is_added_or_taken_away(tmp_path: Path) -> None:
    write(tmp_path / "flights" / "a.parquet", JUNE)
    before = read(tmp_path).version
    added = write(tmp_path / "flights" / "b.parquet", JUNE)
    with_both = read(tmp_path).version
    added.unlink()

    assert with_both != before
    assert read(tmp_path).version == before


def test_the_version_changes_when_a_file_is_written_again(tmp_path: Path) -> None:
    file = write(tmp_path / "flights" / "a.parquet", JUNE)
    os.utime(file, ns=(10**18, 10**18))
    before = read(tmp_path)
    write(file, JULY)

    after = read(tmp_path)

    assert after.version != before.version
    assert (before.last, after.last) == (JUNE, JULY)


def test_moving_the_project_changes_nothing_but_where_the_files_are(tmp_path: Path) -> None:
    write(tmp_path / "here" / "flights" / "a.parquet", JUNE)
    before = read(tmp_path / "here")
    (tmp_path / "here").rename(tmp_path / "there")

    after = read(tmp_path / "there")

    assert (after.version, after.schema, after.rows) == (before.version, before.schema, before.rows)
    assert files_of(after, tmp_path / "there") == files_of(before, tmp_path / "here")


def test_each_file_is_a_part_with_its_span_and_a_version_of_its_own(tmp_path: Path) -> None:
    write(tmp_path / "flights" / "a.parquet", JUNE)
    write(tmp_path / "flights" / "b.parquet", JULY, JULY)
    before = read(tmp_path).parts

    write(tmp_path / "flights" / "b.parquet", JULY)
    after = read(tmp_path).parts

    assert [(part.name, part.rows, part.first, part.last) for part in before] == [
        ("flights/a.parquet", 1, JUNE, JUNE),
        ("flights/b.parquet", 2, JULY, JULY),
    ]
    assert before[0] == after[0]
    assert before[1].version != after[1].version


def test_another_value_in_the_name_of_a_folder_is_another_version(tmp_path: Path) -> None:
    (tmp_path / "s" / "region=1").mkdir(parents=True)
    pq.write_table(pa.table({"at": pa.array([0], MOMENT)}), tmp_path / "s" / "region=1" / "a.parquet")
    source = ParquetSource("s", path="s", event_timestamp="at", partitions={"region": DType.INT64})
    before = ParquetSources(SourceFiles(tmp_path)).read(source).version
    (tmp_path / "s" / "region=1").rename(tmp_path / "s" / "region=2")

    after = ParquetSources(SourceFiles(tmp_path)).read(source).version

    assert after != before
