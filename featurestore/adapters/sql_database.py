"""The SQL database under state and registry: its connections, transactions and migrations, on SQLite or PostgreSQL.

Knows no table. Every driver error leaves here as one of ours.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

from sqlalchemy import Column, Connection, Engine, MetaData, String, Table, create_engine, event, inspect, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import ConnectionPoolEntry

from featurestore.adapters.postgres_database import (
    LOCK_NOT_AVAILABLE,
    STATEMENT_CANCELED,
    Waits,
    bound_waits,
    connect_arguments,
    holder,
    is_connection_lost,
    sqlstate,
    take_turn,
)
from featurestore.errors import (
    ConcurrentChange,
    KnownatError,
    SettingsError,
    StoreCorrupted,
    StoreUnavailable,
    UnsupportedOperation,
)

R = TypeVar("R")
K = TypeVar("K")

_WRITE = "knownat_write"
_RETRY_PAUSE_SECONDS = 0.1
_BUSY = ("SQLITE_BUSY", "SQLITE_LOCKED")
_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB")

_ALEMBIC = threading.Lock()
"""Alembic keeps the running migration in module-level variables, so one thread at a time may use it."""


class ConnectionLost(StoreUnavailable):
    """The server was not there, or went away, before anything was changed: the same can be tried again."""


class Database:
    """A database by its URL: `sqlite:///path/to/state.db` or `postgresql+psycopg://user@host/name`.

    Threads may share one; processes open their own. Close it, or use it as a context manager. State transactions take
    milliseconds: `waits` says how long they wait for each other.
    """

    def __init__(self, url: str | URL, waits: Waits = Waits()) -> None:  # noqa: B008 - a frozen value
        self._engine = _create_engine(_parse_url(url), waits)
        self._is_postgres = self._engine.dialect.name == "postgresql"
        self.name = self._engine.url.render_as_string(hide_password=True)
        self.waits = waits
        self.was_reached = False
        """Whether it has answered before: then it is likely to come back."""

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database and changes nothing."""
        with self._our_errors(), self._engine.connect() as connection:
            if self._is_postgres:
                # By default each statement there sees a state of its own.
                connection.execution_options(isolation_level="REPEATABLE READ")
                bound_waits(connection, self.waits)
            self.was_reached = True
            yield connection

    @contextmanager
    def write(self, subject: str) -> Iterator[Connection]:
        """A transaction that commits when its block ends without an error. Those on one `subject` follow one another.

        SQLite has one writer at a time anyway. BEGIN IMMEDIATE makes it wait at the start, where waiting is possible:
        a transaction that has read before it writes can only fail.
        """
        with self._our_errors(subject), self._engine.connect() as unmarked:
            connection = unmarked.execution_options(**{_WRITE: True})
            with connection.begin() as transaction:
                if self._is_postgres:
                    bound_waits(connection, self.waits)
                    take_turn(connection, subject)
                self.was_reached = True
                yield connection
                with self._unknown_outcome():
                    transaction.commit()

    def close(self) -> None:
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _our_errors(self, subject: str = "") -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            if self._is_postgres:
                raise self._translated_postgres(error, subject) from error
            raise _translated(self.name, error, self.waits) from error
        except PoolTimeoutError as error:
            raise StoreUnavailable(
                f"The database {self.name} has had no free connection for {self.waits.lock:g} seconds: "
                "too much is going on at once. Try again."
            ) from error

    @contextmanager
    def _unknown_outcome(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            if not (self._is_postgres and is_connection_lost(error)):
                raise
            raise StoreUnavailable(
                f"The database {self.name} went away while a change was being committed ({_first_line(error)}): nobody "
                "knows whether it took it. Run the same command again: what is done is not done twice."
            ) from error

    def _translated_postgres(self, error: DBAPIError, subject: str) -> KnownatError:
        told = _first_line(error)
        match sqlstate(error):
            case code if code == LOCK_NOT_AVAILABLE:
                wanted = f"The database {self.name} has kept this waiting for {self.waits.lock:g} seconds"
                return ConcurrentChange(
                    f"{wanted}, for a lock that somebody else holds.{holder(self._engine, subject)} Nothing was "
                    "changed: run it again."
                )
            case code if code == STATEMENT_CANCELED:
                return StoreUnavailable(
                    f"The database {self.name} did not finish a statement within {self.waits.statement:g} seconds "
                    f"({told}). Nothing was changed: see what it is busy with, and run it again."
                )
        if is_connection_lost(error):
            return ConnectionLost(
                f"The database {self.name} does not answer ({told}): is it there, and may it be used? Nothing was "
                "changed: run it again."
            )
        return _translated(self.name, error, self.waits)


class _HasDatabase(Protocol):
    _database: Database


def reconnecting(keeper: type[K]) -> type[K]:
    """Decorates a class of methods that each use the `_database` in one transaction: what was cut off before it changed
    anything, as by a restart of the server, is done again, for as long as the database's waits say."""
    for name, method in list(vars(keeper).items()):
        if callable(method) and not name.startswith("_"):
            setattr(keeper, name, _again_when_cut_off(method))
    return keeper


def _again_when_cut_off(method: Callable[..., R]) -> Callable[..., R]:
    @wraps(method)
    def call(self: _HasDatabase, *args: Any, **kwargs: Any) -> R:
        return tried_again(self._database, lambda: method(self, *args, **kwargs))

    return call


def tried_again(database: Database, work: Callable[[], R]) -> R:
    """What `work` gives. A server that has never answered is not waited for: more likely it is not there."""
    deadline = time.monotonic() + database.waits.retry
    while True:
        try:
            return work()
        except ConnectionLost:
            if not database.was_reached or time.monotonic() > deadline:
                raise
            time.sleep(_RETRY_PAUSE_SECONDS)


@dataclass(frozen=True, slots=True)
class Migrations:
    """A folder of Alembic migrations with the table that says how far they have run, and the last of them."""

    folder: Path
    version_table: str
    head: str


def upgrade(database: Database, migrations: Migrations) -> None:
    """Bring the database's tables up to `migrations.head`; nothing happens when they are there already.

    Safe when several processes do it at once: one migrates, the others wait and find it done.
    """
    tried_again(database, lambda: _upgrade(database, migrations))


def _upgrade(database: Database, migrations: Migrations) -> None:
    with database.read() as connection:
        if _revision(connection, migrations) == migrations.head:
            return
    with database.write(f"migrations:{migrations.version_table}") as connection:
        if connection.dialect.name == "postgresql":
            bound_waits(connection, replace(database.waits, statement=0))  # a migration takes what it takes
        if _revision(connection, migrations) != migrations.head:
            _migrate(connection, migrations)


def _revision(connection: Connection, migrations: Migrations) -> str | None:
    """Read without Alembic, because importing it takes longer than everything else a command does at its start."""
    if not inspect(connection).has_table(migrations.version_table):
        return None
    table = Table(migrations.version_table, MetaData(), Column("version_num", String))
    return connection.execute(select(table.c.version_num)).scalar_one_or_none()


def _migrate(connection: Connection, migrations: Migrations) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config(attributes={"connection": connection, "version_table": migrations.version_table})
    # The percent sign starts an interpolation in Alembic's configuration.
    config.set_main_option("script_location", str(migrations.folder).replace("%", "%%"))
    try:
        with _ALEMBIC:
            command.upgrade(config, migrations.head)
    except CommandError as error:
        raise UnsupportedOperation(
            f"The database's tables can not be brought up to date ({error}). They were probably made by a newer "
            "version of Knownat: install that version or a later one."
        ) from error


def _parse_url(url: str | URL) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:  # a port that is no number
        raise SettingsError(
            "The database's URL can not be read: write sqlite:///path/to/state.db or "
            "postgresql+psycopg://user@host:5432/name"
        ) from error
    backend = parsed.get_backend_name()
    if backend not in ("sqlite", "postgresql"):
        raise SettingsError(
            f"The database can be sqlite or postgresql, not {backend}: write sqlite:///path/to/state.db"
        )
    if backend == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise SettingsError("An SQLite database needs a file: write sqlite:///path/to/state.db")
    return parsed


def _create_engine(url: URL, waits: Waits) -> Engine:
    if url.get_backend_name() == "sqlite":
        return _create_sqlite_engine(url, waits)
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    try:
        # The server may have been restarted since the connection was last used.
        return create_engine(url, pool_pre_ping=True, pool_timeout=waits.lock, connect_args=connect_arguments())
    except (ImportError, NoSuchModuleError) as error:
        raise SettingsError(f"The driver for {url.drivername} is missing: pip install 'knownat[postgres]'") from error


def _create_sqlite_engine(url: URL, waits: Waits) -> Engine:
    folder = Path(str(url.database)).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"The database's folder {folder} can not be made: {error.strerror}") from error
    engine = create_engine(url, pool_timeout=waits.lock, connect_args={"timeout": waits.lock})

    def prepare(connection: Any, _entry: ConnectionPoolEntry) -> None:
        _prepare_sqlite(connection, waits.lock)

    event.listen(engine, "connect", prepare)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, wait_seconds: float) -> None:
    # Transactions are begun by _begin_sqlite: the driver's own way can not begin one that writes from its start.
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")
    # Commits survive a power cut, not only a crash of the process.
    connection.execute("PRAGMA synchronous = FULL")
    _use_write_ahead_log(connection, wait_seconds)


def _begin_sqlite(connection: Connection) -> None:
    if connection.get_execution_options().get(_WRITE):
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.exec_driver_sql("BEGIN DEFERRED")


def _use_write_ahead_log(connection: sqlite3.Connection, wait_seconds: float) -> None:
    """Readers and the writer do not stop each other. Kept in the file: the change happens once in its life.

    SQLite does not wait for other processes here, whatever its time-out is, so we do.
    """
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").close()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname not in _BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _translated(database: str, error: DBAPIError, waits: Waits) -> KnownatError:
    kind = getattr(error.orig, "sqlite_errorname", "")
    if kind.startswith(_BUSY):
        return ConcurrentChange(
            f"Another process has been writing to the database {database} for {waits.lock:g} seconds. "
            "Nothing was changed: run it again."
        )
    if isinstance(error, IntegrityError):
        return ConcurrentChange(
            f"The database {database} was changed by someone else in the meantime ({error.orig}). "
            "Nothing was changed: run it again."
        )
    if kind.startswith(_DAMAGED):
        return StoreCorrupted(
            f"The file of the database {database} is damaged ({error.orig}): put it back from a backup."
        )
    return StoreUnavailable(
        f"The database {database} does not answer ({error.orig}): is it there, may it be used, and has its disk room?"
    )


def _first_line(error: DBAPIError) -> str:
    return str(error.orig).strip().split("\n", 1)[0]
