"""A result's bytes depend on its rows alone, and its profile is of what is in it."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from featurestore.operations.result_file import GROUP_ROWS, write_result, write_table
from featurestore.ports.state import ColumnProfile

COUNT = 2 * GROUP_ROWS + 5


def features(*sizes: int) -> Iterator[pa.Table]:
    """The same COUNT rows, in tables of these sizes again and again."""
    table = pa.table({"x": [n / 8 if n % 3 else None for n in range(COUNT)], "t": ["é"] * COUNT})
    start = turn = 0
    while start < COUNT:
        size = min(sizes[turn % len(sizes)], COUNT - start)
        yield table.slice(start, size)
        start, turn = start + size, turn + 1


def test_the_bytes_do_not_depend_on_how_rows_arrive(tmp_path: Path) -> None:
    spine = pa.table({"k": [str(n) for n in range(COUNT)]})
    chunked = pa.concat_tables([spine.slice(0, 7), spine.slice(7)])

    hashes = set()
    for number, (sizes, table) in enumerate(
        [((COUNT,), spine), ((1, 65_536, 250_000), spine), ((GROUP_ROWS,), chunked)]
    ):
        write_result(table, features(*sizes), tmp_path / str(number))
        hashes.add(sha256((tmp_path / str(number)).read_bytes()).hexdigest())

    assert len(hashes) == 1


def test_the_spines_columns_come_first_then_the_features(tmp_path: Path) -> None:
    spine = pa.table({"k": [str(n) for n in range(COUNT)]}, metadata={"pandas": "{}"})

    written = write_result(spine, features(65_536), tmp_path / "result")

    result = pq.read_table(tmp_path / "result")
    assert result.column_names == ["k", "x", "t"]
    assert result["k"].to_pylist() == spine["k"].to_pylist()
    assert result.schema.metadata is None
    assert written.rows == COUNT


def test_a_profile_counts_nulls_and_is_of_finite_numbers(tmp_path: Path) -> None:
    spine = pa.table(
        {"x": [1.5, None, float("nan"), float("inf"), -0.5], "b": [True, False, None, True, True], "s": list("abcde")}
    )
    numbers = pa.table({"n": [2**60, 1, None, None, None]})

    written = write_result(spine, iter([numbers]), tmp_path / "result")

    assert [(profile.name, profile.nulls, profile.minimum, profile.maximum) for profile in written.profile] == [
        ("x", 1, -0.5, 1.5),
        ("b", 1, 0.0, 1.0),
        ("s", 0, None, None),
        ("n", 3, 1.0, 2.0**60),
    ]
    assert written.profile[2] == ColumnProfile("s", "string", 0)


@pytest.mark.parametrize("rows", [0, 1, GROUP_ROWS, GROUP_ROWS + 1])
def test_any_number_of_rows_is_written(tmp_path: Path, rows: int) -> None:
    spine = pa.table({"k": pa.array(range(rows), pa.int64())})
    found = pa.table({"x": pa.nulls(rows, pa.float64())})

    assert write_result(spine, iter([found]), tmp_path / "result").rows == rows
    assert pq.read_table(tmp_path / "result").num_rows == rows


def test_a_tables_bytes_do_not_depend_on_its_chunks_or_metadata(tmp_path: Path) -> None:
    table = pa.table({"k": list("abc")})
    write_table(table, tmp_path / "one")
    write_table(
        pa.concat_tables([table.slice(0, 1), table.slice(1)]).replace_schema_metadata({"a": "b"}), tmp_path / "two"
    )

    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
