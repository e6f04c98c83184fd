"""A master of a Redis Cluster dies under load: no answer is wrong, and no row that was told as written is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field

from featurestore.adapters.redis_address import RedisAddress, read_address
from featurestore.adapters.redis_cluster_online import RedisClusterStore
from featurestore.errors import KnownatError, StoreUnavailable
from tests.online_rows import DELAYS, NOON, delay_of, delays, replace, rows_of, write
from tests.redis_cluster import RedisCluster, running_cluster
from tests.redis_readers import EXPECTED, PATIENT, ROWS, SECONDS, SLACK, TAILS, Reading, by_tasks, by_threads, values


def opened(cluster: RedisCluster) -> closing[RedisClusterStore]:
    return closing(RedisClusterStore(read_address(cluster.url), timeout_seconds=PATIENT))


@dataclass(slots=True)
class Watch:
    """Reads on and on, beside others, and keeps what was wrong."""

    reading: Reading
    address: RedisAddress
    wrong: list[object] = field(default_factory=list)
    right: int = 0
    failed: int = 0
    slowest: float = 0.0
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        with self.reading(self.address, SECONDS) as read:
            while not self.stop.is_set():
                begun = time.monotonic()
                try:
                    answer = read(TAILS[:50])
                except StoreUnavailable:
                    self.failed += 1
                except KnownatError as error:
                    self.wrong.append(error)
                else:
                    self.right += 1
                    if answer.filled is None or values(answer) != EXPECTED[:50]:
                        self.wrong.append(answer)
                self.slowest = max(self.slowest, time.monotonic() - begun)
                time.sleep(0.002)


@contextmanager
def watched(cluster: RedisCluster) -> Iterator[list[Watch]]:
    watches = [Watch(reading, read_address(cluster.url)) for reading in (by_threads, by_threads, by_tasks)]
    with ExitStack() as stack:
        for watch in watches:
            thread = threading.Thread(target=watch.run)
            thread.start()
            stack.callback(thread.join)
            stack.callback(watch.stop.set)
        yield watches


def test_a_failover_under_load_gives_no_wrong_answer_and_loses_no_row() -> None:
    with (
        running_cluster() as cluster,
        closing(RedisClusterStore(read_address(cluster.url), timeout_seconds=PATIENT)) as store,
    ):
        replace(store, DELAYS, rows_of(DELAYS, ROWS), NOON)
        confirmed: list[str] = []
        with watched(cluster) as watches:
            replica = cluster.kill(cluster.masters()[0])
            for number in range(100):  # pushes go on, and some can not be stored
                tail = f"P{number}"
                try:
                    write(store, DELAYS, delays((tail, NOON, NOON, 1.0)))
                except StoreUnavailable:
                    time.sleep(0.02)
                else:
                    confirmed.append(tail)
            cluster.wait_until_master(replica)
            enough = [watch.right + 50 for watch in watches]
            give_up = time.monotonic() + 60
            while any(watch.right < right for watch, right in zip(watches, enough, strict=True)):
                assert time.monotonic() < give_up, "lookups are not answered again"
                time.sleep(0.02)

        assert [watch.wrong for watch in watches] == [[], [], []]
        assert max(watch.slowest for watch in watches) < SECONDS + SLACK
        assert [delay_of(store, tail) for tail in TAILS] == EXPECTED
        assert [delay_of(store, tail) for tail in confirmed] == [1.0] * len(confirmed)
