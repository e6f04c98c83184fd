"""What a stream's reader says and does when Redis is gone, hangs, forgets, is full, or is set up to forget."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from time import sleep

import pytest

from featurestore.adapters.redis_address import read_address
from featurestore.adapters.redis_stream import Membership, Pace, RedisStream
from featurestore.errors import InvalidRequest, SettingsError, StoreCorrupted, StoreRefused, StoreUnavailable
from featurestore.ports.entries import BEFORE_ALL, Entry, EntryId, Gap
from featurestore.ports.stream import Rejected
from tests.redis_server import RedisServer, free_port, running_redis

STREAM = "visits"
ONE = EntryId(1, 0)
PACE = Pace(wait=timedelta(milliseconds=50), gather=timedelta(milliseconds=50))


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """A server of the test's own, to be ill-treated."""
    with running_redis() as own:
        yield own


def opened(url: str, *, timeout_seconds: float = 10) -> closing[RedisStream]:
    timeout = timedelta(seconds=timeout_seconds)
    pace = Pace(wait=PACE.wait, gather=PACE.gather, claim_after=timedelta(0), timeout=timeout)
    return closing(RedisStream(read_address(url), Membership(STREAM, "group", "consumer"), pace))


def add(server: RedisServer, *texts: str) -> None:
    with server.client() as client:
        for text in texts:
            client.xadd(STREAM, {"text": text})


def texts(entries: tuple[Entry, ...]) -> list[bytes]:
    return [entry.fields[b"text"] for entry in entries]


def test_a_refused_connection_is_unavailable_whatever_is_asked_and_no_password_is_told() -> None:
    port = free_port()
    with opened(f"redis://user:hunter2@127.0.0.1:{port}") as stream:
        for ask in (
            lambda: stream.read(1),
            lambda: stream.pending(1),
            lambda: stream.claim(1),
            lambda: stream.acknowledge([ONE]),
            lambda: stream.put_aside([Rejected(Entry(ONE, {b"a": b"b"}), "why")]),
            lambda: stream.empty([Gap(BEFORE_ALL, ONE)]),
            stream.progress,
        ):
            with pytest.raises(StoreUnavailable) as caught:
                ask()
            assert f"127.0.0.1:{port}" in caught.value.message
            assert "hunter2" not in caught.value.message


def test_a_server_that_accepts_and_never_answers_is_unavailable_after_the_deadline() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        opened(f"redis://127.0.0.1:{silent.getsockname()[1]}", timeout_seconds=0.1) as stream,
        pytest.raises(StoreUnavailable, match=r"[Tt]imeout"),
    ):
        stream.read(1)


def test_what_a_server_gave_before_it_froze_is_pending_when_it_thaws(server: RedisServer) -> None:
    add(server, "a", "b")
    with opened(server.url, timeout_seconds=0.3) as stream:
        given = stream.read(1)
        with server.frozen():
            for ask in (lambda: stream.read(1), lambda: stream.acknowledge([given.entries[0].id])):
                with pytest.raises(StoreUnavailable):
                    ask()

        again = [*texts(stream.pending(10).entries), *texts(stream.read(10).entries)]

    # What was asked for while it was frozen may have been carried out since.
    assert again in ([b"a", b"b"], [b"b"])


def test_a_server_that_was_restarted_without_a_memory_is_read_from_its_new_beginning() -> None:
    port = free_port()
    with opened(f"redis://127.0.0.1:{port}") as stream:
        with running_redis(port=port) as server:
            add(server, "a")
            before = texts(stream.read(10).entries)

        with running_redis(port=port) as server:
            add(server, "b")
            after = texts(stream.read(10).entries)

    assert (before, after) == ([b"a"], [b"b"])


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-random"])
def test_a_server_that_may_evict_the_stream_is_refused_before_anything_is_read(
    server: RedisServer, policy: str
) -> None:
    with opened(server.url) as stream, server.client() as client:
        client.config_set("maxmemory-policy", policy)

        with pytest.raises(StoreRefused, match=f"'{policy}'.*CONFIG SET maxmemory-policy noeviction"):
            stream.read(1)
        assert client.dbsize() == 0


def test_on_a_full_server_nothing_is_put_aside_and_nothing_acknowledged(server: RedisServer) -> None:
    add(server, "a", "b")
    with opened(server.url) as stream, server.client() as client:
        given = stream.read(10).entries
        client.config_set("maxmemory", "1")

        with pytest.raises(StoreRefused, match="full"):
            stream.put_aside([Rejected(entry, "why") for entry in given])

        client.config_set("maxmemory", "0")
        assert texts(stream.pending(10).entries) == [b"a", b"b"]
        assert not client.exists(f"{STREAM}:rejected")


def test_a_key_of_another_kind_is_told(server: RedisServer) -> None:
    with opened(server.url) as stream, server.client() as client:
        client.set(STREAM, "text")

        with pytest.raises(InvalidRequest, match=r"'visits' or 'visits:rejected' .* is not a stream"):
            stream.read(1)


def test_an_entry_is_not_acknowledged_where_it_can_not_be_put_aside(server: RedisServer) -> None:
    add(server, "a")
    with opened(server.url) as stream, server.client() as client:
        [entry] = stream.read(1).entries
        client.set(f"{STREAM}:rejected", "text")

        with pytest.raises(InvalidRequest, match="is not a stream"):
            stream.put_aside([Rejected(entry, "why")])
        assert texts(stream.pending(10).entries) == [b"a"]


def test_an_entry_of_very_many_fields_is_put_aside_all_the_same(server: RedisServer) -> None:
    with opened(server.url) as stream, server.client() as client:
        client.xadd(STREAM, {f"field {number}": number for number in range(20_000)})
        [entry] = stream.read(1).entries

        assert stream.put_aside([Rejected(entry, "no row")]) == 1
        assert client.xlen(f"{STREAM}:rejected") == 1


def test_a_user_who_may_do_no_more_than_is_said_can_read_and_put_aside(server: RedisServer) -> None:
    add(server, "a", "b")
    with server.client() as client:
        client.acl_setuser(
            "reader", enabled=True, passwords=["+pw"], keys=[STREAM, f"{STREAM}:rejected"],
            categories=["+@stream", "+@transaction", "+@scripting", "+@connection"], commands=["+info"],
        )  # fmt: skip

    with opened(server.url.replace("redis://", "redis://reader:pw@")) as stream:
        first, second = stream.read(10).entries
        stream.acknowledge([first.id])

        assert stream.put_aside([Rejected(second, "why")]) == 1
        assert stream.empty([Gap(BEFORE_ALL, first.id)]) == (Gap(BEFORE_ALL, first.id),)
        assert stream.progress().pending == 0
        assert not stream.claim(1)


def test_a_user_who_may_not_read_is_refused_with_what_to_grant(server: RedisServer) -> None:
    with server.client() as client:
        client.acl_setuser("nobody", enabled=True, passwords=["+pw"], keys=["x"], categories=["+@connection"])

    with (
        opened(server.url.replace("redis://", "redis://nobody:pw@")) as stream,
        pytest.raises(StoreRefused, match=r"\+@stream .* on ~visits and ~visits:rejected"),
    ):
        stream.read(1)


def test_what_speaks_another_protocol_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        with (
            opened(f"redis://127.0.0.1:{server.getsockname()[1]}") as stream,
            pytest.raises(StoreCorrupted, match="does not speak Redis's protocol"),
        ):
            stream.acknowledge([ONE])


@pytest.mark.parametrize("url", ["http://:hunter2@host", "redis://:hun/ter2@host:6379", "", "redis://:hunter2@host:x"])
def test_a_url_that_can_not_be_read_is_a_settings_error_that_does_not_repeat_it(url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        opened(url)

    assert "hun" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_stream_that_is_deleted_while_it_is_waited_for_is_waited_for_again(server: RedisServer) -> None:
    patient = Pace(wait=timedelta(seconds=5), gather=PACE.gather)
    reader = RedisStream(read_address(server.url), Membership(STREAM, "group", "consumer"), patient)
    with closing(reader), server.client() as client, ThreadPoolExecutor(1) as pool:
        add(server, "first")
        reader.read(10)
        waiting = pool.submit(reader.read, 10)
        while not int(client.info("clients")["blocked_clients"]):
            sleep(0.01)
        client.delete(STREAM)
        add(server, "second")

        assert [entry.fields for entry in waiting.result(20).entries] == [{b"text": b"second"}]
