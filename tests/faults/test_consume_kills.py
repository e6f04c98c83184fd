"""A consumer that is killed loses no entry and appends none twice, whenever it is and whoever goes on.

`KNOWNAT_KILLS=200 pytest tests/faults/test_consume_kills.py` kills it 200 times more.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sdk import open_project
from tests.command import done
from tests.faults.consumer import Ran, RunningConsumer, Way
from tests.faults.failpoints import ANY, Fault
from tests.redis_server import RedisServer, running_redis
from tests.stream_project import STREAM, StreamProject, stream_project

DEEP = int(os.environ.get("KNOWNAT_KILLS", "0"))
KILLS = DEEP or 6
ROWS = 40
UNFIT = 5

POINTS = [
    Fault("stream.read"),
    Fault("stream.read", after=True),
    Fault("stream.read", 3, after=True),
    Fault("stream.put_aside", after=True),
    Fault("stream.empty", 2),
    Fault("frames.take", 2),
    Fault("frames.take", after=True),
    Fault("frames.take", 4, after=True),
    Fault("delta.commit"),
    Fault("delta.commit", after=True),
    Fault("os.fsync", 2),
    Fault("os.fsync", 5),
    Fault("outlet.show"),
    Fault("outlet.show", 2, after=True),
    Fault("delta.commit", 2, after=True),
    Fault("stream.acknowledge"),
    Fault("stream.acknowledge", after=True),
    Fault("stream.acknowledge", 3),
    Fault("redis.send", 9),
    Fault("redis.send", 14, after=True),
]


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with running_redis() as own:
        yield own


@dataclass(frozen=True)
class Prepared:
    """A project and its stream as every test finds them."""

    folder: Path
    stored: dict[bytes, bytes]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, server: RedisServer) -> Prepared:
    """Rows and some entries that are none, and a view that is online: the numbers are those of the rows."""
    project = stream_project(tmp_path_factory.mktemp("prepared") / "project", server)
    project.add([0])
    run(project)
    done("materialize", "shop_now", "--project", project.folder)
    for number in range(1, ROWS):
        add(project, number)
        if number % (ROWS // UNFIT) == 0:
            project.add_raw(shop="alma", visitors=str(number))
    with server.client() as client:
        return Prepared(project.folder, {key: client.dump(key) or b"" for key in client.scan_iter()})


@pytest.fixture
def project(tmp_path: Path, server: RedisServer, prepared: Prepared) -> StreamProject:
    shutil.copytree(prepared.folder, tmp_path / "project")
    with server.client() as client:
        client.flushall()
        for key, value in prepared.stored.items():
            client.restore(key, 0, value)
    return StreamProject(tmp_path / "project", server)


def add(project: StreamProject, *numbers: int) -> None:
    for number in numbers:
        project.add([number], shop=f"shop {number % 11}")


def run(project: StreamProject, way: Way | None = None) -> Ran:
    return RunningConsumer(project.folder, project.server.url, way or Way()).ended()


def check(project: StreamProject, *, rows: int = ROWS) -> None:
    """Everything once: durable, put aside, acknowledged, and online."""
    assert project.appended == list(range(rows))
    assert sorted(int(one[b"visitors"]) for one in project.rejected()) == list(range(8, ROWS, 8))
    assert project.in_hand == 0
    newest = {f"shop {number % 11}": number for number in range(1, rows)}
    with open_project(project.folder) as opened:
        entities = [{"shop": shop} for shop in newest]
        answer = opened.client.online(features=["shop_now:visitors"], entities=entities).to_dicts()
    assert [row["shop_now__visitors"] for row in answer] == list(newest.values())


def test_an_uninterrupted_consumer_does_everything_once(project: StreamProject) -> None:
    whole = run(project)

    assert (whole.code, whole.error) == (0, None)
    assert sum(one.appended for one in whole.done) == ROWS - 1
    assert {str(point.call) for point in POINTS} <= set(whole.calls)
    check(project)


@pytest.mark.parametrize("point", POINTS, ids=map(str, POINTS))
def test_a_consumer_killed_at_a_point_is_finished_by_starting_it_again(project: StreamProject, point: Fault) -> None:
    killed = run(project, Way(fault=point))

    again = run(project, Way(most=5))  # in batches of another composition

    assert (killed.code, again.code, again.error) == (-signal.SIGKILL, 0, None)
    check(project)


@pytest.mark.parametrize("point", POINTS[::4], ids=map(str, POINTS[::4]))
def test_what_a_killed_consumer_left_is_claimed_by_another(project: StreamProject, point: Fault) -> None:
    killed = run(project, Way("dead", fault=point))

    other = run(project, Way("other", most=5, claim_seconds=0.001))

    assert (killed.code, other.code, other.error) == (-signal.SIGKILL, 0, None)
    check(project)


def test_a_consumer_killed_at_any_of_its_calls_again_and_again_does_everything_once(project: StreamProject) -> None:
    chance = random.Random(None if DEEP else 0)

    rows, killed = ROWS, 0
    for _ in range(KILLS):
        add(project, *range(rows, rows + 5))
        rows += 5
        fault = Fault(ANY, chance.randint(1, 200), after=chance.random() < 0.5)
        killed += run(project, Way(fault=fault, most=chance.randint(1, 9))).code == -signal.SIGKILL

    assert killed > KILLS / 2
    assert run(project).error is None
    check(project, rows=rows)


def test_two_consumers_killed_at_any_moment_again_and_again_do_everything_once(project: StreamProject) -> None:
    chance = random.Random(None if DEEP else 1)

    rows = ROWS
    for _ in range(KILLS):
        add(project, *range(rows, rows + 20))
        rows += 20
        ways = [Way(name, seconds=chance.uniform(0.3, 2), most=3, claim_seconds=0.05) for name in ("a", "b")]
        running = [RunningConsumer(project.folder, project.server.url, way) for way in ways]
        ended = [one.ended() for one in running]
        assert {one.code for one in ended} <= {0, -signal.SIGKILL}
        assert [one.error for one in ended] == [None, None]

    assert run(project, Way(claim_seconds=0.001)).error is None
    check(project, rows=rows)


@pytest.mark.parametrize("call", ["frames.take", "stream.acknowledge", "outlet.show"])
def test_a_slow_consumer_whose_entries_are_claimed_by_another_appends_none_twice(
    project: StreamProject, call: str
) -> None:
    slow = Way("slow", most=20, claim_seconds=0.05, delays={call: 0.4})
    fast = Way("fast", most=4, claim_seconds=0.05)
    running = [RunningConsumer(project.folder, project.server.url, way) for way in (slow, fast)]

    ended = [one.ended() for one in running]
    last = run(project, Way(claim_seconds=0.001))

    assert [one.error for one in (*ended, last)] == [None] * 3
    assert sum(one.appended for ran in (*ended, last) for one in ran.done) == ROWS - 1
    check(project)


def test_a_group_that_is_destroyed_while_it_is_read_begins_again_and_appends_none_twice(project: StreamProject) -> None:
    run(project, Way(fault=Fault("frames.take", 3, after=True)))
    with project.server.client() as client:
        client.xgroup_destroy(STREAM, "knownat")

    again = run(project)

    assert again.error is None
    assert sum(one.repeated for one in again.done) >= 3 * 6
    assert project.appended == list(range(ROWS))
