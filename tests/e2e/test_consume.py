"""`knownat consume` as people run it: a process beside the producers, stopped by a signal, started again."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from sdk import open_project
from tests.command import done, knownat, started
from tests.redis_server import RedisServer, free_port, running_redis
from tests.stream_project import STREAM, StreamProject, stream_project

DEADLINE_SECONDS = 60.0


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with running_redis() as own:
        yield own


@pytest.fixture
def project(tmp_path: Path, server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> StreamProject:
    monkeypatch.setenv("KNOWNAT_STREAMS__URL", server.url)
    return stream_project(tmp_path / "project", server)


@contextmanager
def consuming(project: StreamProject, *options: str) -> Iterator[subprocess.Popen[str]]:
    """The command, once it has said that it has begun."""
    arguments = ("consume", "shop_now", "--stream", STREAM, "--project", project.folder, "--json", *options)
    process = started(*arguments, environment=project.environment)
    assert process.stdout is not None
    try:
        assert json.loads(process.stdout.readline())["event"] == "started"
        yield process
    finally:
        process.kill()
        process.communicate()


def stopped(process: subprocess.Popen[str], number: int = signal.SIGTERM) -> dict[str, Any]:
    """Ask it to stop, and give what it said last."""
    process.send_signal(number)
    out, err = process.communicate(timeout=DEADLINE_SECONDS)
    assert (process.returncode, err) == (0, "")
    told: dict[str, Any] = json.loads(out.splitlines()[-1])
    return told


def eventually(what: Callable[[], bool]) -> float:
    """Wait until it is so, and give the seconds that it took."""
    begun = time.monotonic()
    while not what():
        assert time.monotonic() - begun < DEADLINE_SECONDS, "it never came to be"
        time.sleep(0.02)
    return time.monotonic() - begun


def once(project: StreamProject, *options: str) -> list[dict[str, Any]]:
    ended = done("consume", "shop_now", "--stream", STREAM, "--project", project.folder, "--json", "--once", *options)
    return [json.loads(line) for line in ended.out.splitlines()]


def test_entries_are_appended_once_and_told(project: StreamProject) -> None:
    project.add(range(7))

    first, again = once(project), once(project)

    assert [line["event"] for line in first] == ["started", "stopped"]
    assert {name: first[-1][name] for name in ("appended", "repeated", "rejected", "lag", "pending")} == {
        "appended": 7, "repeated": 0, "rejected": 0, "lag": 0, "pending": 0
    }  # fmt: skip
    assert again[-1]["appended"] == 0
    assert project.appended == list(range(7))


def test_what_is_no_row_is_put_aside_with_its_reason_and_the_rest_goes_on(project: StreamProject) -> None:
    project.add([1])
    project.add_raw(shop="alma", visitors="2")
    project.add_raw(shop="alma", at="2024-03-10", visitors="many")
    project.add_raw(json="{")
    project.add_raw(shop=b"\xff", at="2024-03-10", visitors="5")
    project.add([6])

    told = once(project)[-1]

    assert (told["appended"], told["rejected"], told["pending"]) == (2, 4, 0)
    assert project.appended == [1, 6]
    assert [str(one[b"knownat:reason"].decode()) for one in project.rejected()] == [
        "'at' (timestamp) is missing. There is: seen, shop, visitors.",
        "'visitors' is 'many', expected int64",
        "field 'json' is not JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
        "field 'shop' is not text in UTF-8",
    ]


def test_a_row_level_view_shows_an_entry_online_and_in_training_sets(project: StreamProject) -> None:
    project.add([41])
    once(project)
    done("materialize", "shop_now", "--project", project.folder)

    with consuming(project) as process, open_project(project.folder) as opened:
        project.add([42])
        eventually(lambda: answered(opened, "alma") == 42)
        stopped(process)
        spine = pa.table(
            {"shop": ["alma"], "event_timestamp": pa.array([datetime.now(UTC)], pa.timestamp("us", "UTC"))}
        )
        pulled = opened.client.training_set(spine, features=["shop_now:visitors"]).to_arrow()

    assert pulled["shop_now__visitors"].to_pylist() == [42]


def test_a_row_that_the_views_query_fails_on_is_put_aside_and_the_rest_goes_on(project: StreamProject) -> None:
    file = project.folder / "definitions" / "shops.py"
    sql = 'sql="SELECT shop, at AS event_timestamp, seen AS known_at, CAST(shop AS BIGINT) AS visitors FROM visits"'
    file.write_text(file.read_text().replace('source=visits, features=[fs.Feature("visitors")]', sql))
    done("apply", "--project", project.folder)
    project.add([1, 2], shop="7")
    project.add([3], shop="alma")
    project.add([4], shop="8")

    told = once(project)[-1]

    assert (told["appended"], told["rejected"], told["pending"]) == (3, 1, 0)
    assert project.appended == [1, 2, 4]
    assert b"can not be computed from these rows" in project.rejected()[0][b"knownat:reason"]


def test_a_view_that_is_applied_anew_while_it_is_fed_shows_what_comes_then(project: StreamProject) -> None:
    project.add([1])
    once(project)
    file = project.folder / "definitions" / "shops.py"
    sql = 'sql="SELECT shop, at AS event_timestamp, seen AS known_at, visitors * 2 AS visitors FROM visits"'
    with consuming(project) as process, open_project(project.folder) as opened:
        file.write_text(file.read_text().replace('source=visits, features=[fs.Feature("visitors")]', sql))
        done("apply", "--project", project.folder)
        done("materialize", "shop_now", "--project", project.folder)
        project.add([21])
        eventually(lambda: answered(opened, "alma") == 42)
        stopped(process)


def test_a_view_that_is_applied_anew_with_rows_of_another_shape_ends_its_consumer(project: StreamProject) -> None:
    project.add([1])
    once(project)
    file = project.folder / "definitions" / "shops.py"
    with consuming(project) as process:
        file.write_text(file.read_text().replace('"visits"', '"visits_too"'))
        done("apply", "--project", project.folder)
        project.add([2])
        _, err = process.communicate(timeout=DEADLINE_SECONDS)

    assert process.returncode == 1
    assert "was applied anew meanwhile, and reads rows of another shape: of 'visits_too'" in err
    assert (project.appended, project.in_hand) == ([1], 1)


def test_a_windowed_view_counts_entries_from_its_next_hop_on(project: StreamProject) -> None:
    project.add([1, 2])

    ended = done("consume", "shop_week", "--stream", STREAM, "--project", project.folder, "--json", "--once")
    done("run", "--due", "--project", project.folder)

    assert json.loads(ended.out.splitlines()[-1])["appended"] == 2
    assert project.appended == [1, 2]


def answered(opened: Any, shop: str) -> object:
    [row] = opened.client.online(features=["shop_now:visitors"], entities=[{"shop": shop}]).to_dicts()
    return row["shop_now__visitors"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_runs_until_a_signal_and_ends_with_what_it_did(project: StreamProject, number: int) -> None:
    with consuming(project) as process:
        project.add(range(20))
        eventually(lambda: len(project.appended) == 20)
        told = stopped(process, number)

    assert (told["event"], told["appended"], told["pending"]) == ("stopped", 20, 0)


def test_a_consumer_that_is_started_again_goes_on_at_once(project: StreamProject) -> None:
    with consuming(project) as process:
        project.add(range(5))
        eventually(lambda: len(project.appended) == 5)
        process.send_signal(signal.SIGKILL)
        process.wait()
    project.add(range(5, 9))

    told = once(project)[-1]

    assert project.appended == list(range(9))
    assert told["pending"] == 0


def test_two_consumers_share_a_stream(project: StreamProject) -> None:
    with consuming(project, "--consumer", "a") as first, consuming(project, "--consumer", "b") as second:
        for start in range(0, 300, 10):
            project.add(range(start, start + 10))
        eventually(lambda: len(project.appended) >= 300 and project.in_hand == 0)
        told = [stopped(process)["appended"] for process in (first, second)]

    assert project.appended == list(range(300))
    assert sum(told) == 300


def test_a_redis_that_is_restarted_is_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    with running_redis(port=port) as server:
        monkeypatch.setenv("KNOWNAT_STREAMS__URL", server.url)
        project = stream_project(tmp_path / "project", server)
        project.add(range(5))
        process = started(
            "consume", "shop_now", "--stream", STREAM, "--project", project.folder, "--json",
            environment=project.environment,
        )  # fmt: skip
        eventually(lambda: len(project.appended) == 5)
    try:
        with running_redis(port=port) as again:
            StreamProject(project.folder, again).add(range(5, 8))
            eventually(lambda: len(project.appended) == 8)
            process.send_signal(signal.SIGTERM)
            out, _ = process.communicate(timeout=DEADLINE_SECONDS)
    finally:
        process.kill()
        process.communicate()

    events = [json.loads(line) for line in out.splitlines()]
    assert process.returncode == 0
    assert (events[-1]["event"], events[-1]["appended"]) == ("stopped", 8)
    assert project.appended == list(range(8))


def test_with_once_a_redis_that_is_away_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running_redis() as server:
        project = stream_project(tmp_path / "project", server)
    monkeypatch.setenv("KNOWNAT_STREAMS__URL", f"redis://:hunter2@127.0.0.1:{server.port}")

    ended = knownat("consume", "shop_now", "--stream", STREAM, "--once", "--project", project.folder, "--json")

    assert ended.code == 1
    assert ended.error["code"] == "store_unavailable"
    assert "hunter2" not in ended.err + ended.out


def test_without_a_redis_it_is_told_what_to_set(project: StreamProject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KNOWNAT_STREAMS__URL")

    ended = knownat("consume", "shop_now", "--stream", STREAM, "--once", "--project", project.folder)

    assert ended.code == 1
    assert "KNOWNAT_STREAMS__URL" in ended.err


def test_the_redis_of_the_online_store_is_the_default(project: StreamProject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KNOWNAT_STREAMS__URL")
    monkeypatch.setenv("KNOWNAT_ONLINE__URL", project.server.url)
    project.add([1])

    assert once(project)[-1]["appended"] == 1


def test_a_view_that_reads_something_else_is_refused(project: StreamProject) -> None:
    ended = knownat("consume", "shop_then", "--stream", STREAM, "--once", "--project", project.folder)

    assert ended.code == 1
    assert "Did you mean 'shop_now'" in ended.err


def test_people_are_told_in_words(project: StreamProject) -> None:
    project.add([1])
    project.add_raw(json="[]")

    ended = done("consume", "shop_now", "--stream", STREAM, "--once", "--project", project.folder)

    assert ended.out.splitlines() == [
        "Started: visits into shop_now: 0 appended, 0 put aside, 0 repeated, 2 to read, 0 in hand",
        "Stopped: visits into shop_now: 1 appended, 1 put aside, 0 repeated, 0 to read, 0 in hand",
    ]
