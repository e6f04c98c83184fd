"""What happens when a table's log is not what was committed: told before anything is read or written."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from featurestore.adapters.delta_offline import DeltaOfflineStore
from featurestore.adapters.sql_commits import SqlCommits
from featurestore.adapters.sql_database import Database
from featurestore.errors import DatasetGone, KnownatError, TableDamaged
from featurestore.intervals import Interval
from featurestore.operations import fill_chunks as filling
from featurestore.ports.engine import DataFile
from sdk import open_project
from sdk.project import Project
from tests.small_project import NOW, SPINE, SmallProject, small_project

VIEW = "shop_facts"


@pytest.fixture
def small(tmp_path: Path) -> SmallProject:
    return small_project(tmp_path / "project")


@pytest.fixture
def project(small: SmallProject) -> Iterator[Project]:
    """Applied: each table has a version for its creation and one for each of two chunks."""
    with open_project(small.folder) as project:
        list(project.apply())
        yield project


def log(small: SmallProject, view: str = VIEW) -> list[Path]:
    """The log entries of the view's table, oldest first."""
    return sorted((small.folder / ".knownat" / "tables" / view).glob("*/_delta_log/*.json"))


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def remove(entries: list[Path]) -> None:
    for entry in entries:
        entry.unlink()


DAMAGES: dict[str, Callable[[list[Path]], object]] = {
    "the last entry is empty": lambda entries: entries[-1].write_bytes(b""),
    "the last entry is cut": lambda entries: cut(entries[-1]),
    "the last entry is gone": lambda entries: entries[-1].unlink(),
    "two entries are gone": lambda entries: remove(entries[-2:]),
    "an entry between is gone": lambda entries: entries[1].unlink(),
    "an entry between is empty": lambda entries: entries[1].write_bytes(b""),
    "the last entry is another": lambda entries: entries[-1].write_bytes(entries[-2].read_bytes()),
}

USES: dict[str, Callable[[Project], object]] = {
    "pulling": lambda project: project.client.training_set(SPINE, service="shops_v1"),
    "filling": lambda project: list(project.backfill(views=[VIEW], recompute=True)),
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_log_is_told_before_anything_is_read_or_written(
    project: Project, small: SmallProject, damage: str, use: str
) -> None:
    DAMAGES[damage](log(small))
    before = {entry: entry.read_bytes() for entry in log(small)}

    with pytest.raises(TableDamaged, match=f"The table {VIEW}@.* is damaged: expected .*, found .*verify --repair"):
        USES[use](project)
    assert {entry: entry.read_bytes() for entry in log(small)} == before


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_log_is_put_back_to_the_byte(project: Project, small: SmallProject, damage: str) -> None:
    before = {entry: entry.read_bytes() for entry in log(small)}
    DAMAGES[damage](log(small))

    list(project.repair())

    assert {entry: entry.read_bytes() for entry in log(small)} == before
    assert project.verify(deep=True).damages == ()
    assert project.client.training_set(SPINE, service="shops_v1").rows == SPINE.num_rows


def test_materializing_from_a_damaged_log_is_refused(project: Project, small: SmallProject) -> None:
    log(small)[-1].write_bytes(b"")

    with pytest.raises(TableDamaged):
        list(project.materialize(views=[VIEW]))


def test_a_fill_brings_missing_files_back(project: Project, small: SmallProject) -> None:
    before = project.client.training_set(SPINE, service="shops_v1").sha256
    for file in (small.folder / ".knownat" / "tables" / VIEW).glob("*/event_day=*/*.parquet"):
        file.unlink()

    with pytest.raises(DatasetGone, match="missing"):
        project.client.training_set(SPINE, service="shops_v1", label="late")
    list(project.backfill(views=[VIEW], recompute=True))

    assert project.client.training_set(SPINE, service="shops_v1").sha256 == before


class Stopped(KnownatError):
    """The process is killed here."""


def test_a_writer_that_was_killed_between_commit_and_record_is_resumed(
    project: Project, small: SmallProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = project.client.training_set(SPINE, service="shops_v1").sha256
    with monkeypatch.context() as killing:
        killing.setattr(filling, "record_commits", stop)
        with pytest.raises(Stopped):
            list(project.backfill(views=[VIEW], recompute=True))
    entries = len(log(small))

    list(project.backfill(views=[VIEW], recompute=True))

    assert entries == 4  # the log is ahead of state, which is no damage
    assert project.verify(deep=True).damages == ()
    assert project.client.training_set(SPINE, service="shops_v1").sha256 == expected


def stop(*_: object) -> None:
    raise Stopped("killed")


def test_what_a_killed_writer_committed_is_recorded_by_whoever_pulls_it(
    project: Project, small: SmallProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as killing:
        killing.setattr(filling, "record_commits", stop)
        with pytest.raises(Stopped):
            list(project.backfill(views=[VIEW], recompute=True))

    project.client.training_set(SPINE, service="shops_v1")

    with Database(f"sqlite:///{small.folder}/.knownat/state.sqlite") as database:
        table = next(table for table in SqlCommits(database).tables() if table.startswith(VIEW))
        assert [commit.version for commit in SqlCommits(database).commits(table)] == [0, 1, 2, 3]
        assert all(file.sha256 for file in SqlCommits(database).files(table))


def test_an_entry_that_was_never_finished_is_removed_by_repairing(project: Project, small: SmallProject) -> None:
    torn = log(small)[-1].with_name(f"{3:020d}.json")
    torn.write_bytes(b"")

    with pytest.raises(TableDamaged, match="never recorded as done"):
        list(project.backfill(views=[VIEW], recompute=True))
    (named,) = project.verify().damages
    restored = list(project.repair())
    list(project.backfill(views=[VIEW], recompute=True))

    assert (named.version, "never recorded as done" in named.remedy) == (3, True)
    assert [(one.version, one.removed) for one in restored] == [(3, True)]
    assert project.verify(deep=True).damages == ()


def test_a_commit_of_another_process_while_a_table_is_opened_is_no_damage(
    project: Project, small: SmallProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process fills the table in the very moment between what this one asks of state and of the log."""
    last = SqlCommits.last
    others: list[int] = []

    def last_and_then_another_commit(commits: SqlCommits, table: str) -> object:
        found = last(commits, table)
        if table.startswith(VIEW) and not others:
            others.append(1)
            with open_project(small.folder) as other:
                list(other.backfill(views=[VIEW], recompute=True))
        return found

    monkeypatch.setattr(SqlCommits, "last", last_and_then_another_commit)

    pulled = project.client.training_set(SPINE, service="shops_v1")

    pinned = {table["view"]: table["version"] for table in pulled.manifest["tables"]}
    assert (others, pinned[VIEW]) == ([1], 4)


def test_a_table_that_was_lost_is_filled_anew_and_what_was_pinned_is_named(
    project: Project, small: SmallProject
) -> None:
    dataset = project.client.training_set(SPINE, service="shops_v1").id
    log(small)[0].parent.parent.rename(small.folder / "elsewhere")
    lost = project.verify().damages
    list(project.apply())
    replaced = project.verify(deep=True).damages

    for damages, found in ((lost, "no table at all"), (replaced, "a table that was filled anew since")):
        assert [(one.found, one.datasets) for one in damages] == [(found, (dataset,))]
    with pytest.raises(DatasetGone, match="filled anew since"):
        project.client.rebuild(dataset)
    with pytest.raises(DatasetGone, match=f"datasets delete {dataset[:12]}"):
        project.client.training_set(SPINE, service="shops_v1")


def make_old(state: Path) -> None:
    """As the first migration had left it: no commits, manifests that know nothing of them, no identity."""
    for mark in state.parent.rglob(".project"):
        mark.unlink()
    with closing(sqlite3.connect(state.parent / "online.sqlite")) as store:
        store.execute("DROP TABLE IF EXISTS project")
    with closing(sqlite3.connect(state)) as database:
        database.executescript(
            "DROP TABLE table_commit; DROP TABLE data_file; ALTER TABLE filled_interval DROP COLUMN parts; "
            "ALTER TABLE filled_interval DROP COLUMN day_rows; ALTER TABLE filled_interval DROP COLUMN held; "
            "DROP TABLE publication; DROP TABLE push_span; DROP TABLE push; DROP TABLE project_identity; "
            "ALTER TABLE materialization DROP COLUMN is_dated_by_data; "
            "ALTER TABLE materialization DROP COLUMN unchanging; ALTER TABLE filled_interval DROP COLUMN settled"
        )
        database.execute("UPDATE featurestore_version SET version_num = '0001'")
        for dataset, manifest in database.execute("SELECT id, manifest FROM dataset").fetchall():
            older = re.sub(r'"commit":"\w+",|"served":null,', "", manifest)
            assert older != manifest
            database.execute("UPDATE dataset SET manifest = ? WHERE id = ?", (older, dataset))
        database.commit()


def test_a_project_that_was_filled_before_commits_were_recorded_goes_on(project: Project, small: SmallProject) -> None:
    before = project.client.training_set(SPINE, service="shops_v1")
    project.close()
    make_old(small.folder / ".knownat" / "state.sqlite")

    with open_project(small.folder) as again:
        list(again.backfill(recompute=True))
        first = again.verify(deep=True)
        second = again.verify(deep=True)
        rebuilt = again.client.rebuild(before.id)

    assert (first.damages, second.damages, rebuilt.sha256) == ((), (), before.sha256)
    assert (first.digests_taken > 0, second.digests_taken) == (True, 0)


def test_an_old_table_whose_log_went_backwards_is_damaged(project: Project, small: SmallProject) -> None:
    with Database(f"sqlite:///{small.folder}/.knownat/state.sqlite") as database:
        commits = SqlCommits(database)
        for table in commits.tables():
            commits.forget(table)
    log(small)[-1].unlink()

    with pytest.raises(TableDamaged, match="expected log entries up to version 2, found none for version 2"):
        project.client.training_set(SPINE, service="shops_v1")


def test_the_slower_of_two_writers_still_fails_without_a_trace(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = DeltaOfflineStore.replace
    beaten: list[int] = []

    def beaten_to_it(
        store: DeltaOfflineStore, table: str, days: Interval, files: tuple[DataFile, ...], *, based_on: int
    ) -> int:
        if not beaten:
            beaten.append(commit(store, table, replace(days), files[:1], based_on=based_on))
        return commit(store, table, days, files, based_on=based_on)

    monkeypatch.setattr(DeltaOfflineStore, "replace", beaten_to_it)

    with pytest.raises(KnownatError, match="Another process changed the table"):
        list(project.backfill(views=[VIEW], start=NOW - timedelta(days=3), recompute=True))
    assert beaten == [3]
    assert project.verify(deep=True).damages == ()
