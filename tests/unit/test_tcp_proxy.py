"""The proxy that the fault tests look through does what it says."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator

import pytest

from tests.tcp_proxy import Line, TcpProxy, running_proxy


class _Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while data := self.request.recv(65_536):
            self.request.sendall(data)


@pytest.fixture
def proxy() -> Iterator[TcpProxy]:
    """In front of a server that echoes."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Echo) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with running_proxy(server.server_address[1]) as proxy:
            yield proxy
        server.shutdown()


def connect(proxy: TcpProxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=5)


def test_a_perfect_line_carries_both_ways(proxy: TcpProxy) -> None:
    with connect(proxy) as client:
        client.sendall(b"hello")

        assert client.recv(100) == b"hello"
    assert proxy.accepted == 1


def test_answers_drip_byte_by_byte(proxy: TcpProxy) -> None:
    proxy.line = Line(drip_seconds=0.05)
    with connect(proxy) as client:
        client.sendall(b"abc")

        assert [client.recv(100) for _ in range(3)] == [b"a", b"b", b"c"]


def test_a_connection_is_reset_after_so_many_bytes(proxy: TcpProxy) -> None:
    proxy.line = Line(reset_after=3)
    with connect(proxy) as client:
        client.sendall(b"abcdef")

        with pytest.raises(ConnectionResetError):
            client.makefile("rb").read()


def test_a_black_hole_accepts_and_never_answers(proxy: TcpProxy) -> None:
    proxy.line = Line(is_black_hole=True)
    with connect(proxy) as client:
        client.settimeout(0.2)
        client.sendall(b"abc")

        with pytest.raises(TimeoutError):
            client.recv(100)


def test_cutting_resets_connections_and_lets_new_ones_in(proxy: TcpProxy) -> None:
    with connect(proxy) as client:
        client.sendall(b"abc")
        client.recv(100)
        proxy.cut()

        with pytest.raises(ConnectionResetError):
            client.recv(100)
    with connect(proxy) as client:
        client.sendall(b"abc")
        assert client.recv(100) == b"abc"


def test_a_client_whose_server_is_lost_does_not_notice(proxy: TcpProxy) -> None:
    with connect(proxy) as client:
        client.sendall(b"abc")
        client.recv(100)
        proxy.lose_server()
        client.settimeout(0.2)
        client.sendall(b"abc")

        with pytest.raises(TimeoutError):
            client.recv(100)
