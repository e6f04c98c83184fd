"""Connections to Redis that are never late, for threads and for asyncio.

redis-py's time-outs count each read of a socket by itself: a server that sends a byte now and then keeps a request
waiting for ever, and a request that connects, logs in and asks waits for each of them. Here a request has one end
(`within`), and whatever a thread does on a connection before then gets what is left. asyncio has `asyncio.timeout`
for that, which the callers use. Also, a TLS context is made once, not for each connection (20 ms, measured).
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from contextvars import ContextVar, Token
from time import monotonic
from typing import Any

from redis import Connection, ConnectionPool, UnixDomainSocketConnection
from redis.asyncio import Connection as AsyncConnection
from redis.asyncio import ConnectionPool as AsyncConnectionPool
from redis.asyncio import UnixDomainSocketConnection as AsyncUnixDomainSocketConnection
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.driver_info import DriverInfo
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry

from featurestore.adapters.redis_address import Node, RedisAddress

_END: ContextVar[float | None] = ContextVar("when what this thread does with Redis must be over", default=None)


class within:  # noqa: N801 - read as a word: `with within(0.5):`
    """What this thread does with Redis in the block is over in so many seconds, or sooner if a block around it is."""

    __slots__ = ("_seconds", "_token")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __enter__(self) -> None:
        end, before = monotonic() + self._seconds, _END.get()
        self._token: Token[float | None] = _END.set(end if before is None else min(end, before))

    def __exit__(self, *_: object) -> None:
        _END.reset(self._token)


def seconds_left() -> float | None:
    """Until the end of the innermost `within`; None outside of one. Raises TimeoutError at the end."""
    end = _END.get()
    if end is None:
        return None
    left = end - monotonic()
    if left <= 0:
        raise TimeoutError("the deadline has passed")
    return left


def thread_pool(address: RedisAddress, node: Node | None = None, *, retries: int = 0) -> ConnectionPool:
    """Connections for threads to `node`, or to the only one there is. `retries`: how often a client that uses them
    repeats what a broken connection interrupted."""
    options = _options(address, node)
    options["retry"] = Retry(NoBackoff(), retries, supported_errors=(RedisConnectionError,))
    if address.path:
        return ConnectionPool(connection_class=_UnixInTime, **options)
    if address.tls is not None:
        return ConnectionPool(connection_class=_TlsInTime, tls=address.tls, **options)
    return ConnectionPool(connection_class=_TcpInTime, **options)


def task_pool(address: RedisAddress, node: Node | None = None, *, retries: int = 0) -> AsyncConnectionPool:
    """The same for tasks of asyncio. Use them under `asyncio.timeout`."""
    options = _options(address, node)
    options["retry"] = AsyncRetry(NoBackoff(), retries, supported_errors=(RedisConnectionError,))
    if address.path:
        return AsyncConnectionPool(connection_class=AsyncUnixDomainSocketConnection, **options)
    if address.tls is not None:
        return AsyncConnectionPool(connection_class=_AsyncTls, tls=address.tls, **options)
    return AsyncConnectionPool(connection_class=AsyncConnection, **options)


def _options(address: RedisAddress, node: Node | None) -> dict[str, Any]:
    """No time-outs: the callers have deadlines."""
    place: dict[str, Any]
    if address.path:
        place = {"path": address.path}
    else:
        host, port = node or address.nodes[0]
        place = {"host": host, "port": port}
    return place | {
        "username": address.user or None,
        "password": address.password or None,
        "db": address.database,
        "socket_timeout": None,
        "socket_connect_timeout": None,
        "protocol": 2,  # RESP3 adds a round trip to every new connection and nothing we use
        # Telling Redis who we are adds another. TLS needs it: TLS 1.3 sends session tickets after the handshake, which
        # redis-py's pool takes for an answer that nobody asked for ("Connection not ready") unless it reads one.
        "driver_info": None if address.tls is None else DriverInfo("knownat", None),
    }


class _SocketInTime:
    """A socket whose every wait ends with the innermost `within`."""

    __slots__ = ("_socket",)

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected

    def recv_into(self, buffer: bytearray) -> int:
        self._socket.settimeout(seconds_left())
        return self._socket.recv_into(buffer)

    def sendall(self, data: bytes) -> None:
        self._socket.settimeout(seconds_left())
        self._socket.sendall(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)


class _TcpInTime(Connection):
    def _connect(self) -> _SocketInTime:
        self.socket_connect_timeout = seconds_left()
        return _SocketInTime(super()._connect())  # type: ignore[no-untyped-call] # redis-py's gap


class _UnixInTime(UnixDomainSocketConnection):
    def _connect(self) -> _SocketInTime:
        self.socket_connect_timeout = seconds_left()
        return _SocketInTime(super()._connect())  # type: ignore[no-untyped-call] # redis-py's gap


class _TlsInTime(Connection):
    def __init__(self, *, tls: ssl.SSLContext, **options: Any) -> None:
        self._tls = tls
        super().__init__(**options)  # type: ignore[no-untyped-call] # redis-py's gap

    def _connect(self) -> _SocketInTime:
        self.socket_connect_timeout = seconds_left()
        plain = super()._connect()  # type: ignore[no-untyped-call] # redis-py's gap
        plain.settimeout(seconds_left())
        return _SocketInTime(self._tls.wrap_socket(plain, server_hostname=self.host))


class _AsyncTls(AsyncConnection):
    def __init__(self, *, tls: ssl.SSLContext, **options: Any) -> None:
        self._tls = tls
        super().__init__(**options)

    def _connection_arguments(self) -> Mapping[str, Any]:
        return {**super()._connection_arguments(), "ssl": self._tls}
