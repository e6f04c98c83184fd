"""A killed process loses nothing that it reported, and the same command finishes its work as if it had not been killed.

`KNOWNAT_KILLS=200 pytest tests/faults/test_kills.py` kills each step of the story 200 times more.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import pytest

from featurestore.intervals import IntervalSet
from registry.wiring import open_project
from tests.faults.failpoints import ANY, Fault
from tests.faults.outcome import Outcome, outcome
from tests.faults.story import STORY, Ran, Way, run_step, settings_of
from tests.redis_server import RedisServer, running_redis
from tests.small_project import small_project

DEEP = int(os.environ.get("KNOWNAT_KILLS", "0"))
FEW = 1

NAMED = [
    ("apply", Fault("sql.statement", 5)),
    ("apply", Fault("tables.create")),
    ("apply", Fault("coverage.forget", after=True)),
    ("apply", Fault("engine.write", 2)),
    ("apply", Fault("tables.replace")),
    ("apply", Fault("tables.replace", 2, after=True)),
    ("apply", Fault("delta.commit")),
    ("apply", Fault("delta.commit", 2, after=True)),
    ("apply", Fault("os.fsync", 3)),
    ("apply", Fault("coverage.record")),
    ("apply", Fault("sql.commit", 6)),
    ("apply", Fault("catalog.promote")),
    ("apply", Fault("catalog.promote", after=True)),
    ("apply", Fault("store.write", 2)),
    ("pull", Fault("objects.put")),
    ("pull", Fault("file.rename", after=True)),
    ("pull", Fault("objects.put", 2, after=True)),
    ("pull", Fault("datasets.put")),
    ("register", Fault("objects.put", 2, after=True)),
    ("register", Fault("models.register", 2)),
    ("register", Fault("sql.commit")),
    ("register", Fault("models.register", after=True)),
    ("register", Fault("aliases.move")),
    ("advance", Fault("store.write")),
    ("advance", Fault("store.write", after=True)),
    ("advance", Fault("store.finish", 2)),
    ("advance", Fault("store.finish", after=True)),
    ("advance", Fault("publications.record")),
    ("advance", Fault("publications.record", 2, after=True)),
    ("advance", Fault("progress.record")),
    ("change", Fault("tables.replace", 2, after=True)),
    ("change", Fault("store.finish", after=True)),
    ("change", Fault("catalog.promote")),
]
REDIS = [
    ("apply", Fault("redis.send", 6)),
    ("apply", Fault("store.write", 2, after=True)),
    ("advance", Fault("redis.send", 8, after=True)),
    ("advance", Fault("store.finish", 2)),
    ("change", Fault("progress.record")),
]


@dataclass(frozen=True)
class Chapter:
    """A step's project before it, and what an uninterrupted run made of it."""

    name: str
    before: Path
    stored: dict[bytes, bytes]
    whole: Ran
    seconds: float
    outcome: Outcome


class Store:
    """Where online rows are: in the project's folder, or in a Redis that is brought back to what it was."""

    def __init__(self, server: RedisServer | None) -> None:
        self._server = server
        self.settings: dict[str, object] = {"online": {"url": server.url}} if server else {}

    def dump(self) -> dict[bytes, bytes]:
        if self._server is None:
            return {}
        with self._server.client() as client:
            return {key: client.dump(key) or b"" for key in client.scan_iter()}

    def restore(self, rows: dict[bytes, bytes]) -> None:
        if self._server is None:
            return
        with self._server.client() as client:
            client.flushall()
            for key, value in rows.items():
                client.restore(key, 0, value)


@dataclass(frozen=True)
class Told:
    """The story told once without a fault."""

    store: Store
    chapters: dict[str, Chapter]


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Told:
    return _told(tmp_path_factory.mktemp("embedded"), Store(None))


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    with running_redis() as server:
        yield _told(tmp_path_factory.mktemp("redis"), Store(server))


def _told(folder: Path, store: Store) -> Told:
    project = small_project(folder / "project")
    chapters = {}
    for name, step in STORY.items():
        step.prepare(project)
        before = shutil.copytree(project.folder, folder / name)
        stored = store.dump()
        start = monotonic()
        whole = run_step(name, project.folder, Way(settings=store.settings))
        seconds = monotonic() - start
        assert (whole.code, whole.error) == (0, None)
        chapters[name] = Chapter(name, before, stored, whole, seconds, outcome(project.folder, step, store.settings))
    return Told(store, chapters)


def _killed_and_repeated(told: Told, name: str, folder: Path, way: Way) -> Ran:
    """Kill the step, see what it left, run it again to its end, and compare."""
    chapter, step = told.chapters[name], STORY[name]
    shutil.copytree(chapter.before, folder)
    told.store.restore(chapter.stored)
    killed = run_step(name, folder, way)
    _check_durable(folder, told, chapter, killed)
    if name != "apply":  # before it is done nobody can read anything
        _check_readers(folder, told, chapter)

    again = run_step(name, folder, Way(settings=told.store.settings))

    assert (again.code, again.error) == (0, None), way
    assert killed.writes + again.writes <= chapter.whole.writes + 1, f"{way}: more than one chunk was done again"
    assert outcome(folder, step, told.store.settings) == chapter.outcome, way
    return killed


def _check_durable(folder: Path, told: Told, chapter: Chapter, killed: Ran) -> None:
    """Each chunk that was reported is recorded, whatever came after."""
    tables = {table.partition("@")[0]: table for table in chapter.outcome.covered}
    wired = open_project(folder, settings_of(STORY[chapter.name], told.store.settings))
    try:
        for view, interval in killed.filled:
            recorded = wired.features.offline.coverage.coverage(tables[view]).covered
            assert not IntervalSet((interval,)) - recorded, f"{view}: {interval} was reported as filled, and is not"
    finally:
        wired.close()


def _check_readers(folder: Path, told: Told, chapter: Chapter) -> None:
    """Whoever reads between the kill and the repetition is answered, and of what was made all is there or nothing."""
    left, whole = outcome(folder, STORY[chapter.name], told.store.settings), chapter.outcome
    assert left.datasets == whole.datasets[: len(left.datasets)]
    assert left.models == whole.models[: len(left.models)]
    if chapter.name in ("pull", "register"):
        assert (left.rows, left.online) == (whole.rows, whole.online)


@pytest.mark.parametrize(("name", "fault"), NAMED, ids=[f"{name}: {fault}" for name, fault in NAMED])
def test_a_killed_step_is_finished_by_running_it_again(embedded: Told, tmp_path: Path, name: str, fault: Fault) -> None:
    killed = _killed_and_repeated(embedded, name, tmp_path / "project", Way(fault))

    assert killed.code == -signal.SIGKILL


@pytest.mark.parametrize(("name", "fault"), REDIS, ids=[f"{name}: {fault}" for name, fault in REDIS])
def test_a_killed_step_on_redis_is_finished_by_running_it_again(
    redis: Told, tmp_path: Path, name: str, fault: Fault
) -> None:
    killed = _killed_and_repeated(redis, name, tmp_path / "project", Way(fault, settings=redis.store.settings))

    assert killed.code == -signal.SIGKILL


def _killed_at_calls_by_chance(told: Told, name: str, folder: Path) -> None:
    chance = random.Random(None if DEEP else name)
    for number in range(DEEP or FEW):
        fault = Fault(ANY, chance.randint(1, len(told.chapters[name].whole.calls)), after=chance.random() < 0.5)
        way = Way(fault, settings=told.store.settings)
        killed = _killed_and_repeated(told, name, folder / str(number), way)
        assert killed.code == -signal.SIGKILL, fault
        shutil.rmtree(folder / str(number))


@pytest.mark.parametrize("name", STORY)
def test_a_step_killed_at_any_of_its_calls_is_finished_by_running_it_again(
    embedded: Told, tmp_path: Path, name: str
) -> None:
    _killed_at_calls_by_chance(embedded, name, tmp_path)


@pytest.mark.parametrize("name", ["apply", "advance", "change"])
def test_a_step_on_redis_killed_at_any_of_its_calls_is_finished_by_running_it_again(
    redis: Told, tmp_path: Path, name: str
) -> None:
    _killed_at_calls_by_chance(redis, name, tmp_path)


@pytest.mark.parametrize("name", STORY)
def test_a_step_killed_at_any_moment_is_finished_by_running_it_again(embedded: Told, tmp_path: Path, name: str) -> None:
    chance = random.Random(None if DEEP else name)
    for number in range(DEEP or 1):
        seconds = chance.uniform(0, embedded.chapters[name].seconds)
        killed = _killed_and_repeated(embedded, name, tmp_path / str(number), Way(seconds=seconds))
        assert killed.code in {-signal.SIGKILL, 0}, seconds  # it may be done by then
        shutil.rmtree(tmp_path / str(number))
