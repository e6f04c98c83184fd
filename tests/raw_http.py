"""HTTP as bytes on a socket, for tests of what no client library would send."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPResponse
from typing import Any

GET_LIVE = b"GET /health/live HTTP/1.1\r\nhost: knownat\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said: `status` is 0 where it closed the connection without a word."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Connection:
    """One connection to a server. Nothing waits for more than half a minute."""

    def __init__(self, address: str) -> None:
        host, _, port = address.removeprefix("http://").partition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=30)

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def send_what_is_taken(self, data: bytes) -> None:
        """Send until all is sent, or the server has closed the connection."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return

    def answer(self) -> Answer:
        """The next answer on this connection."""
        response = HTTPResponse(self.socket)
        try:
            response.begin()
        except ConnectionError:  # closed, with or without bytes unread
            response.close()
            return Answer(0, {}, b"")
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, headers, response.read())

    def ask(self, data: bytes) -> Answer:
        self.send_what_is_taken(data)
        return self.answer()

    def is_closed(self) -> bool:
        """Whether the server has closed its side; waits for that or for a byte."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True


@contextmanager
def connected(address: str) -> Iterator[Connection]:
    connection = Connection(address)
    try:
        yield connection
    finally:
        connection.socket.close()


def asked(address: str, data: bytes) -> Answer:
    """The answer to these bytes on a connection of their own."""
    with connected(address) as connection:
        return connection.ask(data)


def post(path: str, body: bytes, *headers: str, length: int | None = None) -> bytes:
    """A request with a body of JSON; `length` where it is to say another one."""
    lines = [
        f"POST {path} HTTP/1.1",
        "host: knownat",
        "content-type: application/json",
        f"content-length: {len(body) if length is None else length}",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body
