"""A push that is killed, refused by the online store, or one of many at once: nothing is lost, and nothing is doubled.

`KNOWNAT_KILLS=200 pytest tests/faults/test_pushes.py` kills a push 200 times more.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sdk.project import Project
from tests.faults.failpoints import ANY, Fault
from tests.faults.pushing import Ended, Job, run_jobs
from tests.pushed_project import HOUR, MINUTE, MOMENT, NOON, PushedProject, pushed, pushed_project, visits
from tests.redis_server import free_port, running_redis

DEEP = int(os.environ.get("KNOWNAT_KILLS", "0"))
FEW = 2
PUSH = Job(NOON + 10 * MINUTE, ("new",))
CALLS = [
    Fault("frames.append"),
    Fault("frames.append", after=True),
    Fault("delta.commit"),
    Fault("delta.commit", after=True),
    Fault("os.fsync", 3),
    Fault("engine.write"),
    Fault("tables.amend"),
    Fault("delta.commit", 2, after=True),
    Fault("tables.amend", after=True),
    Fault("sql.commit"),
    Fault("store.begin"),
    Fault("store.write"),
    Fault("store.write", after=True),
]


@dataclass(frozen=True)
class Outcome:
    """Every row of the view's table, what is online, and what a training set holds."""

    rows: tuple[str, ...]
    online: object
    trained: object


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> PushedProject:
    """With one row, online. Copy it; never change it."""
    return _applied(tmp_path_factory.mktemp("pushes") / "project", {})


def _applied(folder: Path, settings: dict[str, object]) -> PushedProject:
    project = pushed_project(folder)
    with project.at(NOON - HOUR, **settings) as opened:
        rows = visits(("alma", NOON - 2 * HOUR, 1, 0.9))
        opened.push("visits", rows.append_column("seen", rows["at"]), key="history")
        list(opened.backfill(views=["latest"]))
        list(opened.materialize(views=["latest"]))
    return project


def copied(project: PushedProject, folder: Path) -> PushedProject:
    return PushedProject(Path(shutil.copytree(project.folder, folder)))


def outcome(opened: Project, keys: list[str]) -> Outcome:
    spine = pa.table({"shop": keys, "event_timestamp": pa.array([PUSH.now] * len(keys), MOMENT)})
    features = opened._wired.features
    current = features.project.catalog.current()
    assert current is not None
    files = features.offline.tables.snapshot(current.graph.view("latest").table).files.paths
    rows = [repr(row) for file in files for row in pq.read_table(file, partitioning=None).to_pylist()]
    entities: list[dict[str, object]] = [{"shop": key} for key in keys]
    assert opened.verify(deep=True).damages == ()
    return Outcome(
        tuple(sorted(rows)),
        opened.client.online(features=["latest:*"], entities=entities).to_dicts(),
        opened.client.training_set(spine, features=["latest:*"]).to_arrow().to_pylist(),
    )


@pytest.fixture(scope="module")
def whole(applied: PushedProject, tmp_path_factory: pytest.TempPathFactory) -> tuple[Ended, Outcome]:
    """A push that nobody interrupted."""
    project = copied(applied, tmp_path_factory.mktemp("whole") / "project")
    [ended] = run_jobs(project.folder, PUSH)
    with project.at(PUSH.now) as opened:
        return ended, outcome(opened, ["alma", "new"])


def _killed_and_repeated(project: PushedProject, fault: Fault, expected: Outcome) -> None:
    [killed] = run_jobs(project.folder, Job(PUSH.now, PUSH.keys, fault=fault))
    assert killed.code == -signal.SIGKILL, fault
    with project.at(PUSH.now) as opened:
        between = outcome(opened, ["alma", "new"])
    [again] = run_jobs(project.folder, PUSH)
    with project.at(PUSH.now) as opened:
        after = outcome(opened, ["alma", "new"])

    assert (again.code, again.said) == (0, (("new", "now"),)), fault
    assert after == expected, fault
    assert set(between.rows) <= set(expected.rows), fault


@pytest.mark.parametrize("fault", CALLS, ids=str)
def test_a_killed_push_is_finished_by_pushing_again(
    applied: PushedProject, whole: tuple[Ended, Outcome], tmp_path: Path, fault: Fault
) -> None:
    _killed_and_repeated(copied(applied, tmp_path / "project"), fault, whole[1])


def test_a_push_killed_at_any_of_its_calls_is_finished_by_pushing_again(
    applied: PushedProject, whole: tuple[Ended, Outcome], tmp_path: Path
) -> None:
    chance = random.Random(None if DEEP else "push")
    for number in range(DEEP or FEW):
        fault = Fault(ANY, chance.randint(1, len(whole[0].calls)), after=chance.random() < 0.5)
        _killed_and_repeated(copied(applied, tmp_path / str(number)), fault, whole[1])
        shutil.rmtree(tmp_path / str(number))


@pytest.mark.parametrize("fault", [Fault("delta.commit", after=True), Fault("tables.amend", after=True)], ids=str)
def test_what_is_durable_comes_online_with_the_next_run_even_if_nobody_pushes_again(
    applied: PushedProject, whole: tuple[Ended, Outcome], tmp_path: Path, fault: Fault
) -> None:
    project = copied(applied, tmp_path / "project")
    run_jobs(project.folder, Job(PUSH.now, PUSH.keys, fault=fault))
    with project.at(PUSH.now + HOUR) as opened:
        list(opened.run_due(views=["latest"]))

        assert outcome(opened, ["alma", "new"]) == whole[1]


def test_pushes_of_two_processes_and_fills_at_the_same_time_lose_nothing(
    applied: PushedProject, tmp_path: Path
) -> None:
    project = copied(applied, tmp_path / "project")
    first, second = (tuple(f"{process} {number}" for number in range(10)) for process in ("first", "second"))
    ended = run_jobs(
        project.folder,
        Job(PUSH.now, (*first, "both")),
        Job(PUSH.now, ("both", *second)),
        Job(PUSH.now + HOUR, ("run",) * 4, runs_due=True),
    )
    keys = [*first, *second, "both"]

    assert [one.code for one in ended] == [0, 0, 0]
    said = [one for process in ended[:2] for one in process.said]
    assert {key: online for key, online in said if key != "both"} == dict.fromkeys((*first, *second), "now")
    assert "Refused" not in str(ended[2].said)
    with project.at(PUSH.now + HOUR) as opened:
        found = outcome(opened, keys)
        assert len({row for row in found.rows if "alma" not in row}) == len(keys)
        assert [row["latest__mood"] for row in found.online] == [0.5] * len(keys)  # type: ignore[attr-defined]
        assert [row["latest__mood"] for row in found.trained] == [0.5] * len(keys)  # type: ignore[attr-defined]


def test_without_the_online_store_rows_are_durable_and_the_same_push_brings_them_later(tmp_path: Path) -> None:
    port = free_port()
    settings: dict[str, object] = {"online": {"url": f"redis://127.0.0.1:{port}"}}
    rows = visits(("alma", NOON, 7, 0.5))
    with running_redis(port=port):
        project = _applied(tmp_path / "project", settings)
    with project.at(PUSH.now, **settings) as opened:
        down = pushed(opened._wired, "latest", rows, "key")
        spine = pa.table({"shop": ["alma"], "event_timestamp": pa.array([PUSH.now], MOMENT)})
        trained = opened.client.training_set(spine, features=["latest:visitors"]).to_arrow()
        with running_redis(port=port):
            empty = pushed(opened._wired, "latest", rows, "key")
            list(opened.materialize(views=["latest"]))
            again = pushed(opened._wired, "latest", rows, "key")
            [found] = opened.client.online(features=["latest:visitors"], entities=[{"shop": "alma"}]).to_dicts()

    assert (down.online.value, down.is_new) == ("unavailable", True)
    assert "durable and not online yet" in str(down.reason)
    assert trained["latest__visitors"].to_pylist() == [7]
    assert (empty.online.value, again.online.value, again.is_new) == ("not_materialized", "now", False)
    assert found == {"latest__visitors": 7}


def test_with_a_damaged_online_store_rows_are_durable_and_the_answer_says_what_to_do(
    applied: PushedProject, tmp_path: Path
) -> None:
    project = copied(applied, tmp_path / "project")
    (project.folder / ".knownat" / "damaged.sqlite").write_bytes(b"no database" * 1_000)
    with project.at(PUSH.now, online={"path": ".knownat/damaged.sqlite"}) as opened:
        refused = pushed(opened._wired, "latest", visits(("alma", NOON, 7, 0.5)), "key")

    assert (refused.online.value, refused.is_new) == ("unavailable", True)
    assert "is not an intact SQLite database" in str(refused.reason)
