"""What the store in a Redis Cluster says and does when parts of the cluster are gone, flushed, full, or taken over.

Readers for threads and for tasks must do the same. Each test has a cluster of its own, to be ill-treated.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from featurestore.adapters.redis_address import TlsFiles, read_address
from featurestore.adapters.redis_cluster_online import RedisClusterStore
from featurestore.adapters.redis_layout import RedisLayout
from featurestore.adapters.row_codec import RowCodec
from featurestore.errors import ConcurrentChange, StoreRefused, StoreUnavailable
from featurestore.ports.online_store import FillRequest, TableRead, WriteCount
from tests.certificates import Certificates
from tests.online_rows import DELAYS, NOON, after, delay_of, delays, filled_to, mark, replace, rows_of, write
from tests.redis_cluster import RedisCluster, running_cluster
from tests.redis_readers import EXPECTED, ROWS, SECONDS, TAILS, Reading, by_tasks, by_threads, fails_in_time, values
from tests.redis_server import RedisServer, free_port, granted

both = pytest.mark.parametrize("reading", [by_threads, by_tasks])


@pytest.fixture(scope="module")
def cluster() -> Iterator[RedisCluster]:
    with running_cluster() as own:
        yield own


@pytest.fixture
def fresh(cluster: RedisCluster) -> RedisCluster:
    """Whole, with all nodes alive, and empty."""
    cluster.flush()
    return cluster


def opened(url: str, seconds: float = 10) -> closing[RedisClusterStore]:
    return closing(RedisClusterStore(read_address(url), timeout_seconds=seconds))


def filled(cluster: RedisCluster) -> None:
    with opened(cluster.url) as store:
        replace(store, DELAYS, rows_of(DELAYS, ROWS), NOON)


@both
def test_all_rows_are_found_on_all_nodes(fresh: RedisCluster, reading: Reading) -> None:
    filled(fresh)

    with reading(read_address(fresh.url), 10) as read:
        answer = read([*TAILS, "unknown"])

    assert values(answer) == [*EXPECTED, None]
    assert answer.filled is not None


@both
def test_a_flushed_master_makes_its_rows_not_filled_and_never_unknown(fresh: RedisCluster, reading: Reading) -> None:
    filled(fresh)

    with reading(read_address(fresh.url), 10) as read:
        for master in fresh.masters():
            with master.client() as client:
                client.flushall()
            answers = [read([tail]) for tail in TAILS]
            assert read([]).filled is None
            with opened(fresh.url) as store:
                assert filled_to(store, DELAYS) is None
            for answer, row in zip(answers, ROWS, strict=True):
                assert answer.filled is None or values(answer) == [row[3]]
            assert any(answer.filled is None for answer in answers)
            filled(fresh)
            assert values(read(TAILS)) == EXPECTED


def test_a_table_that_was_not_copied_since_a_flush_stays_not_filled(fresh: RedisCluster) -> None:
    filled(fresh)
    other = type(DELAYS)("other@00000000", DELAYS.keys, DELAYS.values)
    with opened(fresh.url) as store:
        replace(store, other, rows_of(other, ROWS), NOON)
        with fresh.masters()[1].client() as client:
            client.flushall()
        replace(store, other, rows_of(other, ROWS), NOON)

        again, before = store.read([TableRead(table, [(tail,) for tail in TAILS]) for table in (other, DELAYS)])

    assert values(again) == EXPECTED
    assert before.filled is None


@pytest.mark.parametrize("replaces", [False, True])
def test_a_master_that_is_flushed_while_rows_are_copied_is_not_marked_over(fresh: RedisCluster, replaces: bool) -> None:
    filled(fresh)
    with opened(fresh.url) as store:
        fill = store.begin(FillRequest(DELAYS, NOON, replaces))
        store.write(fill, rows_of(DELAYS, ROWS))
        with fresh.masters()[2].client() as client:
            client.flushall()

        with pytest.raises(ConcurrentChange, match="flushed"):
            store.finish(fill, after(1))
        assert filled_to(store, DELAYS) is None


def test_rows_of_a_flushed_record_are_replaced_all_the_same(fresh: RedisCluster) -> None:
    with opened(fresh.url) as store:
        for number in range(3):  # later generations than a table that begins anew would have
            replace(store, DELAYS, rows_of(DELAYS, [(tail, after(9), NOON, float(number)) for tail in TAILS]), NOON)
        record = next(key for master in fresh.masters() for key in _keys(master, "knownat:t*"))
        with fresh.master_of(record).client() as client:
            client.flushall()
        replace(store, DELAYS, rows_of(DELAYS, ROWS), NOON)

        assert [delay_of(store, tail) for tail in TAILS] == EXPECTED


def _keys(master: RedisServer, pattern: str) -> list[bytes]:
    with master.client() as client:
        return [key for key in client.keys(pattern) if isinstance(key, bytes)]


@both
def test_a_frozen_master_ends_the_request_in_time_and_answers_when_it_thaws(
    fresh: RedisCluster, reading: Reading
) -> None:
    filled(fresh)
    with reading(read_address(fresh.url), SECONDS) as read:
        read([TAILS[0]])
        with fresh.masters()[0].frozen():
            fails_in_time(read)
        time.sleep(0.1)
        fresh.wait_until_whole(replicas=False)

        assert values(read(TAILS)) == EXPECTED


def test_a_cluster_that_is_gone_ends_the_request_in_time() -> None:
    url = f"redis+cluster://:hunter2@127.0.0.1:{free_port()},127.0.0.1:{free_port()}"
    for reading in (by_threads, by_tasks):
        with reading(read_address(url), SECONDS) as read:
            fails_in_time(read)
            with pytest.raises(StoreUnavailable) as caught:
                read(TAILS)
            assert "hunter2" not in caught.value.message


def test_a_server_that_is_no_cluster_is_told_so(redis_url: str) -> None:
    with opened(redis_url.replace("redis://", "redis+cluster://")) as store, pytest.raises(StoreUnavailable) as caught:
        delay_of(store, "N1")

    assert "cluster support disabled" in caught.value.message


@both
def test_one_node_that_is_down_does_not_keep_a_client_from_starting(fresh: RedisCluster, reading: Reading) -> None:
    filled(fresh)
    url = f"redis+cluster://127.0.0.1:{free_port()},127.0.0.1:{fresh.masters()[0].port}"

    with reading(read_address(url), 10) as read:
        assert values(read(TAILS)) == EXPECTED


@both
def test_slots_that_changed_their_master_in_good_order_are_found_again(fresh: RedisCluster, reading: Reading) -> None:
    filled(fresh)
    with reading(read_address(fresh.url), 10) as read:
        read(TAILS)
        fresh.fail_over(fresh.masters()[0])

        assert values(read(TAILS)) == EXPECTED


@both
def test_a_slot_that_is_just_moving_is_read_at_both_nodes(fresh: RedisCluster, reading: Reading) -> None:
    filled(fresh)
    with reading(read_address(fresh.url), 10) as read, fresh.moving_slot(_row_of(fresh, "N7")):
        assert values(read(TAILS)) == EXPECTED
        assert values(read(["N7"])) == [7.0]


def test_a_row_of_a_slot_that_is_just_moving_is_written(fresh: RedisCluster) -> None:
    filled(fresh)
    with opened(fresh.url) as store, fresh.moving_slot(_row_of(fresh, "N7")):
        assert write(store, DELAYS, delays(("N7", after(1), NOON, 70.0))) == WriteCount(1, 0)

        assert delay_of(store, "N7") == 70.0


def _row_of(cluster: RedisCluster, tail: str) -> bytes:
    return next(
        key for master in cluster.masters() for key in _keys(master, "knownat:{*") if tail.encode() + b"}" in key
    )


def test_a_full_master_refuses_and_says_exactly_how_many_rows_there_are(fresh: RedisCluster) -> None:
    rows = [(f"M{number}", NOON, NOON, 1.0) for number in range(60_000)]
    with opened(fresh.url) as store:
        fill = store.begin(FillRequest(DELAYS, NOON))
        with fresh.masters()[0].client() as full:
            full.config_set("maxmemory", 5_000_000)
            try:
                with pytest.raises(StoreRefused, match="full") as caught:
                    store.write(fill, rows_of(DELAYS, rows))
            finally:
                full.config_set("maxmemory", 0)
        stored = sum(len(_keys(master, "knownat:{*")) for master in fresh.masters())

        assert 0 < stored < len(rows)
        assert f": {stored} rows were written" in caught.value.message
        assert store.write(fill, rows_of(DELAYS, rows)) == WriteCount(60_000, 0)


def test_one_master_that_may_evict_rows_is_enough_to_refuse(fresh: RedisCluster) -> None:
    culprit = fresh.masters()[1]
    with opened(fresh.url) as store, culprit.client() as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        try:
            with pytest.raises(StoreRefused, match=f"{culprit.port}.*'allkeys-lru'"):
                store.begin(FillRequest(DELAYS, NOON))
        finally:
            client.config_set("maxmemory-policy", "noeviction")


def test_rows_are_copied_and_removed_while_slots_are_moving(fresh: RedisCluster) -> None:
    filled(fresh)
    with opened(fresh.url) as store, fresh.moving_slot(_row_of(fresh, "N7")):
        replace(store, DELAYS, rows_of(DELAYS, ROWS[:100]), after(1))

        assert [delay_of(store, tail) for tail in TAILS[:101]] == [*EXPECTED[:100], None]
        store.drop(DELAYS)
        assert filled_to(store, DELAYS) is None


def test_a_user_with_the_documented_rights_can_do_all_that_is_needed(fresh: RedisCluster) -> None:
    for node in fresh.nodes:
        with node.client() as client:
            rules = [*granted("knownat"), "+cluster|slots", "+wait", "+asking"]
            client.execute_command("ACL SETUSER", "knownat", "on", ">pw", *rules)  # type: ignore[no-untyped-call]
    url = fresh.url.replace("://", "://knownat:pw@")

    with opened(url) as store:
        assert replace(store, DELAYS, rows_of(DELAYS, ROWS), NOON) == WriteCount(len(ROWS), 0)
        assert len(store.sample_keys(DELAYS, 500)) == len(ROWS)
        for reading in (by_threads, by_tasks):
            with reading(read_address(url), 10) as read:
                assert values(read(TAILS)) == EXPECTED
        store.drop(DELAYS)
        assert filled_to(store, DELAYS) is None


def test_a_cluster_with_tls_is_filled_and_read(certificates: Certificates) -> None:
    own = certificates.client
    files = TlsFiles(certificates.authority, own.certificate, own.key)
    with running_cluster(certificates=certificates) as cluster:
        address = read_address(cluster.url, files)
        with closing(RedisClusterStore(address, timeout_seconds=10)) as store:
            replace(store, DELAYS, rows_of(DELAYS, ROWS), NOON)
        cluster.fail_over(cluster.masters()[0])

        for reading in (by_threads, by_tasks):
            with reading(address, 10) as read:
                assert values(read(TAILS)) == EXPECTED


def test_a_write_is_not_told_as_done_until_its_replica_has_it_or_is_known_to_be_gone(fresh: RedisCluster) -> None:
    filled(fresh)
    master = fresh.master_of(_row_of(fresh, "N7"))
    with opened(f"redis+cluster://127.0.0.1:{master.port}") as store:
        replica = fresh.replica_of(master)
        replica.process.send_signal(signal.SIGSTOP)
        try:
            with pytest.raises(StoreUnavailable, match="no replica confirmed"):
                write(store, DELAYS, delays(("N7", after(1), NOON, 70.0)))
            fresh.wait_until_given_up(replica)

            assert write(store, DELAYS, delays(("N7", after(2), NOON, 71.0))) == WriteCount(1, 0)
        finally:
            replica.process.send_signal(signal.SIGCONT)
        fresh.wait_until_whole(replicas=True)


def test_marking_fails_where_a_master_was_lost_meanwhile(fresh: RedisCluster) -> None:
    with opened(fresh.url) as store:
        mark(store, DELAYS, NOON)
        assert filled_to(store, DELAYS) == NOON
        flush_one_without(fresh, RedisLayout("knownat").record(RowCodec(DELAYS)))
        with pytest.raises(ConcurrentChange):
            mark(store, DELAYS, after(1))


def flush_one_without(cluster: RedisCluster, key: bytes) -> None:
    """Flush a master that does not have the key."""
    for node in cluster.masters():
        with node.client() as client:
            if not any(name == key for name in client.scan_iter(match=b"*", count=10_000)):
                client.flushall()
                return
    pytest.fail("Every master has the key.")
