"""Fixtures that several folders of tests share: real servers, started once for the whole run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.certificates import Certificates, make_certificates
from tests.postgres_server import PostgresServer, running_postgres
from tests.redis_cluster import RedisCluster, running_cluster
from tests.redis_server import RedisServer, granted, running_redis
from tests.s3_server import S3Server, running_s3


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A Redis of this test run's own. Tests share it: keep them apart by namespace, and never flush it."""
    with running_redis() as server:
        yield server


@pytest.fixture(scope="session")
def redis_url(redis_server: RedisServer) -> str:
    return redis_server.url


@pytest.fixture(scope="session")
def acl_redis_url(redis_server: RedisServer) -> str:
    """The same Redis for a user who may do just what docs/online-store.md says is needed."""
    with redis_server.client() as client:
        client.execute_command("ACL SETUSER", "knownat", "on", ">pw", *granted("test-*"))  # type: ignore[no-untyped-call]
    return redis_server.url.replace("redis://", "redis://knownat:pw@")


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def tls_redis(certificates: Certificates) -> Iterator[RedisServer]:
    """A Redis that speaks TLS alone, to clients with a certificate. Shared as `redis_url` is."""
    with running_redis(certificates=certificates) as server:
        yield server


@pytest.fixture(scope="session")
def redis_cluster() -> Iterator[RedisCluster]:
    """A Redis Cluster of six nodes. Shared as `redis_url` is: tests that ill-treat one start their own."""
    with running_cluster() as cluster:
        yield cluster


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
