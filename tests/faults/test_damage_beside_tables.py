"""Damage to what state has no record of is found by `verify`: pushed rows, the serving log, the online store's rows."""

from __future__ import annotations

import random
import shutil
from contextlib import closing
from pathlib import Path

import pytest
from redis import Redis

from featurestore.adapters.delta_serving_log import DeltaLogShelf
from featurestore.adapters.queued_serving_log import LogBounds, QueuedServingLog
from featurestore.errors import SourceError, StoreCorrupted
from featurestore.operations.damage import Damage, DamageKind
from featurestore.ports.online_store import OnlineTable
from registry.wiring import WiredProject
from sdk.project import Project
from tests.logged_answers import scores
from tests.pushed_project import HOUR, MINUTE, NOON, PushedProject, pushed, pushed_project, visits
from tests.stored_bytes import RedisBytes, SqliteBytes

SHOPS = [f"shop {number}" for number in range(5)]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> PushedProject:
    """Five pushes, one after another, all of them online; and three flushes of a serving log."""
    project = pushed_project(tmp_path_factory.mktemp("beside") / "project")
    with closing(project.wired(NOON)) as wired:
        list(Project(wired).materialize())
        for number, shop in enumerate(SHOPS):
            pushed(wired, "latest", visits((shop, NOON - (number + 1) * MINUTE, number, 0.5)), f"key {number}")
    shelf = DeltaLogShelf(project.folder / ".knownat" / "serving-log")
    for value in (1.0, 2.0, 3.0):
        log = QueuedServingLog(shelf, LogBounds(1000, 3600.0, 1000))
        log.offer(scores(value))
        log.close()
    return project


@pytest.fixture
def project(told: PushedProject, tmp_path: Path) -> PushedProject:
    """A copy to damage."""
    shutil.copytree(told.folder, tmp_path / "project")
    return PushedProject(tmp_path / "project")


def damages(project: PushedProject, *, deep: bool = True) -> tuple[Damage, ...]:
    with project.at(NOON) as opened:
        return opened.verify(deep=deep).damages


def frames(project: PushedProject, pattern: str) -> list[Path]:
    return sorted((project.folder / ".knownat" / "frames").rglob(pattern))


def logged(project: PushedProject, pattern: str) -> list[Path]:
    return sorted((project.folder / ".knownat" / "serving-log").rglob(pattern))


def flip(file: Path, chance: random.Random) -> None:
    content = bytearray(file.read_bytes())
    place = chance.randrange(8 * len(content))
    content[place // 8] ^= 1 << place % 8
    file.write_bytes(content)


def test_what_nobody_has_touched_is_whole(project: PushedProject) -> None:
    with project.at(NOON) as opened:
        report = opened.verify(deep=True)

    assert report.damages == ()
    assert report.online_rows == len(SHOPS)


@pytest.mark.parametrize("version", range(6))
def test_an_emptied_log_entry_of_pushed_rows_is_found(project: PushedProject, version: int) -> None:
    [entry] = frames(project, f"{version:020d}.json")
    entry.write_bytes(b"")

    [found] = damages(project, deep=False)

    assert (found.kind, found.version) == (DamageKind.LOG, version)
    assert "visits" in found.what


@pytest.mark.parametrize("version", range(1, 6))
def test_rows_are_not_read_over_an_emptied_entry(project: PushedProject, version: int) -> None:
    [entry] = frames(project, f"{version:020d}.json")
    entry.write_bytes(b"")

    with (
        closing(project.wired(NOON)) as wired,
        pytest.raises(SourceError, match=f"version {version} of its pushed rows is empty"),
    ):
        pushed(wired, "latest", visits(("new", NOON, 1, 0.5)), "another key")


def test_a_missing_entry_is_found_where_others_follow(project: PushedProject) -> None:
    frames(project, f"{2:020d}.json")[0].unlink()

    found = damages(project, deep=False)

    assert [(one.kind, one.version, one.found) for one in found] == [(DamageKind.LOG, 2, "no entry")]


@pytest.mark.parametrize("seed", range(20))
def test_a_flipped_bit_of_a_log_entry_is_found(project: PushedProject, seed: int) -> None:
    chance = random.Random(seed)
    file = chance.choice([entry for entry in frames(project, "*.json") if entry.name != f"{5:020d}.json"])
    flip(file, chance)

    assert any(one.kind is DamageKind.LOG and f"{one.version:020d}" == file.stem for one in damages(project))


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("place", ["frames", "serving log"])
def test_a_flipped_bit_of_kept_rows_is_found(project: PushedProject, place: str, seed: int) -> None:
    chance = random.Random(seed)
    file = chance.choice((frames if place == "frames" else logged)(project, "*.parquet"))
    flip(file, chance)

    [found] = damages(project)

    assert found.kind is DamageKind.FILE
    assert found.path is not None
    assert file.as_posix().endswith(found.path)


@pytest.mark.parametrize("place", ["frames", "serving log"])
def test_a_missing_file_of_kept_rows_is_found_by_a_look_at_sizes(project: PushedProject, place: str) -> None:
    file = (frames if place == "frames" else logged)(project, "*.parquet")[0]
    file.unlink()

    [found] = damages(project, deep=False)

    assert (found.kind, found.found) == (DamageKind.FILE, "no file")


def test_a_row_of_the_online_store_that_was_changed_is_found_and_not_served(project: PushedProject) -> None:
    stored = SqliteBytes(project.folder / ".knownat" / "online.sqlite")
    _damage(stored, project)

    [found] = damages(project)

    assert (found.kind, found.found) == (DamageKind.ONLINE, "1 that are not, of ('shop 0',)")
    assert damages(project, deep=False) == ()
    with project.at(NOON) as opened, pytest.raises(StoreCorrupted, match="materialize --full"):
        opened.client.online(features=["latest:visitors"], entities=[{"shop": "shop 0"}])


def test_a_changed_row_in_redis_is_found(project: PushedProject, redis_url: str, tmp_path: Path) -> None:
    name = f"test-{tmp_path.name}-{random.SystemRandom().getrandbits(64)}"
    with closing(_in_redis(project, redis_url, name)) as wired, Redis.from_url(redis_url) as redis:
        opened = Project(wired)
        list(opened.materialize())
        assert opened.verify(deep=True).damages == ()
        _damage(RedisBytes(redis, name), project)

        [found] = opened.verify(deep=True).damages

    assert (found.kind, found.what.split("@")[0]) == (DamageKind.ONLINE, "latest")


def _in_redis(project: PushedProject, url: str, name: str) -> WiredProject:
    return project.wired(NOON + HOUR, online={"url": url}, name=name)


def _damage(stored: SqliteBytes | RedisBytes, project: PushedProject) -> None:
    """A bit of the number of visitors of one shop, which makes another number of it."""
    with closing(project.wired(NOON)) as wired:
        current = wired.features.project.catalog.current()
    assert current is not None
    table = OnlineTable.of(current.graph.view("latest"))
    row = bytearray(stored.get(table, ("shop 0",)))
    row[-13] ^= 1
    stored.put(table, ("shop 0",), bytes(row))
