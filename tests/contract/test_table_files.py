"""What the log and the files of an offline table promise to whoever looks after them."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from featurestore.adapters.delta_log import DeltaLog
from featurestore.adapters.delta_offline import DeltaOfflineStore
from featurestore.adapters.duckdb_engine import DuckDBEngine
from featurestore.adapters.local_table_files import LocalTableFiles
from featurestore.errors import TableDamaged
from featurestore.ports.commits import AddedFile
from tests.contract.test_offline_store import SCHEMA, TABLE, days, put, written


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A table that was filled twice."""
    engine = DuckDBEngine(memory_limit="200MB", threads=1, spill_folder=tmp_path / "spill")
    store = DeltaOfflineStore(tmp_path / "tables")
    store.create(TABLE, SCHEMA)
    put(engine, store, days(1, 2), {1: "abc", 2: "d"})
    put(engine, store, days(2, 2), {2: "xy"})
    written(engine, store, {3: "never committed"})
    engine.close()
    return tmp_path / "tables"


def entry(folder: Path, version: int) -> Path:
    return folder / "delays" / "0123abcd" / "_delta_log" / f"{version:020d}.json"


def test_a_change_names_its_files_with_rows_and_sizes(folder: Path) -> None:
    changes = [DeltaLog(folder).change(TABLE, version) for version in DeltaLog(folder).versions(TABLE)]
    stored = {file.path: file.size for file in LocalTableFiles(folder).stored(TABLE)}

    assert [change.version for change in changes] == [0, 1, 2]
    assert [[file.rows for file in change.added] for change in changes] == [[], [3, 1], [2]]
    assert changes[2].removed == (changes[1].added[1].path,)
    assert all(file == AddedFile(file.path, stored[file.path], file.rows) for file in changes[1].added)
    assert changes[1].content == entry(folder, 1).read_text()


@pytest.mark.parametrize("content", [b"", b"\n", b'{"add":{"pa', b'{"add":{}}\n', b"\xff\xfe", b"[]\n7\n"])
def test_an_entry_that_is_not_whole_is_damage(folder: Path, content: bytes) -> None:
    entry(folder, 2).write_bytes(content)
    found = DeltaLog(folder).entry(TABLE, 2)

    assert found is not None
    assert found.content == content
    with pytest.raises(TableDamaged, match="expected a log entry for version 2, found"):
        DeltaLog(folder).change(TABLE, 2)


def test_an_entry_that_is_not_there_is_none_and_no_table_has_no_versions(folder: Path) -> None:
    assert DeltaLog(folder).entry(TABLE, 3) is None
    assert DeltaLog(folder).versions("delays@ffffffff") == ()


def test_an_entry_is_put_back_to_the_byte_and_removed(folder: Path) -> None:
    content = entry(folder, 2).read_text()
    entry(folder, 2).unlink()

    DeltaLog(folder).restore(TABLE, 2, content)
    DeltaLog(folder).discard(TABLE, 1)
    DeltaLog(folder).discard(TABLE, 1)

    assert entry(folder, 2).read_text() == content
    assert DeltaLog(folder).versions(TABLE) == (0, 2)


def test_every_file_but_the_logs_own_is_listed(folder: Path) -> None:
    (folder / "delays" / "0123abcd" / "event_day=2024-03-01" / "killed.parquet#1").write_bytes(b"half")
    (entry(folder, 0).parent / "_commit_1.json.tmp").write_bytes(b"{")
    started = datetime(2024, 1, 1, tzinfo=UTC)

    stored = LocalTableFiles(folder).stored(TABLE)

    assert sorted(Path(file.path).suffix for file in stored) == [*[".parquet"] * 4, ".parquet#1", ".tmp"]
    assert all(file.modified_at > started for file in stored)
    assert (stored[0].path, stored[0].size) == ("_delta_log/_commit_1.json.tmp", 1)


def test_a_digest_is_of_the_files_bytes_and_none_without_a_file(folder: Path) -> None:
    path = LocalTableFiles(folder).stored(TABLE)[0].path
    wanted = hashlib.sha256((folder / "delays" / "0123abcd" / path).read_bytes()).hexdigest()

    assert LocalTableFiles(folder).digest(TABLE, path) == wanted
    assert LocalTableFiles(folder).digest(TABLE, "event_day=2024-03-01/none.parquet") is None


def test_removed_files_are_gone_and_others_stay(folder: Path) -> None:
    files = LocalTableFiles(folder)
    first, *others = files.stored(TABLE)

    files.remove(TABLE, [first.path])
    files.remove(TABLE, [first.path])

    assert list(files.stored(TABLE)) == others


def test_a_dropped_table_is_gone_and_others_stay(folder: Path) -> None:
    files = LocalTableFiles(folder)
    DeltaOfflineStore(folder).create("delays@ffffffff", SCHEMA)

    files.drop(TABLE)
    files.drop(TABLE)

    assert files.tables() == ("delays@ffffffff",)
    assert not DeltaOfflineStore(folder).exists(TABLE)
    assert json.loads((folder / "delays/ffffffff/_delta_log" / f"{0:020d}.json").read_text().splitlines()[0])


def test_a_drop_that_was_interrupted_can_be_finished(folder: Path) -> None:
    (folder / "delays" / "0123abcd").rename(folder / "delays" / "0123abcd.dropped-1")
    files = LocalTableFiles(folder)

    left = files.tables()
    files.drop(left[0])

    assert left == ("delays@0123abcd.dropped-1",)
    assert files.tables() == ()
