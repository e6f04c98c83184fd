"""Asks a Redis Cluster: all nodes that are needed at once, in one round trip, within the caller's deadline.

One client for threads and one for tasks of asyncio; what they have in common is in `redis_cluster_calls`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from threading import Lock
from typing import Any

from redis import Connection, ConnectionPool
from redis.asyncio import Connection as AsyncConnection
from redis.asyncio import ConnectionPool as AsyncConnectionPool
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError

from featurestore.adapters.redis_address import Node, RedisAddress
from featurestore.adapters.redis_cluster_calls import Call, Command, Exchange, SlotMap
from featurestore.adapters.redis_connections import seconds_left, task_pool, thread_pool, within

_ASK_SLOTS: Command = ("CLUSTER", "SLOTS")
_FAILED = (RedisError, OSError)

Questions = Mapping[Node, Sequence[Command]]
Answers = dict[Node, list[Any]]


class ClusterClient:
    """For threads. Use it under `within`. Connects when it is first asked something."""

    def __init__(self, address: RedisAddress, scripts: Mapping[str, str]) -> None:
        """`scripts`: what the EVALSHAs of calls stand for."""
        self._address = address
        self._scripts = scripts
        self._slots: SlotMap | None = None
        self._told_by: Node | None = None
        self._pools: dict[Node, ConnectionPool] = {}
        self._lock = Lock()

    def run(self, calls: Sequence[Call], *, then: Command | None = None) -> list[Any]:
        """Make the calls, once more where a connection broke. An answer may be an error. `then` follows on the same
        connection to each node that has replicas; returns what those nodes answered to it."""
        exchange = Exchange(calls, self._scripts)
        after: list[Any] = []
        while not exchange.is_over:
            slots = self.slots()
            groups = exchange.groups(slots)
            follows = {node: [then] if then and slots.replicas.get(node) else [] for node in groups}
            answers = self.ask({node: _commands(group) + follows[node] for node, group in groups.items()})
            exchange.take(groups, answers)
            is_outdated = exchange.settle()
            done = (node for node, group in groups.items() if any(call.is_done for call in group))
            after += [answers[node][-1] for node in done if follows[node]]
            if is_outdated:
                self._learn(slots)
        return after

    def slots(self) -> SlotMap:
        while (slots := self._slots) is None:  # another thread may forget them just now
            self._learn(None)
        return slots

    def forget_slots(self) -> None:
        """Ask anew who serves what, and who has replicas, before the next call."""
        self._slots = None

    def ask(self, questions: Questions) -> Answers:
        """What each node answers to each of its commands: all are asked before the first answer is awaited."""
        answers: Answers = {}
        asked: dict[Node, Connection] = {}
        with ExitStack() as stack:
            for node, commands in questions.items():
                try:
                    pool = self._pool(node)
                    connection = pool.get_connection()
                    stack.callback(_give_back, pool, connection, asked, node)
                    asked[node] = connection
                    connection.send_packed_command(connection.pack_commands(commands))  # type: ignore[no-untyped-call]
                except _FAILED as error:
                    asked.pop(node, None)
                    answers[node] = [error] * len(commands)
            for node in tuple(asked):
                answers[node] = _answers(asked[node], len(questions[node]))
                del asked[node]
        return answers

    def close(self) -> None:
        with self._lock:
            pools, self._pools, self._slots = self._pools, {}, None
        for pool in pools.values():
            pool.close()

    def _pool(self, node: Node) -> ConnectionPool:
        pool = self._pools.get(node)
        if pool is None:
            pool = self._pools.setdefault(node, thread_pool(self._address, node))
        return pool

    def _learn(self, outdated: SlotMap | None) -> None:
        """Ask for the map of slots, unless another thread has done so since the caller saw this one."""
        if not self._lock.acquire(timeout=seconds_left() or -1):
            raise RedisConnectionError("the cluster does not say in time who serves what")
        try:
            if self._slots is outdated:
                self._ask_around(_candidates(self._address, outdated, self._told_by))
        finally:
            self._lock.release()

    def _ask_around(self, nodes: Sequence[Node]) -> None:
        failure: Any = None
        for place, node in enumerate(nodes, start=1):
            # A node that is silent leaves time for others.
            with within((seconds_left() or 1) / min(len(nodes) + 2 - place, 4)):
                [answer] = self.ask({node: [_ASK_SLOTS]})[node]
            if not isinstance(answer, Exception):
                self._slots, self._told_by = SlotMap(answer, node), node
                return
            failure = answer
        raise _nobody_answers(failure)


class AsyncClusterClient:
    """For the tasks of one event loop. Use it under `asyncio.timeout`."""

    def __init__(self, address: RedisAddress) -> None:
        self._address = address
        self._slots: SlotMap | None = None
        self._told_by: Node | None = None
        self._pools: dict[Node, AsyncConnectionPool] = {}
        self._lock = asyncio.Lock()

    async def run(self, calls: Sequence[Call]) -> None:
        """Make the calls, once more where a connection broke. An answer may be an error."""
        exchange = Exchange(calls, scripts={})
        while not exchange.is_over:
            slots = await self._known()
            groups = exchange.groups(slots)
            exchange.take(groups, await self._ask({node: _commands(group) for node, group in groups.items()}))
            if exchange.settle():
                await self._learn(slots)

    async def close(self) -> None:
        pools, self._pools, self._slots = self._pools, {}, None
        for pool in pools.values():
            await pool.aclose()

    async def _known(self) -> SlotMap:
        if self._slots is None:
            await self._learn(None)
        assert self._slots is not None  # noqa: S101 - learned, or raised
        return self._slots

    async def _ask(self, questions: Questions) -> Answers:
        answers = await asyncio.gather(*(self._ask_node(node, commands) for node, commands in questions.items()))
        return dict(zip(questions, answers, strict=True))

    async def _ask_node(self, node: Node, commands: Sequence[Command]) -> list[Any]:
        pool = self._pools.get(node)
        if pool is None:
            pool = self._pools.setdefault(node, task_pool(self._address, node))
        try:
            connection: AsyncConnection = await pool.get_connection()  # type: ignore[no-untyped-call]
        except _FAILED as error:
            return [error] * len(commands)
        try:
            await connection.send_packed_command(connection.pack_commands(commands))
            return await _async_answers(connection, len(commands))
        except _FAILED as error:
            return [error] * len(commands)
        except BaseException:  # too late: what is still to come must not be taken for another's answers
            await connection.disconnect(nowait=True)
            raise
        finally:
            await pool.release(connection)

    async def _learn(self, outdated: SlotMap | None) -> None:
        async with self._lock:
            if self._slots is not outdated:
                return
            nodes = _candidates(self._address, outdated, self._told_by)
            asking = [asyncio.create_task(self._ask_slots(node)) for node in nodes]
            try:
                await self._first_map(asking)
            finally:
                for task in asking:
                    task.cancel()
                await asyncio.gather(*asking, return_exceptions=True)

    async def _first_map(self, asking: Sequence[asyncio.Task[tuple[Node, Any]]]) -> None:
        failure: Any = None
        for first in asyncio.as_completed(asking):
            node, answer = await first
            if not isinstance(answer, Exception):
                self._slots, self._told_by = SlotMap(answer, node), node
                return
            failure = answer
        raise _nobody_answers(failure)

    async def _ask_slots(self, node: Node) -> tuple[Node, Any]:
        [answer] = await self._ask_node(node, [_ASK_SLOTS])
        return node, answer


def _commands(calls: Sequence[Call]) -> list[Command]:
    return [command for call in calls for command in call.commands]


def _candidates(address: RedisAddress, slots: SlotMap | None, told_by: Node | None) -> list[Node]:
    """Whom to ask for the map: who told it last, then every master that is known, then those of the settings."""
    known = () if slots is None else slots.masters
    return list(dict.fromkeys((*((told_by,) if told_by else ()), *known, *address.nodes)))


def _nobody_answers(failure: Exception) -> RedisError:
    if isinstance(failure, ResponseError):  # they answer, and do not tell
        return failure
    return RedisConnectionError(f"no node of the cluster says who serves what: {failure}")


def _answers(connection: Connection, count: int) -> list[Any]:
    """Errors are answers; after a broken connection it is the answer to all the rest."""
    answers: list[Any] = []
    while len(answers) < count:
        try:
            answers.append(connection.read_response())
        except ResponseError as error:
            answers.append(error)
        except _FAILED as error:
            answers += [error] * (count - len(answers))
    return answers


async def _async_answers(connection: AsyncConnection, count: int) -> list[Any]:
    answers: list[Any] = []
    while len(answers) < count:
        try:
            answers.append(await connection.read_response())
        except ResponseError as error:
            answers.append(error)
        except _FAILED as error:
            answers += [error] * (count - len(answers))
    return answers


def _give_back(pool: ConnectionPool, connection: Connection, asked: Mapping[Node, Connection], node: Node) -> None:
    """A connection that still has answers to come is closed: the next to use it would take them for its own."""
    if asked.get(node) is connection:
        connection.disconnect()  # type: ignore[no-untyped-call]
    pool.release(connection)
