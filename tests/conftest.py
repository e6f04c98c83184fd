"""Fixtures that several folders of tests share: real servers, started once for the whole run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.postgres_server import PostgresServer, running_postgres
from tests.redis_server import running_redis
from tests.s3_server import S3Server, running_s3


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


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """Storage that speaks S3, of this test run's own, with the bucket `data`. Tests keep apart by their paths."""
    with running_s3() as server:
        yield server
