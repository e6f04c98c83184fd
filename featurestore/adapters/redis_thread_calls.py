"""Commands to one Redis on a connection of each thread's own.

What redis-py's client does around a command (pools, events, retries, measuring) takes 20 µs, twice as long as the round
trip on loopback: lookups go without. Connections, protocol, encoding and errors are redis-py's own.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import Any
from weakref import WeakSet

from hiredis import pack_command
from redis import ConnectionPool
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from featurestore.adapters.redis_connections import within


class ThreadCalls:
    """Threads may share one; `pool` makes the connections and keeps none of them."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool
        self._own = threading.local()
        self._made: WeakSet[Any] = WeakSet()

    def ask(self, *command: bytes) -> Any:
        """The answer to a command that may be repeated: a connection that turns out broken, as it is after a restart,
        is replaced once. Raises redis-py's errors, within the caller's deadline."""
        connection = self._connection()
        try:
            return _asked(connection, command)
        except RedisConnectionError:
            return _asked(connection, command)

    def ask_each(self, commands: Iterable[Sequence[bytes]], seconds: float) -> Generator[Any, None, None]:
        """The answers in order, each awaited for so long at most; while a command is carried out, the next one is made
        and sent. When one is refused, what came of the one after it is told first. On a connection of its own."""
        connection: Any = self._pool.make_connection()
        is_waiting = False
        try:
            for command in commands:
                with within(seconds):
                    _send(connection, tuple(command))
                if is_waiting:
                    yield from _told(connection, seconds, is_another_sent=True)
                is_waiting = True
            if is_waiting:
                yield from _told(connection, seconds, is_another_sent=False)
        finally:
            connection.disconnect()

    def close(self) -> None:
        """Close all connections; the next call opens a new one."""
        for connection in list(self._made):
            connection.disconnect()

    def _connection(self) -> Any:
        # A child of this process must not talk on its parent's connection.
        if getattr(self._own, "process", None) != os.getpid():
            self._own.connection = self._pool.make_connection()
            self._own.process = os.getpid()
            self._made.add(self._own.connection)
        return self._own.connection


def _told(connection: Any, seconds: float, *, is_another_sent: bool) -> Iterator[Any]:
    answer = _answer(connection, seconds)
    if not isinstance(answer, ResponseError):
        yield answer
        return
    if is_another_sent and not isinstance(after := _answer(connection, seconds), ResponseError):
        yield after
    raise answer


def _answer(connection: Any, seconds: float) -> Any:
    try:
        with within(seconds):
            return connection.read_response()
    except ResponseError as error:
        return error


def _send(connection: Any, command: tuple[bytes, ...]) -> None:
    # hiredis's own types take one argument for all.
    connection.send_packed_command([pack_command(command)])  # type: ignore[arg-type]


def _asked(connection: Any, command: tuple[bytes, ...]) -> Any:
    try:
        _send(connection, command)
        return connection.read_response()
    except ResponseError:
        raise
    except BaseException:  # what is left of the answer must not be taken for the next one's
        connection.disconnect()
        raise
