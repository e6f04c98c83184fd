"""Readers of Redis stores for threads and for tasks, in one shape, so that fault tests ask both the same."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager

import pytest

from featurestore.adapters.redis_address import RedisAddress
from featurestore.adapters.redis_cluster_online import AsyncRedisClusterReader, RedisClusterStore
from featurestore.adapters.redis_online import AsyncRedisReader, RedisOnlineStore
from featurestore.errors import StoreUnavailable
from featurestore.ports.online_store import TableRead, TableRows
from tests.online_rows import DELAYS, NOON, rows_found

SECONDS = 0.5
"""The deadline where a request is expected to miss it."""
PATIENT = 10.0
"""The deadline where it is not, on a busy machine."""
SLACK = 20.0
"""By how much it may be missed, on a busy machine too: without one, a request would never end."""
TAILS = tuple(f"N{number}" for number in range(200))
ROWS = [(tail, NOON, NOON, float(number)) for number, tail in enumerate(TAILS)]
EXPECTED = [float(number) for number in range(len(TAILS))]

Read = Callable[[Sequence[str]], TableRows]
Reading = Callable[[RedisAddress, float], AbstractContextManager[Read]]
_NAMESPACE = "knownat"


@contextmanager
def by_threads(address: RedisAddress, seconds: float, namespace: str = _NAMESPACE) -> Iterator[Read]:
    kind = RedisClusterStore if address.is_cluster else RedisOnlineStore
    with closing(kind(address, namespace=namespace, timeout_seconds=seconds)) as store:
        yield lambda tails: store.read([TableRead(DELAYS, [(tail,) for tail in tails])])[0]


@contextmanager
def by_tasks(address: RedisAddress, seconds: float, namespace: str = _NAMESPACE) -> Iterator[Read]:
    kind = AsyncRedisClusterReader if address.is_cluster else AsyncRedisReader
    with asyncio.Runner() as runner:

        async def opened() -> AsyncRedisClusterReader | AsyncRedisReader:
            return kind(address, namespace=namespace, timeout_seconds=seconds)

        reader = runner.run(opened())

        def read(tails: Sequence[str]) -> TableRows:
            return runner.run(reader.read([TableRead(DELAYS, [(tail,) for tail in tails])]))[0]

        yield read
        runner.run(reader.close())
        runner.run(asyncio.sleep(0.01))  # asyncio closes what is left of connections a moment later


def values(answer: TableRows) -> list[object]:
    return [None if row is None else row.values[0] for row in rows_found(answer)]


def fails_in_time(read: Read, seconds: float = SECONDS) -> None:
    begun = time.monotonic()
    with pytest.raises(StoreUnavailable):
        read(TAILS)

    assert time.monotonic() - begun < seconds + SLACK
