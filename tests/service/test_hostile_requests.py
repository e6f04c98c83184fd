"""Requests that are meant to do harm, or might as well be: a real server answers each with a clear 4xx, within a stated
amount of memory, and goes on answering everybody else."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from featurestore.service.bodies import Limits
from featurestore.service.problems import MOST_PROBLEM_BYTES
from tests.raw_http import GET_LIVE, Answer, asked, connected, post
from tests.server_process import ServerProcess, server_process

MOST_MEGABYTES = 200
"""What one request may cost at its worst: a body of 16 MB, read, and parsed to small values."""
SERVING_MEGABYTES = 200
"""What a process holds that only looks features up."""

LOOKUP = json.dumps({"features": ["shop_facts:score"], "entities": [{"shop": "alma"}]}).encode()
LONG = 200 * 1024 * 1024
WHOLE = Limits().json_bytes - 1000


@pytest.fixture(scope="module")
def server(filled_folder: Path) -> Iterator[ServerProcess]:
    with server_process(filled_folder) as process:
        for _ in range(1000):
            assert asked(process.address, post("/v1/online", LOOKUP)).status == 200
        yield process


@contextmanager
def others_are_answered(server: ServerProcess) -> Iterator[list[int]]:
    """Somebody else, who asks all the while."""
    ended = threading.Event()
    statuses: list[int] = []

    def ask() -> None:
        while not ended.is_set():
            statuses.append(asked(server.address, post("/v1/online", LOOKUP)).status)

    other = threading.Thread(target=ask)
    other.start()
    try:
        yield statuses
    finally:
        ended.set()
        other.join()


def lists(item: bytes) -> bytes:
    """A body as long as it may be, of this item again and again."""
    return b"[" + item * (WHOLE // len(item)) + b"1]"


BODIES: dict[str, Callable[[], bytes]] = {
    "a million entities": lambda: b'{"service":"shops_v1","entities":[' + b'{"shop":"a"},' * 1_000_000 + b"{}]}",
    "ten thousand and one entities": lambda: lookup(entities=[{"shop": "alma"}] * 10_001),
    "a hundred thousand features": lambda: lookup(features=[f"shop_facts:f{number}" for number in range(100_000)]),
    "one feature a hundred thousand times": lambda: lookup(features=["shop_facts:score"] * 100_000),
    "a hundred thousand fields": lambda: lookup(entities=[{f"f{number}": 1 for number in range(100_000)}]),
    "a name of megabytes": lambda: lookup(features=["x" * 10_000_000]),
    "a key of megabytes": lambda: lookup(entities=[{"shop": "\u0001" * 2_000_000}]),
    "rows that are none": lambda: lookup(entities=["x"] * 100_000),
    "deep lists": lambda: b"[" * WHOLE,
    "deep objects": lambda: b'{"a":' * (WHOLE // 5),
    "deep and closed": lambda: lookup(entities=[{"shop": json.loads("[" * 900 + "]" * 900)}]),
    "empty lists": lambda: lists(b"[],"),
    "empty objects": lambda: lists(b"{},"),
    "small objects": lambda: lists(b'{"":0},'),
    "small texts": lambda: lists(b'"ab",'),
    "small numbers": lambda: lists(b"1.5,"),
    "digits": lambda: b"9" * WHOLE,
    "spaces": lambda: b" " * WHOLE,
    "one text": lambda: b'"' + b"x" * WHOLE,
    "escapes": lambda: b'["' + b"\\u0000" * (WHOLE // 6) + b'"]',
    "equal names": lambda: b'{"entities":[],' + b'"features":[],' * 100_000 + b'"service":"a"}',
    "bytes": lambda: bytes(range(256)) * (WHOLE // 256),
}


def lookup(**fields: object) -> bytes:
    chosen = {} if "features" in fields else {"service": "shops_v1"}
    return json.dumps({**chosen, "entities": [{"shop": "alma"}], **fields}, separators=(",", ":")).encode()


def check_clear_refusal(answer: Answer) -> None:
    assert 400 <= answer.status < 500, answer
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["status"] == answer.status
    assert len(answer.json["detail"]) > 10
    assert len(answer.body) < MOST_PROBLEM_BYTES


@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_asks_too_much_is_refused_at_a_bounded_cost(server: ServerProcess, name: str) -> None:
    body = BODIES[name]()
    before = server.memory("VmRSS")

    with others_are_answered(server) as statuses:
        answer = asked(server.address, post("/v1/online", body))

    check_clear_refusal(answer)
    assert set(statuses) == {200}
    assert server.memory("VmHWM") < max(before, SERVING_MEGABYTES) + MOST_MEGABYTES


@pytest.mark.parametrize("path", ["/v1/online", "/v1/models/m/versions"])
@pytest.mark.parametrize("announced", [True, False])
def test_two_hundred_megabytes_are_not_kept(server: ServerProcess, path: str, announced: bool) -> None:
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    part = b"x" * (1024 * 1024)

    with others_are_answered(server) as statuses, connected(server.address) as connection:
        if announced:
            connection.send(f"{head}content-length: {LONG}\r\n\r\n".encode())
        else:
            connection.send(f"{head}transfer-encoding: chunked\r\n\r\n".encode())
        for _ in range(LONG // len(part)):
            connection.send_what_is_taken(part if announced else b"%x\r\n%b\r\n" % (len(part), part))
        answer = connection.answer()

    check_clear_refusal(answer)
    assert answer.status == 413
    assert set(statuses) == {200}
    assert server.memory("VmHWM") < SERVING_MEGABYTES + MOST_MEGABYTES


def test_two_hundred_slow_clients_hold_nobody_up(server: ServerProcess) -> None:
    with ExitStack() as opened:
        slow = [opened.enter_context(connected(server.address)) for _ in range(200)]
        for number, connection in enumerate(slow):
            whole = post("/v1/online", LOOKUP)
            connection.send(whole[: number % (len(whole) - 1) + 1])
        statuses = [asked(server.address, post("/v1/online", LOOKUP)).status for _ in range(50)]
        for number, connection in enumerate(slow):
            connection.send(whole[number % (len(whole) - 1) + 1 :])
        answers = [connection.answer().status for connection in slow]

    assert statuses == [200] * 50
    assert answers == [200] * 200


def test_after_all_that_the_server_is_as_it_was(server: ServerProcess) -> None:
    """It was started once for this file."""
    assert asked(server.address, GET_LIVE).status == 200
    assert "Traceback" not in server.log
    assert server.stop() == 0


def test_a_process_that_only_looks_features_up_stays_small(filled_folder: Path) -> None:
    with server_process(filled_folder) as server, connected(server.address) as connection:
        statuses = {connection.ask(post("/v1/online", LOOKUP)).status for _ in range(1000)}

        assert statuses == {200}
        assert server.memory("VmRSS") < SERVING_MEGABYTES
