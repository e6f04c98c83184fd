"""The embedded store and Redis hold the same rows and give the same answers, in process and over HTTP."""

from __future__ import annotations

import pytest
from redis import Redis

from featurestore.errors import NotMaterialized
from sdk import OnlineResult, connect, open_project
from tests.service.conftest import connected, served
from tests.small_project import NOW, SPINE, SmallProject

ENTITIES = SPINE.drop_columns(["event_timestamp", "late"]).to_pylist()


@pytest.fixture
def embedded_answer(project: SmallProject) -> OnlineResult:
    """What the embedded store answers, asked before anything is set to Redis."""
    with connect(project.folder) as client:
        return client.online(service="shops_v1", entities=ENTITIES)


@pytest.fixture
def in_redis(project: SmallProject, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> SmallProject:
    """The small project, set to Redis by the environment and materialized there too."""
    monkeypatch.setenv("KNOWNAT_ONLINE__URL", redis_url)
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


def test_a_flushed_redis_is_said_to_be_empty_and_filled_anew(in_redis: SmallProject, redis_url: str) -> None:
    with Redis.from_url(redis_url) as redis:
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
