"""Fixtures that several folders of tests share: real servers, started once for the whole run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.postgres_server import PostgresServer, running_postgres
from tests.redis_server import running_redis


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A Redis of this test run's own. Tests share it: keep them apart by namespace, and never flush it."""
    with running_redis() as server:
        yield server.url


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL of this test run's own. Tests share it: each has tables of names of its own."""
    with running_postgres() as server:
        yield server
