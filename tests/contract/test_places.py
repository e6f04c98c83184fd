"""What every place that carries a project's identity promises."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest

from featurestore.adapters.marked_places import MarkedFolder, MarkedRedis, MarkedRedisCluster, MarkedSqlite
from featurestore.adapters.redis_address import read_address
from featurestore.errors import StoreUnavailable
from featurestore.ports.identity import Place
from tests.redis_cluster import RedisCluster

OpenPlace = Callable[[], Place]


@pytest.fixture(params=["folder", "sqlite", "redis", "cluster"])
def open_place(request: pytest.FixtureRequest, tmp_path: Path) -> OpenPlace:
    """Opens the same place each time, as another process would."""
    name = f"test-{uuid4().hex}"
    match request.param:
        case "folder":
            return lambda: MarkedFolder(tmp_path / "deep" / "tables", "tables", "[offline] tables")
        case "sqlite":
            return lambda: MarkedSqlite(tmp_path / "online.sqlite")
        case "redis":
            url: str = request.getfixturevalue("redis_url")
            return lambda: MarkedRedis(read_address(url), name)
        case _:
            cluster: RedisCluster = request.getfixturevalue("redis_cluster")
            return lambda: MarkedRedisCluster(read_address(cluster.url), name)


def test_a_place_that_nobody_has_claimed_is_nobodys(open_place: OpenPlace) -> None:
    assert open_place().owner() is None


def test_a_claimed_place_stays_that_of_whoever_came_first(open_place: OpenPlace) -> None:
    claims = [open_place().claim(project) for project in ("a" * 32, "b" * 32, "a" * 32)]

    assert claims == ["a" * 32] * 3
    assert open_place().owner() == "a" * 32


def test_of_many_who_claim_at_once_one_gets_it(open_place: OpenPlace) -> None:
    projects = [f"{number:032x}" for number in range(8)]

    with ThreadPoolExecutor(8) as threads:
        owners = set(threads.map(lambda project: open_place().claim(project), projects))

    assert len(owners) == 1
    assert open_place().owner() in owners


def test_a_place_names_itself_and_the_setting_that_leads_elsewhere(open_place: OpenPlace) -> None:
    place = open_place()

    assert place.name.startswith("the ") or place.name.startswith("what ")
    assert place.setting.split()[-1] in ("tables", "path", "name")


def test_a_redis_that_does_not_answer_says_nothing_of_whose_it_is() -> None:
    with pytest.raises(StoreUnavailable):
        MarkedRedis(read_address("redis://127.0.0.1:1/0"), "shop").owner()
