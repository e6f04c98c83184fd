"""The embedded store, Redis and a cluster hold the same rows and give the same answers, in process and over HTTP."""

from __future__ import annotations

import pytest

from featurestore.errors import NotMaterialized
from sdk import OnlineResult, connect, open_project
from tests.certificates import Certificates
from tests.redis_cluster import RedisCluster
from tests.redis_server import RedisServer
from tests.service.conftest import connected, served
from tests.small_project import NOW, SPINE, SmallProject

ENTITIES = SPINE.drop_columns(["event_timestamp", "late"]).to_pylist()


@pytest.fixture
def embedded_answer(project: SmallProject) -> OnlineResult:
    """What the embedded store answers, asked before anything is set to Redis."""
    with connect(project.folder) as client:
        return client.online(service="shops_v1", entities=ENTITIES)


@pytest.fixture(params=["one server", "TLS", "cluster"])
def in_redis(
    project: SmallProject, request: pytest.FixtureRequest, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> SmallProject:
    """The small project, set to Redis by the environment and materialized there too."""
    match request.param:
        case "TLS":
            url = request.getfixturevalue("tls_redis").url
            own = certificates.client
            monkeypatch.setenv("KNOWNAT_ONLINE__CA_FILE", str(certificates.authority))
            monkeypatch.setenv("KNOWNAT_ONLINE__CERTIFICATE_FILE", str(own.certificate))
            monkeypatch.setenv("KNOWNAT_ONLINE__KEY_FILE", str(own.key))
        case "cluster":
            url = request.getfixturevalue("redis_cluster").url
        case _:
            url = request.getfixturevalue("redis_url")
    monkeypatch.setenv("KNOWNAT_ONLINE__URL", url)
    monkeypatch.setenv("KNOWNAT_NAME", project.folder.parent.name)
    with open_project(project.folder) as opened:
        list(opened.materialize(until=NOW))
    return project


@pytest.mark.parametrize("mode", ["path", "http"])
def test_redis_answers_what_the_embedded_store_answers(
    embedded_answer: OnlineResult, in_redis: SmallProject, mode: str
) -> None:
    (in_redis.folder / ".knownat" / "online.sqlite").unlink()  # so that only Redis can answer

    with connected(in_redis.folder, mode) as client:
        found = client.online(service="shops_v1", entities=ENTITIES)

    assert _answers(found) == _answers(embedded_answer)
    assert {status for row in found.statuses() for status in row.values()} >= {"present", "null", "missing"}


def test_an_audit_finds_no_difference_in_redis(in_redis: SmallProject) -> None:
    with connect(in_redis.folder) as client:
        reports = [client.audit(view) for view in ("shop_orders", "shop_facts")]

    assert [report.differences for report in reports] == [(), ()]
    assert all(report.keys for report in reports)


def test_a_flushed_redis_is_said_to_be_empty_and_filled_anew(
    in_redis: SmallProject, redis_server: RedisServer, tls_redis: RedisServer, redis_cluster: RedisCluster
) -> None:
    for server in (redis_server, tls_redis, redis_cluster.masters()[0]):  # a third of a cluster is enough
        with server.client() as redis:
            redis.flushall()

    with (
        served(in_redis.folder) as address,
        connect(address) as client,
        pytest.raises(NotMaterialized, match="knownat materialize"),
    ):
        client.online(service="shops_v1", entities=ENTITIES)
    with open_project(in_redis.folder) as opened:
        written = {done.view: done.written for done in opened.materialize(until=NOW)}
        again = opened.client.online(service="shops_v1", entities=ENTITIES)

    assert all(written.values())
    assert again.rows == len(ENTITIES)


def _answers(result: OnlineResult) -> tuple[str, str, str]:
    """As text, in which NaN equals NaN and 0.0 is not -0.0."""
    return repr(result.to_dicts()), repr(result.statuses()), repr(result.event_timestamps())
