"""Every online store, opened for a test as often as it likes."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from featurestore.adapters.memory_online import MemoryOnlineStore
from featurestore.adapters.redis_address import read_address
from featurestore.adapters.redis_online import RedisOnlineStore
from featurestore.adapters.sqlite_online import SqliteOnlineStore
from featurestore.ports.online_store import OnlineStore

ONLINE_STORES = ("memory", "sqlite", "redis")

OpenStore = Callable[[], OnlineStore]


@contextmanager
def opened_stores(kind: str, request: pytest.FixtureRequest, folder: Path) -> Iterator[OpenStore]:
    """Opens the same, at first empty, store again and again, as several processes would."""
    match kind:
        case "memory":
            memory = MemoryOnlineStore()
            yield lambda: memory
        case "sqlite":
            yield lambda: SqliteOnlineStore(folder / "online.sqlite")
        case _:
            url, namespace = request.getfixturevalue("redis_url"), f"test-*[{uuid.uuid4()}]"
            opened: list[RedisOnlineStore] = []

            def open_redis() -> RedisOnlineStore:
                opened.append(RedisOnlineStore(read_address(url), namespace=namespace, timeout_seconds=10))
                return opened[-1]

            yield open_redis
            for each in opened:
                each.close()
