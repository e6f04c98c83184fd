"""Delta tables of others as sources: deletion vectors, partitions, mapped columns, and any version."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from featurestore.adapters.delta_source import DeltaSources
from featurestore.errors import SourceError
from featurestore.intervals import Interval
from featurestore.ports.engine import RowScan
from featurestore.ports.source_reader import SourceSnapshot
from featurestore.spec.source import DeltaSource
from tests.delta_tables import delete_rows, leave_out_statistics, mapped_table

JANUARY = datetime(2024, 1, 1, tzinfo=UTC)
MOMENT = pa.timestamp("us", tz="UTC")


def rows(count: int, kind: pa.DataType = MOMENT) -> pa.Table:
    moments = [JANUARY + timedelta(days=day) for day in range(count)]
    return pa.table(
        {
            "at": pa.array([m if kind == MOMENT else m.replace(tzinfo=None) for m in moments], MOMENT).cast(kind),
            "id": pa.array(range(count), pa.int64()),
            "half": ["a" if day < count // 2 else "b c/d" for day in range(count)],
        }
    )


def read(folder: Path, *, within: Interval | None = None, **options: Any) -> SourceSnapshot:
    source = DeltaSource("rows", path="rows", event_timestamp=options.pop("event_timestamp", "at"), **options)
    return DeltaSources(folder).read(source, within=within)


def values(snapshot: SourceSnapshot, column: str = "id") -> list[object]:
    assert isinstance(snapshot.relation, RowScan)
    return sorted(v for batch in snapshot.relation.open((column,)) for v in batch[column].to_pylist())


def test_rows_that_a_deletion_vector_takes_away_are_not_read(tmp_path: Path) -> None:
    write_deltalake(tmp_path / "rows", rows(10))
    before = read(tmp_path)
    delete_rows(tmp_path / "rows", [1, 3, 9])

    after = read(tmp_path)

    assert values(after) == [0, 2, 4, 5, 6, 7, 8]
    assert (before.rows, after.rows) == (10, 7)
    assert [part.rows for part in after.parts] == [7]
    assert after.parts[0].version != before.parts[0].version
    assert (before.version, after.version) == ("0", "1")


def test_a_table_whose_log_counts_no_rows_is_counted(tmp_path: Path) -> None:
    write_deltalake(tmp_path / "rows", rows(10))
    leave_out_statistics(tmp_path / "rows")

    snapshot = read(tmp_path)

    assert (snapshot.rows, snapshot.first, snapshot.last) == (10, JANUARY, JANUARY + timedelta(days=9))
    assert [part.rows for part in snapshot.parts] == [10]


def test_partition_columns_are_columns(tmp_path: Path) -> None:
    write_deltalake(tmp_path / "rows", rows(10), partition_by=["half"])
    delete_rows(tmp_path / "rows", [0])

    snapshot = read(tmp_path)

    assert len(values(snapshot)) == 9
    assert set(values(snapshot, "half")) == {"a", "b c/d"}
    assert snapshot.schema.field("half").type == pa.string()
    assert sum(part.rows for part in snapshot.parts) == 9


STRANGE = [
    "a b",
    "a%20b",
    "100%",
    "ü🎉",
    "a/b",
    "a:b",
    "x=y",
    "a\\b",
    "[1]",
    "*",
    "?",
    "#",
    "~",
    "$HOME",
    "{a,b}",
    "%2F",
]


@pytest.mark.parametrize("name", ["plain", "trial[1]", "^|"])
def test_partition_values_and_the_names_of_folders_are_never_decoded(tmp_path: Path, name: str) -> None:
    moments = pa.array([JANUARY + timedelta(days=day) for day in range(len(STRANGE))], MOMENT)
    table = pa.table({"at": moments, "id": pa.array(range(len(STRANGE)), pa.int64()), "value": STRANGE})
    write_deltalake(tmp_path / "written", table, partition_by=["value"])
    (tmp_path / "written").rename(tmp_path / name)

    snapshot = DeltaSources(tmp_path).read(DeltaSource("rows", path=name, event_timestamp="at"))

    assert sorted(map(str, values(snapshot, "value"))) == sorted(STRANGE)
    assert (snapshot.rows, snapshot.first, snapshot.last) == (len(STRANGE), moments[0].as_py(), moments[-1].as_py())


def test_only_rows_of_the_asked_time_are_given_whatever_the_folder_is_called(tmp_path: Path) -> None:
    write_deltalake(tmp_path / "written", rows(10))
    (tmp_path / "written").rename(tmp_path / "[1]")
    asked = Interval(JANUARY + timedelta(days=2), JANUARY + timedelta(days=3))
    source = DeltaSource("rows", path="[1]", event_timestamp="at")

    snapshot = DeltaSources(tmp_path).read(source, within=asked)

    assert values(snapshot) == [2, 3]


def test_rows_stay_deleted_where_partitions_have_strange_values(tmp_path: Path) -> None:
    table = rows(4).set_column(2, "half", pa.array(["a%20b", "a%20b", "a b", "a b"]))
    write_deltalake(tmp_path / "rows", table, partition_by=["half"])
    delete_rows(tmp_path / "rows", [0])

    snapshot = read(tmp_path)

    assert (len(values(snapshot)), snapshot.rows) == (3, 3)


@pytest.mark.parametrize("name", ["my%20rows", "back\\slash"])
def test_a_table_whose_name_can_not_be_told_is_refused(tmp_path: Path, name: str) -> None:
    write_deltalake(tmp_path / "written", rows(2))
    (tmp_path / "written").rename(tmp_path / name)

    with pytest.raises(SourceError, match=r"source 'rows': .*Rename that folder"):
        DeltaSources(tmp_path).read(DeltaSource("rows", path=name, event_timestamp="at"))


def test_deleted_rows_are_never_read_back_for_the_name_of_a_folder(tmp_path: Path) -> None:
    write_deltalake(tmp_path / "written", rows(10))
    delete_rows(tmp_path / "written", [0])
    (tmp_path / "written").rename(tmp_path / "[1]")

    with pytest.raises(SourceError, match=r"deletion vectors .* Rename that folder"):
        DeltaSources(tmp_path).read(DeltaSource("rows", path="[1]", event_timestamp="at"))


def test_mapped_columns_have_their_own_names(tmp_path: Path) -> None:
    mapped_table(tmp_path / "rows", rows(4))

    snapshot = read(tmp_path)

    assert snapshot.schema.names == ["at", "id", "half"]
    assert values(snapshot) == [0, 1, 2, 3]
    assert (snapshot.first, snapshot.last) == (JANUARY, JANUARY + timedelta(days=3))


def test_a_table_is_read_at_a_version(tmp_path: Path) -> None:
    write_deltalake(tmp_path / "rows", rows(2))
    write_deltalake(tmp_path / "rows", rows(10), mode="overwrite")

    pinned, newest = read(tmp_path, version=0), read(tmp_path)

    assert (values(pinned), pinned.version) == ([0, 1], "0")
    assert (len(values(newest)), newest.version) == (10, "1")


def test_a_snapshot_stays_at_its_version_while_others_write(tmp_path: Path) -> None:
    write_deltalake(tmp_path / "rows", rows(2))
    snapshot = read(tmp_path)

    write_deltalake(tmp_path / "rows", rows(10), mode="overwrite")

    assert values(snapshot) == [0, 1]


@pytest.mark.parametrize("kind", [MOMENT, pa.timestamp("us"), pa.date32()])
def test_only_rows_of_the_asked_time_are_given(tmp_path: Path, kind: pa.DataType) -> None:
    write_deltalake(tmp_path / "rows", rows(10, kind))
    asked = Interval(JANUARY + timedelta(days=2), JANUARY + timedelta(days=4))

    found = values(read(tmp_path, within=asked))

    assert set(found) >= {2, 3}
    assert set(found) <= {2, 3, 4}


def test_a_snapshot_tells_rows_spans_and_parts(tmp_path: Path) -> None:
    write_deltalake(tmp_path / "rows", rows(3))
    write_deltalake(tmp_path / "rows", rows(5), mode="append")

    snapshot = read(tmp_path)

    assert (snapshot.rows, snapshot.first, snapshot.last) == (8, JANUARY, JANUARY + timedelta(days=4))
    assert sorted(part.rows for part in snapshot.parts) == [3, 5]


def test_a_table_without_statistics_is_read_for_its_span(tmp_path: Path) -> None:
    configuration = {"delta.dataSkippingNumIndexedCols": "0"}
    write_deltalake(tmp_path / "rows", rows(3), configuration=configuration)

    snapshot = read(tmp_path)

    assert (snapshot.first, snapshot.last) == (JANUARY, JANUARY + timedelta(days=2))


@pytest.mark.parametrize("statistics", [True, False])
@pytest.mark.parametrize("kind", [MOMENT, pa.date32()], ids=str)
def test_an_event_timestamp_in_no_year_is_told_and_another_column_of_that_kind_is_not(
    tmp_path: Path, kind: pa.DataType, statistics: bool
) -> None:
    far = pa.array([0, 3_000_000 if kind == pa.date32() else 2**62])
    far = far.cast(pa.int32()).cast(kind) if kind == pa.date32() else far.cast(kind)
    write_deltalake(tmp_path / "rows", rows(2).append_column("ends", far))
    if not statistics:
        leave_out_statistics(tmp_path / "rows")

    assert read(tmp_path).last == JANUARY + timedelta(days=1)
    with pytest.raises(SourceError, match=r"source 'rows': 'ends' holds .* in no year from 1 to 9999"):
        read(tmp_path, event_timestamp="ends")


def test_what_is_no_table_is_told(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"source 'rows': .*rows is not a Delta table"):
        read(tmp_path)


def test_a_version_that_there_is_not_is_told(tmp_path: Path) -> None:
    write_deltalake(tmp_path / "rows", rows(2))

    with pytest.raises(SourceError, match=r"rows can not be opened at version 7"):
        read(tmp_path, version=7)


def test_a_missing_file_is_told_and_is_not_fewer_rows(tmp_path: Path) -> None:
    write_deltalake(tmp_path / "rows", rows(2))
    [file] = DeltaTable(tmp_path / "rows").file_uris()
    Path(file.removeprefix("file://")).unlink()

    with pytest.raises(SourceError, match="source 'rows' can not be read"):
        values(read(tmp_path))
