"""Connections to Redis end what they do in time, whatever the line and the server do, for threads and for tasks."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from redis.exceptions import RedisError

from featurestore.adapters.redis_address import RedisAddress, TlsFiles, read_address
from featurestore.adapters.redis_connections import task_pool, thread_pool, within
from tests.certificates import Certificates
from tests.redis_server import RedisServer, free_port, running_redis
from tests.tcp_proxy import Line, TcpProxy, running_proxy

SECONDS = 0.3
PATIENT = 10.0  # for what must work, on a busy machine too
SLACK = 20.0  # the same; a request without a deadline would take a minute or for ever

Get = Callable[..., Any]


@contextmanager
def by_threads(address: RedisAddress) -> Iterator[Get]:
    with closing(thread_pool(address, retries=1)) as pool, Redis(connection_pool=pool) as client:

        def get(seconds: float = PATIENT) -> Any:
            with within(seconds):
                return client.get("key")

        yield get


@contextmanager
def by_tasks(address: RedisAddress) -> Iterator[Get]:
    with asyncio.Runner() as runner:
        pool = task_pool(address, retries=1)
        client = AsyncRedis(connection_pool=pool)

        async def get(seconds: float) -> Any:
            async with asyncio.timeout(seconds):
                return await client.get("key")

        yield lambda seconds=PATIENT: runner.run(get(seconds))
        runner.run(pool.aclose())
        runner.run(asyncio.sleep(0.05))  # asyncio closes what is left of TLS connections a moment later


both = pytest.mark.parametrize("connected", [by_threads, by_tasks])


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with running_redis() as own:
        with own.client() as client:
            client.set("key", "x" * 1_000)
        yield own


@pytest.fixture
def proxy(server: RedisServer) -> Iterator[TcpProxy]:
    with running_proxy(server.port) as proxy:
        yield proxy


def through(proxy: TcpProxy) -> RedisAddress:
    return read_address(f"redis://127.0.0.1:{proxy.port}")


def fails_in_time(get: Get) -> None:
    begun = time.monotonic()
    with pytest.raises((RedisError, OSError, TimeoutError)):
        get(SECONDS)

    assert time.monotonic() - begun < SECONDS + SLACK


@both
def test_a_perfect_line_answers(connected: Any, proxy: TcpProxy) -> None:
    with connected(through(proxy)) as get:
        assert get() == b"x" * 1_000


@both
@pytest.mark.parametrize(
    "line",
    [Line(is_black_hole=True), Line(latency_seconds=60), Line(drip_seconds=0.02), Line(reset_after=500)],
    ids=["black hole", "latency", "drip", "reset"],
)
def test_a_spoiled_line_ends_the_request_in_time_and_the_next_one_is_right(
    connected: Any, proxy: TcpProxy, line: Line
) -> None:
    with connected(through(proxy)) as get:
        get()
        proxy.line = line
        fails_in_time(get)
        fails_in_time(get)  # on a new connection
        proxy.line = Line()

        assert get() == b"x" * 1_000


@both
def test_a_lost_server_ends_the_request_in_time_and_the_next_one_is_right(connected: Any, proxy: TcpProxy) -> None:
    with connected(through(proxy)) as get:
        get()
        proxy.lose_server()
        fails_in_time(get)

        assert get() == b"x" * 1_000


@both
def test_a_connection_that_was_cut_while_idle_is_replaced_unnoticed(connected: Any, proxy: TcpProxy) -> None:
    with connected(through(proxy)) as get:
        get()
        proxy.cut()

        assert get() == b"x" * 1_000
    assert proxy.accepted == 2


@both
def test_a_frozen_server_ends_the_request_in_time(connected: Any, server: RedisServer) -> None:
    with connected(read_address(server.url)) as get:
        get()
        with server.frozen():
            fails_in_time(get)

        assert get() == b"x" * 1_000


@both
def test_a_server_that_takes_no_connections_ends_the_request_in_time(connected: Any) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        waiting = [_started(deaf.getsockname()) for _ in range(4)]  # the queue is full: connecting hangs

        with connected(read_address(f"redis://127.0.0.1:{deaf.getsockname()[1]}")) as get:
            fails_in_time(get)
        for each in waiting:
            each.close()


@both
def test_a_refused_connection_fails_in_time(connected: Any) -> None:
    with connected(read_address(f"redis://127.0.0.1:{free_port()}")) as get:
        fails_in_time(get)


@both
def test_a_unix_socket_is_used(connected: Any, server: RedisServer) -> None:
    with connected(read_address(server.unix_url)) as get:
        assert get() == b"x" * 1_000
        with server.frozen():
            fails_in_time(get)


@both
def test_tls_shows_who_we_are_and_verifies_the_server(
    connected: Any, tls_redis: RedisServer, certificates: Certificates
) -> None:
    own = certificates.client
    known = read_address(tls_redis.url, TlsFiles(certificates.authority, own.certificate, own.key))
    without_certificate = read_address(tls_redis.url, TlsFiles(certificates.authority))
    without_authority = read_address(tls_redis.url)
    by_another_name = read_address(tls_redis.url.replace("127.0.0.1", "127.0.0.2"), TlsFiles(certificates.authority))

    with connected(known) as get:
        assert get() is None
        with tls_redis.frozen():
            fails_in_time(get)
    for address in (without_certificate, without_authority, by_another_name):
        with connected(address) as get:
            fails_in_time(get)


@both
def test_every_new_tls_connection_answers(connected: Any, tls_redis: RedisServer, certificates: Certificates) -> None:
    own = certificates.client
    address = read_address(tls_redis.url, TlsFiles(certificates.authority, own.certificate, own.key))

    for _ in range(20):  # what the server sends by itself after a handshake arrives sooner or later
        with connected(address) as get:
            assert get() is None


@both
def test_a_tls_handshake_that_drips_ends_in_time(
    connected: Any, tls_redis: RedisServer, certificates: Certificates
) -> None:
    with running_proxy(tls_redis.port) as proxy:
        proxy.line = Line(drip_seconds=0.02)
        with connected(read_address(f"rediss://127.0.0.1:{proxy.port}", TlsFiles(certificates.authority))) as get:
            fails_in_time(get)


def test_a_block_within_a_block_ends_with_the_sooner_one(proxy: TcpProxy) -> None:
    proxy.line = Line(is_black_hole=True)
    with closing(thread_pool(through(proxy))) as pool, Redis(connection_pool=pool) as client:
        begun = time.monotonic()
        with within(SECONDS), within(60), pytest.raises(RedisError):
            client.get("key")

    assert time.monotonic() - begun < SECONDS + SLACK


def _started(place: tuple[str, int]) -> socket.socket:
    """A connection that is being made."""
    client = socket.socket()
    client.setblocking(False)
    client.connect_ex(place)
    return client
