"""Every online store, opened for a test as often as it likes."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from featurestore.adapters.memory_online import MemoryOnlineStore
from featurestore.adapters.redis_address import RedisAddress, TlsFiles, read_address
from featurestore.adapters.redis_cluster_online import RedisClusterStore
from featurestore.adapters.redis_online import RedisOnlineStore
from featurestore.adapters.sqlite_online import SqliteOnlineStore
from featurestore.ports.online_store import OnlineStore
from tests.certificates import Certificates
from tests.redis_cluster import RedisCluster
from tests.redis_server import RedisServer

ONLINE_STORES = ("memory", "sqlite", "redis", "redis-unix", "redis-tls", "redis-acl", "redis-cluster")

OpenStore = Callable[[], OnlineStore]
RedisStore = RedisOnlineStore | RedisClusterStore


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
            with redis_address(kind, request) as address, ExitStack() as stack:
                kind_of_store = RedisClusterStore if address.is_cluster else RedisOnlineStore
                namespace = f"test-*[{uuid.uuid4()}]"

                def open_redis() -> RedisStore:
                    store = kind_of_store(address, namespace=namespace, timeout_seconds=10)
                    stack.callback(store.close)
                    return store

                yield open_redis


@contextmanager
def redis_address(kind: str, request: pytest.FixtureRequest) -> Iterator[RedisAddress]:
    """Where a Redis of this kind is; what tests write to a cluster is gone afterwards."""
    match kind:
        case "redis-unix":
            server: RedisServer = request.getfixturevalue("redis_server")
            yield read_address(server.unix_url)
        case "redis-tls":
            certificates: Certificates = request.getfixturevalue("certificates")
            own = certificates.client
            files = TlsFiles(certificates.authority, own.certificate, own.key)
            yield read_address(request.getfixturevalue("tls_redis").url, files)
        case "redis-acl":
            yield read_address(request.getfixturevalue("acl_redis_url"))
        case "redis-cluster":
            cluster: RedisCluster = request.getfixturevalue("redis_cluster")
            yield read_address(cluster.url)
            cluster.flush()
        case _:
            yield read_address(request.getfixturevalue("redis_url"))
