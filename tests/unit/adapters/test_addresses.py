"""What a library is told of a path means that path, whatever stands in it."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from sqlglot import exp, parse_one

from featurestore.adapters.addresses import remote_table_address, sqlite_address, table_address
from featurestore.adapters.duckdb_engine import DuckDBEngine
from featurestore.adapters.sql_database import Database
from featurestore.errors import QueryError, SettingsError
from featurestore.ports.engine import ParquetFiles, Query

NUMBER = pa.schema([("n", pa.int64())])
STRANGE = [
    "d[12]", "a*b", "q?", "**", "{a,b}", "~", "$HOME", "my%zz", "#", "-dash", " ", "ü🎉", "'", '"', "[", "]", "[!a]",
    "a:b", "a&b=c;d@e", "^|`<>",
]  # fmt: skip


def numbers(folder: Path, files: ParquetFiles) -> list[object]:
    engine = DuckDBEngine(memory_limit="500MB", threads=1, spill_folder=folder / "spill")
    tree = parse_one("SELECT n FROM files", dialect="duckdb")
    assert isinstance(tree, exp.Query)
    try:
        with engine.stream(Query(tree, {"files": files})) as found:
            return list(found.read_all()["n"].to_pylist())
    finally:
        engine.close()


@pytest.mark.parametrize("place", ["plain", "trial[1]", "*", "a b#?"])
def test_the_name_of_a_file_is_no_pattern_to_the_engine(tmp_path: Path, place: str) -> None:
    for folder in ("trial1", place):
        (tmp_path / folder).mkdir()
        for number, name in enumerate([*STRANGE, "my%20x", "\n", "d1", "ab", "qq"]):
            pq.write_table(pa.table({"n": [number if folder == place else -1]}), tmp_path / folder / f"{name}.parquet")

    found = numbers(
        tmp_path, ParquetFiles(tuple(str(tmp_path / place / f"{name}.parquet") for name in STRANGE), NUMBER)
    )

    assert found == list(range(len(STRANGE)))


def test_a_backslash_is_a_letter_to_the_engine(tmp_path: Path) -> None:
    (tmp_path / "back\\slash").mkdir()
    pq.write_table(pa.table({"n": [1]}), tmp_path / "back\\slash" / "a\\b.parquet")

    assert numbers(tmp_path, ParquetFiles((str(tmp_path / "back\\slash" / "a\\b.parquet"),), NUMBER)) == [1]


def test_a_name_that_the_engine_can_not_be_told_of_is_refused(tmp_path: Path) -> None:
    with pytest.raises(QueryError, match="Rename the file or its folder"):
        numbers(tmp_path, ParquetFiles(("/data/back\\slash/d[1].parquet",), NUMBER))
    with pytest.raises(SettingsError, match="Rename that folder"):
        DuckDBEngine(memory_limit="500MB", threads=1, spill_folder=tmp_path / "back\\slash")


@pytest.mark.parametrize("name", STRANGE)
def test_a_table_lies_in_the_folder_that_is_named(tmp_path: Path, name: str) -> None:
    DeltaTable.create(table_address(tmp_path / name / "rows"), NUMBER)

    assert (tmp_path / name / "rows" / "_delta_log").is_dir()
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["my%20rows", "%2F", "back\\slash", "new\nline"])
def test_a_folder_that_delta_would_not_find_is_refused_also_behind_a_link(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / "link").symlink_to(tmp_path / name)

    for folder in (tmp_path / name, tmp_path / "link"):
        with pytest.raises(SettingsError, match="Rename that folder"):
            table_address(folder / "rows")


def test_a_key_in_an_object_store_is_encoded_once() -> None:
    told = remote_table_address("s3://lake/a b/h#x/q?x/ü/[1]/100%/back\\slash")

    assert told == "s3://lake/a%20b/h%23x/q%3Fx/%C3%BC/%5B1%5D/100%25/back%5Cslash"
    with pytest.raises(SettingsError, match="my%20rows"):
        remote_table_address("s3://lake/my%20rows")


@pytest.mark.parametrize("name", [*STRANGE, "my%20x", "back\\slash", "a?mode=ro", "file:x"])
def test_a_database_is_the_file_that_is_named(tmp_path: Path, name: str) -> None:
    with Database(sqlite_address(tmp_path / name / "state.sqlite")) as database, database.read():
        pass

    assert [path.relative_to(tmp_path) for path in tmp_path.rglob("state.sqlite")] == [Path(name) / "state.sqlite"]
