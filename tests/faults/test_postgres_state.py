"""State in PostgreSQL when the server lets others wait, is restarted, or goes away: bounded, told, nothing lost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import event, func, select, text

from featurestore.adapters.postgres_database import Waits
from featurestore.adapters.sql_database import ConnectionLost, Database, reconnecting, upgrade
from featurestore.adapters.sql_state import SqlCatalog
from featurestore.adapters.sql_tables import STATE_MIGRATIONS
from featurestore.errors import ConcurrentChange, StoreUnavailable
from featurestore.graph.resolved import Graph
from tests.command import knownat
from tests.postgres_server import PostgresServer, running_postgres
from tests.small_project import SmallProject, small_project
from tests.tcp_proxy import TcpProxy, running_proxy

NOON = datetime(2024, 3, 10, 12, tzinfo=UTC)
IMPATIENT = Waits(lock=0.2, statement=0.5, retry=0)
PATIENT = Waits(retry=60)


@pytest.fixture
def name(postgres: PostgresServer) -> str:
    return postgres.new_database()


@pytest.fixture
def proxy(postgres: PostgresServer) -> Iterator[TcpProxy]:
    with running_proxy(postgres.port) as running:
        yield running


@reconnecting
class Counter:
    """A keeper of one number, which can be disturbed at a named point of its work."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.disturb = {"read": 0, "write": 0}
        self.proxy: TcpProxy | None = None
        self.tries = 0

    def create(self) -> None:
        with self._database.write("counter") as connection:
            connection.execute(text("CREATE TABLE counter AS SELECT 0 AS value"))

    def read(self) -> int:
        with self._database.read() as connection:
            self._disturb("read")
            return int(connection.execute(text("SELECT value FROM counter")).scalar_one())

    def count_on(self) -> None:
        with self._database.write("counter") as connection:
            connection.execute(text("UPDATE counter SET value = value + 1"))
            self._disturb("write")
            connection.execute(text("SELECT 1"))

    def _disturb(self, point: str) -> None:
        self.tries += 1
        if self.disturb[point] and self.proxy is not None:
            self.disturb[point] -= 1
            self.proxy.cut()


@pytest.fixture
def counter(postgres: PostgresServer, proxy: TcpProxy, name: str) -> Iterator[Counter]:
    with Database(postgres.url_of(name, port=proxy.port), PATIENT) as database:
        one = Counter(database)
        one.create()
        one.proxy = proxy
        yield one


def test_what_reads_is_done_again_when_its_connection_is_cut(counter: Counter) -> None:
    counter.disturb["read"] = 2

    assert counter.read() == 0
    assert counter.tries == 3


def test_a_change_that_was_cut_off_before_its_commit_happens_once(counter: Counter) -> None:
    counter.disturb["write"] = 2

    counter.count_on()

    assert counter.tries == 3
    assert counter.read() == 1


def test_a_change_that_was_cut_off_in_its_commit_is_not_done_twice(
    postgres: PostgresServer, proxy: TcpProxy, name: str
) -> None:
    with Database(postgres.url_of(name, port=proxy.port), PATIENT) as database:
        counter = Counter(database)
        counter.create()
        event.listen(database._engine, "commit", lambda _: proxy.cut())

        with pytest.raises(StoreUnavailable, match="nobody knows whether it took it") as caught:
            counter.count_on()

    assert not isinstance(caught.value, ConnectionLost)
    assert counter.tries == 1


def test_a_server_that_has_never_answered_is_not_waited_for(postgres: PostgresServer) -> None:
    with (
        Database(postgres.url_of("postgres", port=1), PATIENT) as database,
        pytest.raises(StoreUnavailable, match="is it there"),
    ):
        upgrade(database, STATE_MIGRATIONS)


def test_a_lock_on_a_table_is_waited_for_in_bounds_and_its_holder_told(postgres: PostgresServer, name: str) -> None:
    with Database(postgres.url_of(name), IMPATIENT) as database:
        upgrade(database, STATE_MIGRATIONS)
        with psycopg.connect(postgres.url_of(name), application_name="ops console") as other:
            other.execute("LOCK TABLE applied_graph IN ACCESS EXCLUSIVE MODE")
            pid = other.info.backend_pid

            with pytest.raises(ConcurrentChange, match=f"process {pid} of user knownat with ops console.*run it again"):
                SqlCatalog(database).current()

        assert SqlCatalog(database).current() is None


def test_a_turn_that_is_not_given_back_is_told_with_its_holder(postgres: PostgresServer, name: str) -> None:
    with Database(postgres.url_of(name), IMPATIENT) as database, Database(postgres.url_of(name)) as other:
        upgrade(database, STATE_MIGRATIONS)
        with other.write("catalog") as connection:
            pid = connection.execute(select(func.pg_backend_pid())).scalar_one()

            with pytest.raises(ConcurrentChange, match=f"process {pid} of user knownat with knownat"):
                SqlCatalog(database).promote(Graph(), NOON, replacing=None)

        assert SqlCatalog(database).promote(Graph(), NOON, replacing=None).serial == 1


def test_a_statement_that_does_not_end_is_ended(postgres: PostgresServer, name: str) -> None:
    with Database(postgres.url_of(name), IMPATIENT) as database:
        with pytest.raises(StoreUnavailable, match="not finish a statement within"), database.read() as connection:
            connection.execute(text("SELECT pg_sleep(600)"))

        with database.read() as connection:
            assert connection.execute(select(1)).scalar_one() == 1


def test_bounds_on_waiting_leave_no_trace_in_the_session(postgres: PostgresServer, name: str) -> None:
    with Database(postgres.url_of(name), replace(IMPATIENT, lock=7)) as database:
        with database.read() as connection:
            within = connection.execute(select(func.current_setting("lock_timeout"))).scalar_one()
        with database._engine.connect() as pooled:
            after = pooled.execute(select(func.current_setting("lock_timeout"))).scalar_one()

    assert (within, after) == ("7s", "0")


def test_a_server_that_is_being_restarted_is_waited_for() -> None:
    with running_postgres() as server, Database(server.url, PATIENT) as database:
        counter = Counter(database)
        counter.create()
        server.stop()
        # It comes back as soon as somebody has found it gone.
        event.listen(database._engine, "handle_error", lambda _: server.start(), once=True)

        assert counter.read() == 0


def test_a_restart_of_the_server_between_two_steps_of_a_command_does_not_stop_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = small_project(tmp_path)
    with running_postgres() as server:
        monkeypatch.setenv("KNOWNAT_STATE__URL", server.url)
        steps = _interrupted_apply(small, server)

        status = knownat("status", "--project", small.folder, "--json")

    assert steps > 3
    assert status.code == 0, status.err
    assert all(view["rows"] for view in status.json["views"])


def _interrupted_apply(small: SmallProject, server: PostgresServer) -> int:
    """Apply, with the server restarted after each step; the number of steps."""
    from sdk import open_project

    with open_project(small.folder) as project:
        steps = 0
        for _ in project.apply():
            steps += 1
            server.stop()
            server.start()
    return steps
