"""CSV files as sources: what their text means, inferred the same from any order, and wrong lines told by number."""

from __future__ import annotations

import gzip
import os
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from featurestore.adapters.csv_source import CsvSources
from featurestore.adapters.source_files import SourceFiles
from featurestore.errors import SourceError
from featurestore.intervals import Interval
from featurestore.ports.engine import RowScan
from featurestore.ports.source_reader import SourceSnapshot
from featurestore.spec.dtypes import Bool, Date, DType, Float32, Float64, Int32, Int64, String, Timestamp
from featurestore.spec.source import CsvSource

MOMENT = pa.timestamp("us", tz="UTC")


def write(folder: Path, name: str, *lines: str, age: int = 0) -> None:
    path = folder / name
    path.write_text("".join(f"{line}\n" for line in lines))
    os.utime(path, (1_000_000 - age, 1_000_000 - age))


def read(folder: Path, path: str = "*.csv", **options: Any) -> SourceSnapshot:
    within = options.pop("within", None)
    source = CsvSource("rows", path=path, event_timestamp=options.pop("event_timestamp", "at"), **options)
    return CsvSources(SourceFiles(folder)).read(source, within=within)


def rows_of(snapshot: SourceSnapshot, *columns: str) -> list[dict[str, object]]:
    assert isinstance(snapshot.relation, RowScan)
    names = columns or tuple(snapshot.schema.names)
    return [row for batch in snapshot.relation.open(names) for row in batch.to_pylist()]


@pytest.mark.parametrize(
    ("texts", "inferred", "values"),
    [
        (["1", "-2", ""], pa.int64(), [1, -2, None]),
        (["1", "2.5", "1e3"], pa.float64(), [1.0, 2.5, 1000.0]),
        (["NaN", "-inf"], pa.float64(), None),
        (["true", "False"], pa.bool_(), [True, False]),
        (["2024-01-31", "1969-12-31"], pa.date32(), [date(2024, 1, 31), date(1969, 12, 31)]),
        (["2024-01-31", "2024-01-31 10:00"], MOMENT, [datetime(2024, 1, 31, h, tzinfo=UTC) for h in (0, 10)]),
        (["2024-01-31T10:00:00+02:00"], MOMENT, [datetime(2024, 1, 31, 8, tzinfo=UTC)]),
        (["2024-01-31 10:00:00.1234567"], MOMENT, [datetime(2024, 1, 31, 10, 0, 0, 123456, tzinfo=UTC)]),
        (["007", "12"], pa.string(), ["007", "12"]),
        (["9223372036854775808"], pa.string(), ["9223372036854775808"]),
        (["1234567890123456.5"], pa.string(), ["1234567890123456.5"]),
        (["2024-02-30"], pa.string(), ["2024-02-30"]),
        (["1", "x"], pa.string(), ["1", "x"]),
        (["", ""], pa.string(), [None, None]),
        (["1e400"], pa.string(), ["1e400"]),
        (["0000-01-01"], pa.string(), ["0000-01-01"]),
        (["0001-01-01T00:00+14:00"], pa.string(), ["0001-01-01T00:00+14:00"]),
        (["9999-12-31T23:59-14:00"], pa.string(), ["9999-12-31T23:59-14:00"]),
    ],
)
def test_a_column_is_the_first_type_that_all_its_texts_are_written_in(
    tmp_path: Path, texts: list[str], inferred: pa.DataType, values: list[object] | None
) -> None:
    write(tmp_path, "a.csv", "at,v", *(f"2024-01-01,{text}" for text in texts))

    snapshot = read(tmp_path)

    assert snapshot.schema.field("v").type == inferred
    if values is not None:
        assert [row["v"] for row in rows_of(snapshot)] == values


def test_the_type_does_not_depend_on_which_file_or_line_a_text_is_in(tmp_path: Path) -> None:
    texts = ["1", "2.5", "", "3"]
    found = set()
    for turn in range(len(texts)):
        folder = tmp_path / str(turn)
        folder.mkdir()
        turned = texts[turn:] + texts[:turn]
        write(folder, "a.csv", "at,v", *(f"2024-01-01,{text}" for text in turned[:2]))
        write(folder, "b.csv", "v,at", *(f"{text},2024-01-01" for text in turned[2:]))
        found.add(read(folder).schema.field("v").type)

    assert found == {pa.float64()}


def test_declared_columns_alone_are_read_with_their_types(tmp_path: Path) -> None:
    write(tmp_path, "a.csv", "zip;at;n;ok;day;other", '007; 2024-01-01 ;"3";true;2024-01-02;x', "NA;2024-01-02;;;;y")
    columns: dict[str, DType] = {"at": Timestamp, "zip": String, "n": Int32, "ok": Bool, "day": Date}

    snapshot = read(tmp_path, columns=columns, delimiter=";", null_text=["NA"])

    first, second = rows_of(snapshot)
    assert snapshot.schema.names == list(columns)
    assert first == {
        "at": datetime(2024, 1, 1, tzinfo=UTC), "zip": "007", "n": 3, "ok": True, "day": date(2024, 1, 2)
    }  # fmt: skip
    assert second == {"at": datetime(2024, 1, 2, tzinfo=UTC), "zip": None, "n": None, "ok": None, "day": None}


def test_a_file_without_a_header_has_the_declared_names(tmp_path: Path) -> None:
    write(tmp_path, "a.csv", "2024-01-01,1", "2024-01-02,x")

    snapshot = read(tmp_path, columns={"at": Timestamp, "v": Int64}, header=False)

    assert "'x' in line 2 of" in snapshot.mixed["v"]
    assert len(rows_of(snapshot, "at")) == 2


def test_empty_quotes_are_an_empty_text_and_nothing_between_delimiters_is_null(tmp_path: Path) -> None:
    write(tmp_path, "a.csv", "at,v,w", '2024-01-01,"",a', "2024-01-01,,b")

    assert [row["v"] for row in rows_of(read(tmp_path))] == ["", None]


def test_a_malformed_line_is_told_with_file_and_line(tmp_path: Path) -> None:
    write(tmp_path, "a.csv", "at,v", '2024-01-01,"two', 'lines"', "", "2024-01-01,1,too many")

    with pytest.raises(SourceError, match=rf"line 5 of {tmp_path}/a\.csv is malformed: Expected 2 columns, got 3"):
        read(tmp_path)


def test_a_text_that_is_not_of_the_declared_type_is_told_with_file_and_line(tmp_path: Path) -> None:
    write(tmp_path, "a.csv", "at,v", '2024-01-01,"1"', "", "2024-01-01,1.5", "2024-01-01,x")

    snapshot = read(tmp_path, columns={"at": Timestamp, "v": Int64})

    assert snapshot.mixed == {"v": f"'1.5' in line 4 of {tmp_path}/a.csv, which is no int64"}


@pytest.mark.parametrize(
    ("dtype", "text"),
    [(Float64, "1e400"), (Float32, "-1e39"), (Date, "0000-01-01"), (Timestamp, "9999-12-31T23:59-01:00")],
    ids=str,
)
def test_a_text_that_arrow_takes_for_another_value_is_told(tmp_path: Path, dtype: DType, text: str) -> None:
    write(tmp_path, "a.csv", "at,v", f"2024-01-01,{text}")

    snapshot = read(tmp_path, columns={"at": Timestamp, "v": dtype})

    assert snapshot.mixed == {"v": f"'{text}' in line 2 of {tmp_path}/a.csv, which is no {dtype.value}"}


@pytest.mark.parametrize("content", [b"", b"at,v\n2024-01-01,\xff\xfe\n", b"at,at\n1,2\n"])
def test_a_file_that_is_not_csv_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.csv").write_bytes(content)

    with pytest.raises(SourceError, match=r"source 'rows': .*a\.csv"):
        read(tmp_path)


def test_the_newest_file_says_which_columns_there_are(tmp_path: Path) -> None:
    write(tmp_path, "a.csv", "at,gone,v", "2024-01-01,x,1", age=1)
    write(tmp_path, "b.csv", "added,v,at", "y,2,2024-01-02")

    snapshot = read(tmp_path)

    assert snapshot.schema.names == ["added", "v", "at"]
    assert [(row["added"], row["v"]) for row in rows_of(snapshot)] == [(None, 1), ("y", 2)]


def test_a_snapshot_tells_rows_spans_and_parts(tmp_path: Path) -> None:
    write(tmp_path, "a.csv", "at,v", "2024-01-03,1", ",1", "2024-01-01 10:00,2")
    write(tmp_path, "b.csv", "at,v", "2024-02-01,1")

    snapshot = read(tmp_path)

    assert (snapshot.rows, snapshot.first) == (4, datetime(2024, 1, 1, 10, tzinfo=UTC))
    assert snapshot.last == datetime(2024, 2, 1, tzinfo=UTC)
    assert [(Path(part.name).name, part.rows) for part in snapshot.parts] == [("a.csv", 3), ("b.csv", 1)]


def test_the_version_changes_with_the_files(tmp_path: Path) -> None:
    write(tmp_path, "a.csv", "at,v", "2024-01-03,1")
    before = read(tmp_path)
    write(tmp_path, "a.csv", "at,v", "2024-01-03,22")

    after = read(tmp_path)

    assert before.version != after.version
    assert before.parts[0].version != after.parts[0].version


def test_only_rows_of_the_asked_time_are_given(tmp_path: Path) -> None:
    write(tmp_path, "a.csv", "at,v", *(f"2024-01-{day:02},{day}" for day in range(1, 11)))
    asked = Interval(datetime(2024, 1, 3, tzinfo=UTC), datetime(2024, 1, 5, tzinfo=UTC))

    found = [row["v"] for row in rows_of(read(tmp_path, within=asked), "v")]

    assert set(found) >= {3, 4}
    assert len(found) <= 3


def test_compressed_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"at,v\n2024-01-01,1\n"))

    assert rows_of(read(tmp_path, "a.csv.gz"), "v") == [{"v": 1}]


def test_float_columns_are_declared_as_such(tmp_path: Path) -> None:
    write(tmp_path, "a.csv", "at,v", "2024-01-01,1", "2024-01-01,-0")

    values = [row["v"] for row in rows_of(read(tmp_path, columns={"at": Timestamp, "v": Float64}))]

    assert [str(value) for value in values] == ["1.0", "-0.0"]
