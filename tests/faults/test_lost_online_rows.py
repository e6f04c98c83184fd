"""An online store that is emptied just before a run writes what changed, or put back to what it was a while ago: the
run copies what was lost, or marks nothing."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from featurestore.errors import ConcurrentChange, NotMaterialized
from featurestore.operations.materialize import Materialized, MaterializeRequest, materialize
from featurestore.ports.online_store import Fill, FillRequest, OnlineStore
from registry.wiring import WiredProject
from tests.pushed_project import HOUR, NOON, PushedProject, pushed_project, visits


class EmptiedAtFirst:
    """A store that somebody empties just before a writer begins."""

    def __init__(self, store: OnlineStore) -> None:
        self._store = store
        self.read, self.sample_keys, self.all_keys = store.read, store.sample_keys, store.all_keys
        self.write, self.finish, self.drop = store.write, store.finish, store.drop

    def begin(self, request: FillRequest) -> Fill:
        self._store.drop(request.table)
        return self._store.begin(request)


@pytest.fixture
def project(tmp_path: Path) -> PushedProject:
    """With one row of an hour ago, filled and online."""
    project = pushed_project(tmp_path)
    with project.at(NOON - HOUR) as opened:
        rows = visits(("alma", NOON - 2 * HOUR, 1, 0.9))
        opened.push("visits", rows.append_column("seen", rows["at"]), key="history")
        list(opened.backfill(views=["latest"]))
        list(opened.materialize(views=["latest"]))
    return project


def copy_database(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as one, closing(sqlite3.connect(target)) as other:
        one.backup(other)


def run(wired: WiredProject, store: OnlineStore) -> Materialized:
    features = wired.features
    current = features.project.catalog.current()
    assert current is not None
    request = MaterializeRequest(current.graph.view("latest"), features.clock())
    return materialize(request, features.offline, replace(features.online, store=store), now=features.clock())


def test_a_run_that_goes_on_from_rows_that_are_gone_marks_nothing(project: PushedProject) -> None:
    with project.at(NOON) as opened:
        store = opened._wired.features.online.store
        with pytest.raises(ConcurrentChange, match="run `knownat materialize` again"):
            run(opened._wired, EmptiedAtFirst(store))

        with pytest.raises(NotMaterialized):
            opened.client.online(features=["latest:visitors"], entities=[{"shop": "alma"}])
        assert run(opened._wired, store).written == 1
        [row] = opened.client.online(features=["latest:visitors"], entities=[{"shop": "alma"}]).to_dicts()
        assert tuple(row.values()) == (1,)


def test_a_store_that_was_put_back_gets_what_came_late_since(project: PushedProject, tmp_path: Path) -> None:
    stored, asked = project.folder / ".knownat" / "online.sqlite", [{"shop": "bert"}]
    copy_database(stored, tmp_path / "backup.sqlite")
    with project.at(NOON) as opened:
        rows = visits(("bert", NOON - 30 * HOUR, 5, 0.9))
        opened.push("visits", rows.append_column("seen", rows["at"]), key="late")
        list(opened.run_due())
        [before] = opened.client.online(features=["latest:visitors"], entities=asked).to_dicts()
    copy_database(tmp_path / "backup.sqlite", stored)
    with project.at(NOON + HOUR) as opened:
        list(opened.run_due())
        [after] = opened.client.online(features=["latest:visitors"], entities=asked).to_dicts()

    assert tuple(before.values()) == (5,)
    assert after == before
