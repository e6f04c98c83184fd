"""What the protocol promises about requests that no client library would send, on real connections."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from featurestore.service.http_protocol import MOST_HEAD_BYTES, MOST_HEADERS, BoundedProtocol
from tests.raw_http import GET_LIVE, Answer, Connection, asked, connected, post
from tests.service.conftest import served


class Impatient(BoundedProtocol):
    head_seconds = 0.2


@pytest.fixture(scope="module")
def address(filled_folder: Path) -> Iterator[str]:
    with served(filled_folder) as found:
        yield found


@pytest.fixture(scope="module")
def impatient(filled_folder: Path) -> Iterator[str]:
    with served(filled_folder, protocol=Impatient) as found:
        yield found


def check_problem(answer: Answer, status: int, code: str) -> None:
    assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json")
    assert (answer.json["code"], answer.json["status"]) == (code, status)
    assert answer.headers["connection"] == "close"


@pytest.mark.parametrize(
    "head",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"HELO knownat\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /health/live FTP/1.1\r\n\r\n",
        b"GET /health/live HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET /health/live HTTP/1.1\r\nna me: x\r\n\r\n",
        b"GET /health/live HTTP/1.1\r\nname: \x00\r\n\r\n",
        b"GET /health\x00/live HTTP/1.1\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\n\r\n",
        b"CONNECT elsewhere:443 HTTP/1.1\r\n\r\n",
        b"GET http:// HTTP/1.1\r\nhost: x\r\n\r\n",
        b"POST /v1/online HTTP/1.1\r\ncontent-length: many\r\n\r\n",
        b"POST /v1/online HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        b"POST /v1/online HTTP/1.1\r\ncontent-length: 99999999999999999999999\r\n\r\n",
        b"POST /v1/online HTTP/1.1\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}",
        b"POST /v1/online HTTP/1.1\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n{}",
    ],
)
def test_what_is_no_request_is_a_bad_one(address: str, head: bytes) -> None:
    check_problem(asked(address, head), 400, "bad_request")


def test_a_chunk_that_is_none_is_a_bad_request(address: str) -> None:
    head = b"POST /v1/online HTTP/1.1\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"

    check_problem(asked(address, head + b"xyz\r\n"), 400, "bad_request")


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"x" * MOST_HEAD_BYTES + b" HTTP/1.1\r\n\r\n",
        b"GET /" + b"x" * (16 * MOST_HEAD_BYTES),
        b"GET /health/live HTTP/1.1\r\nname: " + b"x" * MOST_HEAD_BYTES + b"\r\n\r\n",
        b"GET /health/live HTTP/1.1\r\nname: " + b"x" * (16 * MOST_HEAD_BYTES),
        b"GET /health/live HTTP/1.1\r\n" + b"x" * (16 * MOST_HEAD_BYTES),
        b"GET /health/live HTTP/1.1\r\n" + b"a: b\r\n" * (MOST_HEADERS + 1) + b"\r\n",
        b"GET /health/live HTTP/1.1\r\n" + b"a: b\r\n" * 1_000_000,
    ],
    ids=["path", "endless path", "value", "endless value", "endless name", "many headers", "endless headers"],
)
def test_a_head_beyond_its_bounds_is_refused_and_told_so(address: str, head: bytes) -> None:
    check_problem(asked(address, head), 431, "request_header_fields_too_large")


def test_a_head_within_its_bounds_is_taken(address: str) -> None:
    headers = [b"a%d: %s\r\n" % (number, b"x" * 2000) for number in range(MOST_HEADERS - 1)]

    answer = asked(address, b"GET /health/live HTTP/1.1\r\nhost: x\r\n" + b"".join(headers) + b"\r\n")

    assert answer.status == 200


@pytest.mark.parametrize("sent", [b"", b"\r\n\r\n", b"GET /health/live HT"])
def test_a_head_that_does_not_arrive_ends_the_connection(impatient: str, sent: bytes) -> None:
    with connected(impatient) as connection:
        connection.send(sent)
        answer = connection.answer()

        assert connection.is_closed()
    assert answer.status == (408 if sent.startswith(b"GET") else 0)


def test_a_head_that_arrives_a_byte_at_a_time_has_the_same_time(impatient: str) -> None:
    with connected(impatient) as connection:
        assert connection.ask(GET_LIVE).status == 200  # the first request is not what is slow
        connection.send(b"GET /health/live HTTP/1.1\r\nname: ")
        while not (received := _received(connection)):
            connection.send_what_is_taken(b"x")

    assert received.startswith(b"HTTP/1.1 408 ")


def _received(connection: Connection) -> bytes:
    """What has come within a moment."""
    connection.socket.settimeout(0.02)
    try:
        return connection.socket.recv(65536)
    except TimeoutError:
        return b""


@pytest.mark.parametrize("pause", range(1, len(GET_LIVE), 7))
def test_a_head_may_come_in_parts(address: str, pause: int) -> None:
    with connected(address) as connection:
        connection.send(GET_LIVE[:pause])
        connection.send(GET_LIVE[pause:])

        assert [connection.answer().status, connection.ask(GET_LIVE).status] == [200, 200]


def test_requests_sent_at_once_are_answered_in_order(address: str) -> None:
    with connected(address) as connection:
        connection.send(GET_LIVE + b"GET /nosuch HTTP/1.1\r\nhost: x\r\n\r\n" + GET_LIVE + b"NONSENSE\r\n\r\n")
        answers = connection.socket.makefile("rb").read()

    assert re.findall(rb"HTTP/1.1 (\d+)", answers) == [b"200", b"404", b"200"]


@pytest.mark.parametrize("protocol", ["h2c", "websocket"])
def test_nobody_is_upgraded_to_another_protocol(address: str, protocol: str) -> None:
    head = f"GET /health/live HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: {protocol}\r\n\r\n"

    answer = asked(address, head.encode() + b"\x00\xff")

    assert (answer.status, answer.headers["connection"]) == (200, "close")


def test_a_client_that_has_stopped_talking_still_gets_its_answer(address: str) -> None:
    with connected(address) as connection:
        connection.send(GET_LIVE)
        connection.socket.shutdown(1)

        assert connection.answer().status == 200
        assert connection.is_closed()


def test_a_body_that_ends_before_its_length_is_a_bad_request(address: str) -> None:
    with connected(address) as connection:
        connection.send(post("/v1/online", b'{"entities"', length=100))
        connection.socket.shutdown(1)

        check_problem(connection.answer(), 400, "bad_request")


def test_an_answer_that_comes_before_the_body_is_read_whole(address: str) -> None:
    """And the connection is closed when the body has not come in good time after it."""
    with connected(address) as connection:
        connection.send(post("/v1/online", b"x" * 1000, length=100_000_000))
        refused = connection.answer()
        connection.send(b"x" * (100_000_000 - 1000))

        assert refused.status == 413
        assert connection.ask(GET_LIVE).status == 200


def test_a_body_that_is_answered_already_does_not_keep_the_connection(impatient: str) -> None:
    with connected(impatient) as connection:
        assert connection.ask(post("/v1/online", b"x", length=100_000_000)).status == 413

        assert connection.is_closed()
