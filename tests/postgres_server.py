"""Starts a real PostgreSQL for tests: a cluster of its own on a free loopback port, stopped when the block ends.

PostgreSQL refuses to run as root, so a root starts it as `nobody`.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
import psycopg.sql
import pytest
from adbc_driver_postgresql import dbapi

from tests.redis_server import free_port

PASSWORD = "hunter2-sesame"  # noqa: S105 - of a server that lives for one run of tests
_START_SECONDS = 30.0
_FAST = ("fsync=off", "full_page_writes=off", "synchronous_commit=off", "shared_buffers=16MB", "max_connections=20")


class PostgresServer:
    """A server over the data in `folder`; `start` it before it is used."""

    def __init__(self, folder: Path, user: str | None) -> None:
        self.port = free_port()
        self._folder = folder
        self._user = user
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return self.url_of("postgres")

    def url_of(self, database: str, *, port: int | None = None) -> str:
        return f"postgresql://knownat:{PASSWORD}@127.0.0.1:{port or self.port}/{database}"

    def new_database(self) -> str:
        """The name of one that is empty."""
        name = f"state_{uuid4().hex[:12]}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(name)))
        return name

    def start(self) -> None:
        """It answers when this returns."""
        command = [str(_programs() / "postgres"), "-D", str(self._folder / "data"), "-p", str(self.port)]
        command += ["-k", str(self._folder), "-h", "127.0.0.1", *(part for one in _FAST for part in ("-c", one))]
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen(command, stdout=quiet, stderr=quiet, user=self._user, cwd=self._folder)
        _wait_until_it_answers(self, self._process)

    def stop(self) -> None:
        """As `pg_ctl stop -m fast` does: whoever is connected is cut off, and what was not committed is undone."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait()

    def run(self, *statements: str) -> None:
        with dbapi.connect(self.url) as connection:
            for statement in statements:
                with connection.cursor() as cursor:
                    cursor.execute(statement)
            connection.commit()


@contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """A server with one user, who has a password, answering when the block begins."""
    programs = _programs()
    with tempfile.TemporaryDirectory(prefix="knownat-pg-") as folder:
        user = _unprivileged(Path(folder))
        secret = Path(folder) / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        data = Path(folder) / "data"
        initdb = [str(programs / "initdb"), "-D", str(data), "-U", "knownat", "--no-sync", "-E", "UTF8"]
        initdb += ["--locale=C", "--auth=scram-sha-256", f"--pwfile={secret}"]
        subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL, user=user, cwd=folder)
        server = PostgresServer(Path(folder), user)
        try:
            server.start()
            yield server
        finally:
            server.stop()


def _programs() -> Path:
    """Where initdb and postgres are: Debian keeps them off the PATH."""
    found = [shutil.which("initdb"), *sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin/initdb")), reverse=True)]
    initdb = next(filter(None, found), None)
    if initdb is None:
        pytest.fail("PostgreSQL is not installed: run `make test`, which installs postgresql.")
    return Path(initdb).resolve().parent


def _unprivileged(folder: Path) -> str | None:
    if os.geteuid() != 0:
        return None
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    return "nobody"


def _wait_until_it_answers(server: PostgresServer, process: subprocess.Popen[bytes]) -> None:
    give_up = time.monotonic() + _START_SECONDS
    while True:
        if process.poll() is not None:
            pytest.fail(f"PostgreSQL ended with exit code {process.returncode} instead of starting.")
        try:
            server.run("SELECT 1")
        except dbapi.Error:
            if time.monotonic() > give_up:
                pytest.fail(f"PostgreSQL did not answer within {_START_SECONDS:.0f} seconds.")
            time.sleep(0.05)
        else:
            return
