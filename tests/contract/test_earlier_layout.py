"""Rows of the layout of the release before: nobody reads them, and they go when their table has been copied anew."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest
from redis import Redis
from redis.cluster import RedisCluster as ClusterCalls

from featurestore.adapters.redis_address import read_address
from featurestore.adapters.redis_cluster_online import RedisClusterStore
from featurestore.adapters.redis_online import RedisOnlineStore
from featurestore.adapters.row_codec import RowCodec
from featurestore.adapters.sqlite_online import SqliteOnlineStore
from tests.online_rows import DELAYS, NOON, delay_of, delays, mark, replace, write
from tests.redis_cluster import RedisCluster

EARLIER = RowCodec(DELAYS).earlier
_RECORD = bytes(28) + EARLIER.identity
"""Of the table; what the rows are does not matter."""
ROW = ("N1", NOON, NOON, 1.0)


def test_it_goes_from_the_embedded_store(tmp_path: Path) -> None:
    path = tmp_path / "online.sqlite"
    store = SqliteOnlineStore(path)
    write(store, DELAYS, delays(ROW))
    mark(store, DELAYS, NOON)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE filled_table SET identity = ?", [EARLIER.identity])

        replace(store, DELAYS, delays(ROW), NOON)

        assert connection.execute("SELECT count(*) FROM stored_row").fetchone() == (1,)
        assert connection.execute("SELECT count(*) FROM filled_table").fetchone() == (1,)
    assert delay_of(store, "N1") == 1.0


@pytest.mark.parametrize("ends", ["copied", "dropped"])
def test_it_goes_from_redis(redis_url: str, ends: str) -> None:
    namespace, redis = f"test-{uuid4()}", Redis.from_url(redis_url)
    store = RedisOnlineStore(read_address(redis_url), namespace=namespace)
    for key in _earlier_keys(namespace):
        redis.set(key, _RECORD)

    replace(store, DELAYS, delays(ROW), NOON)
    if ends == "dropped":
        store.drop(DELAYS)

    assert redis.exists(*_earlier_keys(namespace)) == 0
    assert delay_of(store, "N1") == (1.0 if ends == "copied" else None)
    store.close()
    redis.close()


def test_it_goes_from_a_cluster(redis_cluster: RedisCluster) -> None:
    namespace, address = f"test-{uuid4()}", read_address(redis_cluster.url)
    store = RedisClusterStore(address, namespace=namespace, timeout_seconds=10)
    with ClusterCalls.from_url(redis_cluster.url.replace("redis+cluster", "redis").split(",")[0]) as cluster:
        for key in _earlier_keys(namespace):
            cluster.set(key, _RECORD)

        replace(store, DELAYS, delays(ROW), NOON)

        assert [cluster.get(key) for key in _earlier_keys(namespace)] == [None, None, None]
    assert delay_of(store, "N1") == 1.0
    store.close()
    redis_cluster.flush()


def _earlier_keys(namespace: str) -> list[bytes]:
    rows = [f"{namespace}:{{{key}}}".encode() + EARLIER.digest for key in ("N1", "N2")]
    return [f"{namespace}:t".encode() + EARLIER.digest, *rows]
