"""What the record of the tables' commits promises, in memory and in a SQL database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from featurestore.adapters.memory_commits import MemoryCommits
from featurestore.adapters.sql_commits import SqlCommits
from featurestore.adapters.sql_database import Database, upgrade
from featurestore.adapters.sql_tables import STATE_MIGRATIONS
from featurestore.ports.commits import AddedFile, RecordedFile, TableChange
from tests.contract.conftest import new_database

CREATED = TableChange(0, '{"protocol":{}}\n', (), ())
FILLED = TableChange(1, '{"add":"é"}\n', (AddedFile("d=1/a", 10, 3, "a" * 64), AddedFile("d=2/b", 20, 5)), ())
REFILLED = TableChange(2, '{"remove":"b"}\n', (AddedFile("d=2/c", 30, 7, "c" * 64),), ("d=2/b",))


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def commits(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MemoryCommits | SqlCommits]:
    if request.param == "memory":
        yield MemoryCommits()
        return
    with Database(new_database(request.param, request, tmp_path)) as database:
        upgrade(database, STATE_MIGRATIONS)
        yield SqlCommits(database)


@pytest.fixture
def filled(commits: MemoryCommits | SqlCommits) -> MemoryCommits | SqlCommits:
    commits.record("t@1", [CREATED])
    commits.record("t@1", [FILLED, REFILLED])
    return commits


def test_of_a_table_that_was_never_recorded_nothing_is_known(commits: MemoryCommits | SqlCommits) -> None:
    assert (commits.last("t@1"), commits.commits("t@1"), commits.files("t@1"), commits.tables()) == (None, (), (), ())


def test_commits_come_back_whole_and_in_order_with_the_rows_there_were(filled: MemoryCommits | SqlCommits) -> None:
    found = [(commit.version, commit.rows, commit.content) for commit in filled.commits("t@1")]

    assert found == [(0, 0, CREATED.content), (1, 8, FILLED.content), (2, 10, REFILLED.content)]
    assert filled.last("t@1") == filled.commits("t@1")[-1]


def test_files_know_the_versions_they_belong_to(filled: MemoryCommits | SqlCommits) -> None:
    files = filled.files("t@1")

    assert files == (
        RecordedFile("d=1/a", 10, 3, "a" * 64, 1, None),
        RecordedFile("d=2/b", 20, 5, None, 1, 2),
        RecordedFile("d=2/c", 30, 7, "c" * 64, 2, None),
    )
    assert [[file.path[-1] for file in files if file.belongs_to(version)] for version in range(4)] == [
        [], ["a", "b"], ["a", "c"], ["a", "c"],
    ]  # fmt: skip


def test_what_two_processes_record_is_recorded_once(filled: MemoryCommits | SqlCommits) -> None:
    before = filled.commits("t@1"), filled.files("t@1")

    filled.record("t@1", [CREATED, FILLED, REFILLED])

    assert (filled.commits("t@1"), filled.files("t@1")) == before


def test_tables_share_nothing(filled: MemoryCommits | SqlCommits) -> None:
    filled.record("t@2", [CREATED, FILLED])
    filled.forget("t@1")

    assert filled.tables() == ("t@2",)
    assert (filled.last("t@1"), filled.files("t@1")) == (None, ())
    assert [file.path for file in filled.files("t@2")] == ["d=1/a", "d=2/b"]


def test_a_digest_is_taken_once(filled: MemoryCommits | SqlCommits) -> None:
    for path in ("d=1/a", "d=2/b", "d=9/unknown"):
        filled.take_digest("t@1", path, "f" * 64)

    assert [file.sha256 for file in filled.files("t@1")] == ["a" * 64, "f" * 64, "c" * 64]


def test_forgotten_files_leave_the_commits_and_the_count_of_rows_alone(filled: MemoryCommits | SqlCommits) -> None:
    filled.forget_files("t@1", ["d=2/b"])
    filled.record("t@1", [TableChange(3, "{}\n", (), ("d=1/a",))])

    assert [file.path for file in filled.files("t@1")] == ["d=1/a", "d=2/c"]
    assert [commit.rows for commit in filled.commits("t@1")] == [0, 8, 10, 7]
