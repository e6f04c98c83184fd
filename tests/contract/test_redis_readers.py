"""Readers for threads and for tasks answer the same on every kind of Redis."""

from __future__ import annotations

import pytest

from featurestore.adapters.redis_cluster_online import RedisClusterStore
from featurestore.adapters.redis_online import RedisOnlineStore
from tests.contract.online_stores import ONLINE_STORES, redis_address
from tests.online_rows import DELAYS, NOON, replace, rows_of
from tests.redis_readers import EXPECTED, PATIENT, ROWS, TAILS, by_tasks, by_threads, values

NAMESPACE = "test-readers"  # what `acl_redis_url` grants begins with this


@pytest.mark.parametrize("kind", [kind for kind in ONLINE_STORES if kind.startswith("redis")])
def test_threads_and_tasks_find_the_same(request: pytest.FixtureRequest, kind: str) -> None:
    with redis_address(kind, request) as address:
        store_kind = RedisClusterStore if address.is_cluster else RedisOnlineStore
        store = store_kind(address, namespace=NAMESPACE, timeout_seconds=PATIENT)
        replace(store, DELAYS, rows_of(DELAYS, ROWS), NOON)

        for reading in (by_threads, by_tasks):
            with reading(address, PATIENT, NAMESPACE) as read:
                answer = read([*TAILS, "unknown"])
            assert values(answer) == [*EXPECTED, None]
            assert answer.filled is not None
            assert answer.filled.to == NOON
        store.drop(DELAYS)
        store.close()
