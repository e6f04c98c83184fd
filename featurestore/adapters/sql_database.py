"""The SQL database under state and registry: its connections, transactions and migrations, on SQLite or PostgreSQL.

Knows no table. Every driver error leaves here as one of ours.
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Column, Connection, Engine, MetaData, String, Table, create_engine, event, func, inspect, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import ConnectionPoolEntry

from featurestore.errors import (
    ConcurrentChange,
    KnownatError,
    SettingsError,
    StoreCorrupted,
    StoreUnavailable,
    UnsupportedOperation,
)

LOCK_WAIT_SECONDS = 30
"""How long a writer waits for the writers before it. State transactions take milliseconds."""

_WRITE = "knownat_write"
_BUSY = ("SQLITE_BUSY", "SQLITE_LOCKED")
_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB")

_ALEMBIC = threading.Lock()
"""Alembic keeps the running migration in module-level variables, so one thread at a time may use it."""


class Database:
    """A database by its URL: `sqlite:///path/to/state.db` or `postgresql+psycopg://user@host/name`.

    Threads may share one; processes open their own. Close it, or use it as a context manager.
    """

    def __init__(self, url: str | URL) -> None:
        self._engine = _create_engine(_parse_url(url))
        self.name = self._engine.url.render_as_string(hide_password=True)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database and changes nothing."""
        with self._our_errors(), self._engine.connect() as connection:
            if connection.dialect.name == "postgresql":
                # By default each statement there sees a state of its own.
                connection.execution_options(isolation_level="REPEATABLE READ")
            yield connection

    @contextmanager
    def write(self, subject: str) -> Iterator[Connection]:
        """A transaction that commits when its block ends without an error. Those on one `subject` follow one another.

        SQLite has one writer at a time anyway. BEGIN IMMEDIATE makes it wait at the start, where waiting is possible:
        a transaction that has read before it writes can only fail.
        """
        with self._our_errors(), self._engine.connect() as unmarked:
            connection = unmarked.execution_options(**{_WRITE: True})
            with connection.begin():
                if connection.dialect.name == "postgresql":
                    connection.execute(select(func.pg_advisory_xact_lock(_lock_number(subject))))
                yield connection

    def close(self) -> None:
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _our_errors(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise _translated(self.name, error) from error
        except PoolTimeoutError as error:
            raise StoreUnavailable(
                f"The database {self.name} has had no free connection for {LOCK_WAIT_SECONDS} seconds: "
                "too much is going on at once. Try again."
            ) from error


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
    with database.read() as connection:
        if _revision(connection, migrations) == migrations.head:
            return
    with database.write(f"migrations:{migrations.version_table}") as connection:
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
            command.upgrade(config, "head")
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


def _create_engine(url: URL) -> Engine:
    if url.get_backend_name() == "sqlite":
        return _create_sqlite_engine(url)
    try:
        # The server may have been restarted since the connection was last used.
        return create_engine(url, pool_pre_ping=True, pool_timeout=LOCK_WAIT_SECONDS)
    except (ImportError, NoSuchModuleError) as error:
        raise SettingsError(f"The driver for {url.drivername} is missing: pip install psycopg") from error


def _create_sqlite_engine(url: URL) -> Engine:
    folder = Path(str(url.database)).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"The database's folder {folder} can not be made: {error.strerror}") from error
    engine = create_engine(url, pool_timeout=LOCK_WAIT_SECONDS, connect_args={"timeout": LOCK_WAIT_SECONDS})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _entry: ConnectionPoolEntry) -> None:
    # Transactions are begun by _begin_sqlite: the driver's own way can not begin one that writes from its start.
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")
    # Commits survive a power cut, not only a crash of the process.
    connection.execute("PRAGMA synchronous = FULL")
    _use_write_ahead_log(connection)


def _begin_sqlite(connection: Connection) -> None:
    if connection.get_execution_options().get(_WRITE):
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.exec_driver_sql("BEGIN DEFERRED")


def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Readers and the writer do not stop each other. Kept in the file: the change happens once in its life.

    SQLite does not wait for other processes here, whatever its time-out is, so we do.
    """
    deadline = time.monotonic() + LOCK_WAIT_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").close()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname not in _BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _lock_number(subject: str) -> int:
    """PostgreSQL's advisory locks are named by a signed 64-bit integer."""
    return int.from_bytes(hashlib.sha256(subject.encode()).digest()[:8], signed=True)


def _translated(database: str, error: DBAPIError) -> KnownatError:
    kind = getattr(error.orig, "sqlite_errorname", "")
    if kind.startswith(_BUSY):
        return ConcurrentChange(
            f"Another process has been writing to the database {database} for {LOCK_WAIT_SECONDS} seconds. "
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
