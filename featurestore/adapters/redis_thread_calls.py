"""Commands to one Redis on a connection of each thread's own.

What redis-py's client does around a command (pools, events, retries, measuring) takes 20 µs, twice as long as the round
trip on loopback: lookups go without. Connections, protocol, encoding and errors are redis-py's own.
"""

from __future__ import annotations

import os
import threading
from typing import Any
from weakref import WeakSet

from redis import ConnectionPool
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError


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


def _asked(connection: Any, command: tuple[bytes, ...]) -> Any:
    try:
        connection.send_packed_command(connection.pack_command(*command))
        return connection.read_response()
    except ResponseError:
        raise
    except BaseException:  # what is left of the answer must not be taken for the next one's
        connection.disconnect()
        raise
