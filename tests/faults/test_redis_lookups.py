"""Lookups while a single Redis, or the line to it, is in trouble: in time, and right or refused."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta

import pytest

from featurestore.adapters.redis_address import RedisAddress, read_address
from featurestore.adapters.redis_online import RedisOnlineStore
from featurestore.errors import ConcurrentChange, StoreRefused, StoreUnavailable
from featurestore.ports.online_store import FillRequest
from tests.online_rows import DELAYS, NOON, after, filled_to, replace, rows_of
from tests.redis_readers import (
    EXPECTED,
    PATIENT,
    ROWS,
    SECONDS,
    TAILS,
    Reading,
    by_tasks,
    by_threads,
    fails_in_time,
    values,
)
from tests.redis_server import RedisServer, free_port, running_redis
from tests.tcp_proxy import PERFECT, Line, TcpProxy, running_proxy

both = pytest.mark.parametrize("reading", [by_threads, by_tasks])


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """A server of the test's own, to be ill-treated, with all rows."""
    with running_redis() as own:
        fill(own)
        yield own


@pytest.fixture
def proxy(server: RedisServer) -> Iterator[TcpProxy]:
    with running_proxy(server.port) as proxy:
        yield proxy


def fill(server: RedisServer) -> None:
    with opened(server) as store:
        replace(store, DELAYS, rows_of(DELAYS, ROWS), NOON)


def opened(server: RedisServer) -> closing[RedisOnlineStore]:
    return closing(RedisOnlineStore(read_address(server.url), timeout_seconds=PATIENT))


def through(proxy: TcpProxy) -> RedisAddress:
    return read_address(f"redis://127.0.0.1:{proxy.port}")


@both
def test_a_refused_connection_ends_the_lookup_in_time(reading: Reading) -> None:
    with reading(read_address(f"redis://127.0.0.1:{free_port()}"), SECONDS) as read:
        fails_in_time(read)


@both
def test_a_server_that_hangs_ends_the_lookup_in_time_and_answers_when_it_goes_on(
    server: RedisServer, reading: Reading
) -> None:
    with reading(read_address(server.url), SECONDS) as read:
        read(TAILS[:1])
        with server.frozen():
            fails_in_time(read)
            fails_in_time(read)
    with reading(read_address(server.url), PATIENT) as read:
        assert values(read(TAILS)) == EXPECTED


@both
@pytest.mark.parametrize(
    "line",
    [
        Line(is_black_hole=True),
        Line(latency_seconds=60),
        Line(drip_seconds=0.001),  # never silent for long, and 8 seconds for all of it
        Line(reset_after=0),
        Line(reset_after=3_000),
    ],
    ids=["black hole", "latency", "drip", "reset", "reset within the answer"],
)
def test_a_spoiled_line_ends_the_lookup_in_time_and_the_next_answer_is_right(
    proxy: TcpProxy, reading: Reading, line: Line
) -> None:
    with reading(through(proxy), SECONDS) as read:
        read(TAILS[:1])
        proxy.line = line
        for _ in range(3):
            fails_in_time(read)
        proxy.line = PERFECT

        assert values(read(TAILS[:20])) == EXPECTED[:20]


@both
def test_some_latency_within_the_deadline_is_just_slow(proxy: TcpProxy, reading: Reading) -> None:
    proxy.line = Line(latency_seconds=0.1)

    with reading(through(proxy), PATIENT) as read:
        assert values(read(TAILS)) == EXPECTED


@both
def test_connections_that_were_cut_are_replaced_and_the_lookup_is_right(proxy: TcpProxy, reading: Reading) -> None:
    with reading(through(proxy), PATIENT) as read:
        for _ in range(5):
            assert values(read(TAILS)) == EXPECTED
            proxy.cut()


@both
def test_a_server_that_is_lost_without_a_word_ends_the_lookup_in_time(proxy: TcpProxy, reading: Reading) -> None:
    with reading(through(proxy), SECONDS) as read:
        read(TAILS[:1])
        proxy.lose_server()
        fails_in_time(read)

        assert values(read(TAILS[:20])) == EXPECTED[:20]


@both
def test_a_restart_fails_at_most_one_lookup_of_each_connection(reading: Reading) -> None:
    port, readers, failed, wrong = free_port(), 4, [0] * 4, []
    ready, restarted = threading.Barrier(readers + 1), threading.Event()

    def look_up(number: int) -> None:
        with reading(read_address(f"redis://127.0.0.1:{port}"), PATIENT) as read:
            read(TAILS)
            ready.wait()
            restarted.wait()
            for _ in range(20):
                try:
                    answer = read(TAILS)
                except StoreUnavailable:
                    failed[number] += 1
                else:
                    wrong.extend([] if values(answer) == EXPECTED else [answer])

    threads = [threading.Thread(target=look_up, args=(number,)) for number in range(readers)]
    with running_redis(port=port) as before:
        fill(before)
        for thread in threads:
            thread.start()
        ready.wait()
    with running_redis(port=port) as again:
        fill(again)
        restarted.set()
        for thread in threads:
            thread.join()

    assert max(failed) <= 1
    assert wrong == []


@both
def test_a_server_that_restarted_empty_or_was_flushed_is_not_filled(server: RedisServer, reading: Reading) -> None:
    with reading(read_address(server.url), PATIENT) as read, server.client() as client:
        client.flushall()

        assert read(TAILS).filled is None


@pytest.mark.parametrize("replaces", [False, True])
def test_a_flush_while_rows_are_copied_leaves_no_mark_over_lost_rows(server: RedisServer, replaces: bool) -> None:
    with opened(server) as store, server.client() as client:
        fill = store.begin(FillRequest(DELAYS, NOON, replaces))
        store.write(fill, rows_of(DELAYS, ROWS[:100]))
        client.flushall()

        with pytest.raises(ConcurrentChange, match="flushed"):
            store.write(fill, rows_of(DELAYS, ROWS[100:]))
        with pytest.raises(ConcurrentChange, match="flushed"):
            store.finish(fill, after(1))
        assert filled_to(store, DELAYS) is None
        assert client.dbsize() == 0


def test_rows_get_an_expiry_only_where_such_rows_are_never_evicted(server: RedisServer) -> None:
    expiries = {}
    for policy in ("noeviction", "volatile-lru", "volatile-ttl", "volatile-random"):
        with opened(server) as store, server.client() as client:
            client.config_set("maxmemory-policy", policy)
            fill = store.begin(FillRequest(DELAYS, NOON, replaces=True, keeps=timedelta(days=7)))
            store.write(fill, rows_of(DELAYS, ROWS))
            store.finish(fill, NOON)
            expiries[policy] = {client.pttl(key) > 0 for key in client.keys("knownat:{*")}

    assert expiries.pop("noeviction") == {True}
    assert set.union(*expiries.values()) == {False}


def test_a_full_server_that_evicts_what_expires_keeps_every_row_that_it_took(server: RedisServer) -> None:
    rows = [(f"M{number}", NOON, NOON, 1.0) for number in range(60_000)]
    with opened(server) as store, server.client() as client:
        client.config_set("maxmemory-policy", "volatile-lru")
        client.config_set("maxmemory", int(client.info("memory")["used_memory"]) + 2_000_000)
        fill = store.begin(FillRequest(DELAYS, NOON, keeps=timedelta(days=7)))
        with pytest.raises(StoreRefused, match="full") as caught:
            store.write(fill, rows_of(DELAYS, rows))
        stored = len(client.keys("knownat:{*")) - len(ROWS)

    assert stored > 0
    assert f": {stored} rows were written" in caught.value.message


def test_a_lookup_does_not_wait_for_one_that_hangs(proxy: TcpProxy) -> None:
    """Each has a connection of its own."""
    with closing(RedisOnlineStore(through(proxy), timeout_seconds=PATIENT)) as store, ThreadPoolExecutor() as threads:
        filled_to(store, DELAYS)
        proxy.line = Line(is_black_hole=True)
        hanging = threads.submit(filled_to, store, DELAYS)
        while not proxy.swallowed:
            time.sleep(0.01)
        proxy.line = PERFECT

        assert filled_to(store, DELAYS) == NOON
        assert not hanging.done()
        assert isinstance(hanging.exception(), StoreUnavailable)
