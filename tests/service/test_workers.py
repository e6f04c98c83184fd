"""What a served project promises when it is told to stop, and when its processes die: real processes, real signals."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.command import knownat
from tests.raw_http import GET_LIVE, Answer, Connection, asked, connected, post
from tests.server_process import ServerProcess, server_process
from tests.small_project import SmallProject

BODY = json.dumps({"service": "shops_v1", "entities": [{"shop": "alma", "basket": 1.0}]}).encode()
GET_READY = b"GET /health/ready HTTP/1.1\r\nhost: knownat\r\n\r\n"


def eventually(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.05)
    return False


def refuses_connections(address: str) -> bool:
    try:
        Connection(address).socket.close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.parametrize("workers", [1, 2])
def test_requests_under_way_are_answered_when_the_server_is_told_to_stop(project: SmallProject, workers: int) -> None:
    with server_process(project.folder, "--workers", str(workers)) as server, ExitStack() as opened:
        busy = [opened.enter_context(connected(server.address)) for _ in range(8)]
        for connection in busy:
            connection.send(post("/v1/online", BODY)[:-1])  # all but a byte: the server waits for it
        server.process.send_signal(signal.SIGTERM)
        assert eventually(lambda: refuses_connections(server.address))
        for connection in busy:
            connection.send(BODY[-1:])
        answers = [connection.answer() for connection in busy]
        code = server.process.wait(60)

    assert [answer.status for answer in answers] == [200] * 8
    assert {answer.headers["connection"] for answer in answers} == {"close"}
    assert code == 0, server.log
    assert "Traceback" not in server.log


def test_clients_that_keep_asking_lose_no_request_while_the_server_drains(project: SmallProject) -> None:
    """Until the answer that says it is the last one on its connection."""
    outcomes: list[list[Answer]] = []

    def ask_until_told_to_go(address: str) -> None:
        answers: list[Answer] = []
        outcomes.append(answers)
        with connected(address) as connection:
            while not answers or answers[-1].headers.get("connection") != "close":
                answers.append(connection.ask(post("/v1/online", BODY)))

    with server_process(project.folder, "--workers", "2") as server:
        clients = [threading.Thread(target=ask_until_told_to_go, args=[server.address]) for _ in range(4)]
        for client in clients:
            client.start()
        assert eventually(lambda: len(outcomes) == 4 and all(len(answers) > 20 for answers in outcomes))
        code = server.stop()
        for client in clients:
            client.join(30)

    assert code == 0
    assert {answer.status for answers in outcomes for answer in answers} == {200}


def test_a_draining_server_says_so_to_those_who_are_still_connected(project: SmallProject) -> None:
    with (
        server_process(project.folder) as server,
        connected(server.address) as watcher,
        connected(server.address) as busy,
    ):
        before = watcher.ask(GET_READY)
        busy.send(post("/v1/online", BODY)[:-1])
        server.process.send_signal(signal.SIGTERM)
        assert eventually(lambda: refuses_connections(server.address))
        after = watcher.ask(GET_READY)
        busy.send(BODY[-1:])

        assert (before.status, before.json["status"]) == (200, "ready")
        assert (after.status, after.json["code"], after.headers["connection"]) == (503, "draining", "close")
        assert busy.answer().status == 200
        assert server.process.wait(60) == 0


def test_a_killed_worker_is_replaced_while_the_others_answer(project: SmallProject) -> None:
    with server_process(project.folder, "--workers", "2") as server:
        assert eventually(lambda: len(server.workers()) == 2)
        asked_all(server, 50)
        counted = rows_counted(server)
        killed = server.workers()[0]

        os.kill(killed, signal.SIGKILL)
        statuses = {ask_again(server) for _ in range(50)}

        assert statuses == {200}
        assert eventually(lambda: len(server.workers()) == 2 and killed not in server.workers())
        assert rows_counted(server) >= counted + 50  # what the dead one had counted stays
        assert eventually(lambda: f'pid="{killed}"' not in metrics(server))
        assert server.stop() == 0


def test_workers_do_not_outlive_a_killed_parent(project: SmallProject) -> None:
    with server_process(project.folder, "--workers", "2") as server:
        assert eventually(lambda: len(server.workers()) == 2)
        workers = server.workers()
        server.process.kill()
        server.process.wait(60)

        assert eventually(lambda: not any(Path(f"/proc/{pid}/cwd").exists() for pid in workers))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_nobody_asks_stops_at_once(project: SmallProject, number: int) -> None:
    with server_process(project.folder) as server:
        assert server.stop(number) == 0
    assert "Traceback" not in server.log


def test_a_project_that_can_not_be_served_is_told_once(project: SmallProject) -> None:
    (project.folder / "knownat.toml").write_text("colour = 1\n")

    ended = knownat("serve", "--project", project.folder, "--port", "0", "--workers", "2")

    assert ended.code == 1
    assert "colour" in ended.err


def asked_all(server: ServerProcess, count: int) -> None:
    for _ in range(count):
        assert asked(server.address, post("/v1/online", BODY)).status == 200


def ask_again(server: ServerProcess) -> int:
    """The status of a lookup on a new connection, tried once more when the process that had it was killed."""
    try:
        status = asked(server.address, post("/v1/online", BODY)).status
    except ConnectionResetError:
        status = 0
    return status or asked(server.address, post("/v1/online", BODY)).status


def metrics(server: ServerProcess) -> str:
    return httpx.get(f"{server.address}/metrics").text


def rows_counted(server: ServerProcess) -> float:
    [line] = [line for line in metrics(server).splitlines() if line.startswith("knownat_online_rows_total ")]
    return float(line.split()[1])


def test_the_server_stops_answering_where_it_stopped_listening(project: SmallProject) -> None:
    with server_process(project.folder) as server:
        assert asked(server.address, GET_LIVE).status == 200
        server.stop()

        assert refuses_connections(server.address)
