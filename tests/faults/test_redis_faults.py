"""What the Redis store says and does when Redis is gone, hangs, lost its memory, or is set up to lose it."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from featurestore.adapters.redis_address import read_address
from featurestore.adapters.redis_online import RedisOnlineStore
from featurestore.errors import SettingsError, StoreCorrupted, StoreRefused, StoreUnavailable
from featurestore.ports.online_store import FillRequest, WriteCount
from tests.online_rows import DELAYS, NOON, delay_of, delays, filled_to, mark, read_one, replace, rows_of, write
from tests.redis_server import RedisServer, free_port, running_redis


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """A server of the test's own, to be ill-treated."""
    with running_redis() as own:
        yield own


def opened(url: str, timeout_seconds: float = 10) -> closing[RedisOnlineStore]:
    return closing(
        RedisOnlineStore(read_address(url), timeout_seconds=timeout_seconds, write_timeout_seconds=timeout_seconds)
    )


def test_a_refused_connection_is_unavailable_and_the_message_names_the_address_without_the_password() -> None:
    port = free_port()

    with opened(f"redis://user:hunter2@127.0.0.1:{port}/0") as store, pytest.raises(StoreUnavailable) as caught:
        read_one(store, DELAYS, ("N1",))

    assert f"127.0.0.1:{port}" in caught.value.message
    assert "hunter2" not in caught.value.message


def test_writing_to_a_refused_connection_is_unavailable() -> None:
    with opened(f"redis://127.0.0.1:{free_port()}") as store:
        with pytest.raises(StoreUnavailable):
            store.begin(FillRequest(DELAYS, NOON))
        with pytest.raises(StoreUnavailable):
            store.drop(DELAYS)
        with pytest.raises(StoreUnavailable):
            store.sample_keys(DELAYS, 1)


def test_a_server_that_accepts_and_never_answers_is_unavailable_after_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}"

        with opened(url, timeout_seconds=0.1) as store, pytest.raises(StoreUnavailable, match=r"[Tt]imeout"):
            read_one(store, DELAYS, ("N1",))


def test_a_server_that_freezes_is_unavailable_and_works_again_when_it_thaws(server: RedisServer) -> None:
    with opened(server.url, timeout_seconds=0.5) as store:
        write(store, DELAYS, delays(("N1", NOON, NOON, 1.0)))
        with server.frozen(), pytest.raises(StoreUnavailable):
            delay_of(store, "N1")

        assert delay_of(store, "N1") == 1.0


def test_after_flushall_a_table_is_not_filled_rather_than_full_of_unknown_keys(server: RedisServer) -> None:
    with opened(server.url) as store, server.client() as client:
        write(store, DELAYS, delays(("N1", NOON, NOON, 1.0)))
        mark(store, DELAYS, NOON)
        client.flushall()

        assert filled_to(store, DELAYS) is None


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-lfu", "allkeys-random"])
def test_a_server_that_may_evict_rows_is_refused_before_anything_is_written(server: RedisServer, policy: str) -> None:
    with opened(server.url) as store, server.client() as client:
        client.config_set("maxmemory-policy", policy)

        with pytest.raises(StoreRefused, match=f"'{policy}'.*CONFIG SET maxmemory-policy noeviction"):
            store.begin(FillRequest(DELAYS, NOON))
        assert client.dbsize() == 0


@pytest.mark.parametrize("policy", ["noeviction", "volatile-lru", "volatile-ttl"])
def test_a_server_that_evicts_only_keys_with_an_expiry_is_taken(server: RedisServer, policy: str) -> None:
    with opened(server.url) as store, server.client() as client:
        client.config_set("maxmemory-policy", policy)

        assert write(store, DELAYS, delays(("N1", NOON, NOON, 1.0))) == WriteCount(1, 0)


def test_the_eviction_policy_is_found_where_config_is_forbidden(server: RedisServer) -> None:
    with server.client() as client:
        client.acl_setuser(
            "knownat", enabled=True, passwords=["+pw"], keys=["knownat:*"], categories=["+@all", "-@admin"]
        )
    url = server.url.replace("redis://", "redis://knownat:pw@")

    with opened(url) as store:
        assert write(store, DELAYS, delays(("N1", NOON, NOON, 1.0))) == WriteCount(1, 0)
        assert replace(store, DELAYS, delays(("N2", NOON, NOON, 2.0)), NOON) == WriteCount(1, 0)
        assert store.sample_keys(DELAYS, 2) == [("N2",)]


def test_a_user_who_may_not_write_there_is_refused_with_what_to_grant(server: RedisServer) -> None:
    with server.client() as client:
        client.acl_setuser(
            "reader", enabled=True, passwords=["+pw"], keys=["knownat:*"], categories=["+@read"], commands=["+info"]
        )

    with opened(server.url.replace("redis://", "redis://reader:pw@")) as store, pytest.raises(StoreRefused) as caught:
        write(store, DELAYS, delays(("N1", NOON, NOON, 1.0)))

    assert "+@write" in caught.value.message


def test_a_wrong_password_is_unavailable_and_not_printed(server: RedisServer) -> None:
    with (
        opened(server.url.replace("redis://", "redis://:hunter2@")) as store,
        pytest.raises(StoreUnavailable) as caught,
    ):
        read_one(store, DELAYS, ("N1",))

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("replaces", [False, True])
def test_a_full_server_refuses_and_says_exactly_how_many_rows_it_has(replaces: bool) -> None:
    rows = [(f"N{number}", NOON, NOON, 1.0) for number in range(60_000)]

    with running_redis("--maxmemory", "4mb") as server, opened(server.url) as store, server.client() as client:
        fill = store.begin(FillRequest(DELAYS, NOON, replaces))
        with pytest.raises(StoreRefused) as caught:
            store.write(fill, rows_of(DELAYS, rows))

        stored = client.dbsize() - 1  # the table's record
        assert 0 < stored < len(rows)
        assert f": {stored} rows were written" in caught.value.message


def test_writing_again_finishes_what_a_full_server_interrupted() -> None:
    rows = [(f"N{number}", NOON, NOON, 1.0) for number in range(60_000)]

    with running_redis("--maxmemory", "4mb") as server, opened(server.url) as store, server.client() as client:
        with pytest.raises(StoreRefused):
            write(store, DELAYS, rows_of(DELAYS, rows))
        client.config_set("maxmemory", "100mb")

        assert write(store, DELAYS, rows_of(DELAYS, rows)) == WriteCount(60_000, 0)
        assert client.dbsize() == 60_000 + 1


def test_marking_on_a_full_server_is_refused() -> None:
    with running_redis() as server, opened(server.url) as store, server.client() as client:
        client.config_set("maxmemory", "1")

        with pytest.raises(StoreRefused, match="full"):
            mark(store, DELAYS, NOON)


def test_a_server_restarted_between_calls_is_found_again_and_known_to_be_empty() -> None:
    port = free_port()
    with opened(f"redis://127.0.0.1:{port}") as store:
        with running_redis(port=port):
            write(store, DELAYS, delays(("N1", NOON, NOON, 1.0)))
            mark(store, DELAYS, NOON)
            before = filled_to(store, DELAYS)

        with running_redis(port=port):
            after_restart = filled_to(store, DELAYS)
            again = write(store, DELAYS, delays(("N1", NOON, NOON, 2.0)))

    assert (before, after_restart) == (NOON, None)
    assert again == WriteCount(1, 0)


def test_bytes_that_somebody_else_wrote_under_our_keys_are_corrupted(server: RedisServer) -> None:
    with opened(server.url) as store, server.client() as client:
        write(store, DELAYS, delays(("N1", NOON, NOON, 1.0)))
        [key] = client.keys("knownat:{*")
        client.set(key, b"something else entirely")

        with pytest.raises(StoreCorrupted, match="delays@0a1b2c3d"):
            delay_of(store, "N1")


@pytest.mark.parametrize("url", ["http://:hunter2@host", "redis://:hun/ter2@host:6379", "", "redis://:hunter2@host:x"])
def test_a_url_that_can_not_be_read_is_a_settings_error_that_does_not_repeat_it(url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_address(url)

    assert "hun" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_read_on_a_connection_that_breaks_is_tried_once_more_and_no_more() -> None:
    commands: list[bytes] = []

    class Breaking(socketserver.StreamRequestHandler):
        """Says OK to the handshake, and hangs up on the command itself."""

        def handle(self) -> None:
            while (data := self.request.recv(65_536)) and b"MGET" not in data:
                self.request.sendall(b"+OK\r\n")
            commands.append(data)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Breaking) as broken:
        threading.Thread(target=broken.serve_forever, daemon=True).start()
        with opened(f"redis://127.0.0.1:{broken.server_address[1]}") as store, pytest.raises(StoreUnavailable):
            read_one(store, DELAYS, ("N1",))
        broken.shutdown()

    assert len(commands) == 2
