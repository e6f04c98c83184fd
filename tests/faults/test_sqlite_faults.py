"""What the SQLite store says and does when its file is locked, damaged, or in several processes' hands."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from featurestore.adapters.sqlite_online import SqliteOnlineStore
from featurestore.errors import StoreCorrupted, StoreUnavailable
from tests.online_rows import DELAYS, NOON, after, delay_of, delays, filled_to, mark, read_one, write

_WRITER = """
import sys
from featurestore.adapters.sqlite_online import SqliteOnlineStore
from tests.online_rows import DELAYS, after, delays, mark, write
store = SqliteOnlineStore(sys.argv[1])
for step in range(int(sys.argv[2]), 60, 3):
    write(store, DELAYS, delays(("N1", after(step), after(step), float(step))))
    mark(store, DELAYS, after(step))
"""


def test_a_file_locked_by_another_writer_is_unavailable_for_writes_and_still_read(tmp_path: Path) -> None:
    store = SqliteOnlineStore(tmp_path / "online.sqlite", busy_timeout_seconds=0.05)
    write(store, DELAYS, delays(("N1", NOON, NOON, 1.0)))

    with closing(sqlite3.connect(tmp_path / "online.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")

        with pytest.raises(StoreUnavailable, match="locked"):
            write(store, DELAYS, delays(("N1", after(1), NOON, 2.0)))
        assert delay_of(store, "N1") == 1.0


def test_a_store_works_again_after_the_lock_is_gone(tmp_path: Path) -> None:
    store = SqliteOnlineStore(tmp_path / "online.sqlite", busy_timeout_seconds=0.05)
    mark(store, DELAYS, NOON)
    with closing(sqlite3.connect(tmp_path / "online.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable):
            mark(store, DELAYS, after(1))

    mark(store, DELAYS, after(2))

    assert filled_to(store, DELAYS) == after(2)


def test_a_path_that_can_not_be_opened_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    for path in (tmp_path, tmp_path / "file" / "online.sqlite"):
        with pytest.raises(StoreUnavailable, match=str(path)):
            read_one(SqliteOnlineStore(path), DELAYS)


def test_a_file_that_is_no_database_is_corrupted(tmp_path: Path) -> None:
    (tmp_path / "online.sqlite").write_bytes(b"these are not the pages you are looking for" * 100)

    with pytest.raises(StoreCorrupted, match=r"online\.sqlite"):
        read_one(SqliteOnlineStore(tmp_path / "online.sqlite"), DELAYS)


def test_a_damaged_page_is_corrupted(tmp_path: Path) -> None:
    path = tmp_path / "online.sqlite"
    with closing(SqliteOnlineStore(path)) as store:
        write(store, DELAYS, delays(*[(f"N{number}", NOON, NOON, 1.0) for number in range(5_000)]))
    pages = path.read_bytes()
    path.write_bytes(pages[:4096] + b"\xff" * (len(pages) - 4096))

    with pytest.raises(StoreCorrupted):
        read_one(SqliteOnlineStore(path), DELAYS, ("N1",))


def test_processes_that_create_and_write_one_file_at_once_leave_the_newest_row_and_mark(tmp_path: Path) -> None:
    path = tmp_path / "new" / "online.sqlite"
    command = [sys.executable, "-c", _WRITER, str(path)]

    writers = [subprocess.Popen([*command, str(number)]) for number in range(3)]
    exit_codes = [writer.wait(timeout=120) for writer in writers]

    assert exit_codes == [0, 0, 0]
    assert delay_of(SqliteOnlineStore(path), "N1") == 59.0
    assert filled_to(SqliteOnlineStore(path), DELAYS) == after(59)
