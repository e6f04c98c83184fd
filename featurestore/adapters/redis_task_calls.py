"""Commands to one Redis by tasks of asyncio, each on a connection that nobody else uses at that moment.

For the reason that `redis_thread_calls` gives, without redis-py's client.
"""

from __future__ import annotations

from typing import Any

from hiredis import pack_command
from redis.asyncio import ConnectionPool
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

_MOST_IDLE = 64
"""More connections than this are closed when they are not needed any more."""


class TaskCalls:
    """For one event loop; `pool` makes the connections and keeps none of them. Call it under `asyncio.timeout`."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool
        self._idle: list[Any] = []

    async def ask(self, *command: bytes) -> Any:
        """The answer to a command that may be repeated: on a connection that turns out broken, it is asked again."""
        connection = self._idle.pop() if self._idle else self._pool.make_connection()  # type: ignore[no-untyped-call] # redis-py
        try:
            answer = await _asked(connection, command)
        except RedisConnectionError:
            answer = await _asked(connection, command)
        except ResponseError:
            await self._put_back(connection)
            raise
        await self._put_back(connection)
        return answer

    async def close(self) -> None:
        while self._idle:
            await self._idle.pop().disconnect()

    async def _put_back(self, connection: Any) -> None:
        if len(self._idle) < _MOST_IDLE:
            self._idle.append(connection)
        else:
            await connection.disconnect()


async def _asked(connection: Any, command: tuple[bytes, ...]) -> Any:
    try:
        await connection.connect()
        # hiredis's own types take one argument for all.
        await connection.send_packed_command(pack_command(command))  # type: ignore[arg-type]
        return await connection.read_response()
    except ResponseError:
        raise
    except BaseException:  # what is left of the answer must not be taken for the next one's
        await connection.disconnect(nowait=True)
        raise
