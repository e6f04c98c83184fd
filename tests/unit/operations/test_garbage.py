"""What may go is decided from facts alone: who needs what, what it is, and how old."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from featurestore.operations.garbage import (
    Garbage,
    GarbageKind,
    Kept,
    Need,
    OnlineFacts,
    TableFacts,
    object_garbage,
    object_needs,
    online_garbage,
    table_garbage,
)
from featurestore.ports.commits import RecordedFile
from featurestore.ports.object_usage import ObjectUse
from featurestore.ports.objects import StoredObject
from featurestore.ports.online_store import OnlineTable
from featurestore.ports.table_files import StoredFile

LONG_AGO = datetime(2024, 1, 1, tzinfo=UTC)
HORIZON = LONG_AGO + timedelta(days=1)
LATELY = HORIZON + timedelta(seconds=1)
TABLE = "t@1"


def recorded(name: str, added: int, removed: int | None = None) -> RecordedFile:
    return RecordedFile(name, 10, 1, "0" * 64, added, removed)


def stored(*names: str, at: datetime = LONG_AGO) -> tuple[StoredFile, ...]:
    return tuple(StoredFile(name, 10, at) for name in names)


FACTS = TableFacts(
    TABLE,
    exists=True,
    files=(recorded("a", 1, 2), recorded("b", 2, 3), recorded("c", 3)),
    stored=stored("a", "b", "c"),
    removed_at={2: LONG_AGO, 3: LONG_AGO},
    changed_at=LONG_AGO,
)
APPLIED = Need(TABLE, None, "view:t is applied")


def pin(version: int) -> Need:
    return Need(TABLE, version, f"dataset:d pins version {version}")


def freed(facts: TableFacts, *needs: Need) -> list[tuple[GarbageKind, tuple[str, ...]]]:
    found = table_garbage(facts, needs, HORIZON)
    return [(one.kind, one.paths) for one in found if isinstance(one, Garbage)]


@pytest.mark.parametrize(
    ("needs", "paths"),
    [
        ((APPLIED,), ("a", "b")),
        ((APPLIED, pin(1)), ("b",)),
        ((pin(2),), ("a",)),
        ((pin(3),), ("a", "b")),
        ((pin(1), pin(2)), ()),
        ((pin(0),), ("a", "b")),
    ],
)
def test_files_go_that_no_pinned_version_and_not_the_newest_needs(
    needs: tuple[Need, ...], paths: tuple[str, ...]
) -> None:
    assert freed(FACTS, *needs) == ([(GarbageKind.VERSIONS, paths)] if paths else [])


def test_files_that_were_the_newest_a_moment_ago_stay() -> None:
    assert freed(replace(FACTS, removed_at={2: LONG_AGO, 3: LATELY}), APPLIED) == [(GarbageKind.VERSIONS, ("a",))]


def test_files_whose_commit_is_not_known_stay() -> None:
    assert freed(replace(FACTS, removed_at={}), APPLIED) == []


def test_a_table_goes_that_nobody_needs_unless_it_changed_lately() -> None:
    assert freed(FACTS) == [(GarbageKind.TABLE, ())]
    assert freed(replace(FACTS, changed_at=LATELY)) == []


def test_leftovers_go_unless_they_are_young() -> None:
    facts = replace(FACTS, stored=(*stored("a", "b", "c", "old#1"), *stored("young", at=LATELY)))

    assert freed(facts, APPLIED, pin(1), pin(2)) == [(GarbageKind.LEFTOVERS, ("old#1",))]


def test_of_a_damaged_table_nothing_goes() -> None:
    assert freed(replace(FACTS, damage="expected this, found that")) == []


def test_a_lost_table_is_forgotten_when_nobody_needs_it() -> None:
    lost = replace(FACTS, exists=False, stored=())

    assert freed(lost) == [(GarbageKind.LOST, ())]
    assert freed(lost, APPLIED) == freed(lost, pin(1)) == []


def test_what_stays_says_why_and_how_large_it_is() -> None:
    found = [one for one in table_garbage(FACTS, (APPLIED, pin(1)), HORIZON) if isinstance(one, Kept)]

    assert found == [Kept(TABLE, 20, ("view:t is applied", "dataset:d pins version 1"))]


def test_objects_go_that_nobody_names_and_that_are_old() -> None:
    shelf = [
        StoredObject("aa/1", "aa1", 5, LONG_AGO),
        StoredObject("bb/2", "bb2", 6, LONG_AGO),
        StoredObject("cc/3", "cc3", 7, LATELY),
        StoredObject("dd/4", "dd4", 7, LONG_AGO),
        StoredObject("unfinished/x", None, 8, LONG_AGO),
    ]
    needs = object_needs([("d" * 64, ["aa1"])], [ObjectUse("dd4", 7, "model:m@1")])

    found = list(object_garbage(shelf, needs, HORIZON))

    assert [one.what for one in found if isinstance(one, Garbage)] == ["bb/2", "unfinished/x"]
    assert [one.because for one in found if isinstance(one, Kept)][::2] == [("dataset:dddddddddddd",), ("model:m@1",)]


def test_online_tables_go_that_nobody_asks_for() -> None:
    table = OnlineTable("x", (), ())
    filled = [OnlineFacts("asked", table, LONG_AGO), OnlineFacts("unknown", None, LONG_AGO),
              OnlineFacts("young", table, LATELY), OnlineFacts("gone", table, LONG_AGO)]  # fmt: skip

    found = list(online_garbage(filled, {"asked": "view:asked is applied"}, HORIZON))

    assert [one.what for one in found if isinstance(one, Garbage)] == ["gone"]
