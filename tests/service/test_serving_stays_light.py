"""What a served project loads: nothing that only pulling, pushing and filling need, even after it has looked up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sdk import connect, open_project
from tests.raw_http import connected, post
from tests.server_process import ServerProcess, server_process
from tests.small_project import NOW, SPINE, SmallProject

HEAVY = {"duckdb": "_duckdb.", "deltalake": "/deltalake/", "pandas": "/pandas/"}
"""By the paths of their compiled parts, as Linux lists them for a process that has loaded them."""
LOOKUP = json.dumps({"service": "shops_v1", "entities": [{"shop": "alma"}]}).encode()


@pytest.fixture(params=["SQLite", "Redis"])
def in_store(request: pytest.FixtureRequest, project: SmallProject, monkeypatch: pytest.MonkeyPatch) -> SmallProject:
    """The small project in this store, without its on-demand feature: the engine is asked for the types of those."""
    if request.param == "Redis":
        monkeypatch.setenv("KNOWNAT_ONLINE__URL", request.getfixturevalue("redis_url"))
        monkeypatch.setenv("KNOWNAT_NAME", project.folder.parent.name)
    project.redefine("shop_facts, basket_share", "shop_facts")
    with open_project(project.folder) as opened:
        list(opened.apply())
        list(opened.materialize(until=NOW))
    return project


def test_a_server_that_has_looked_up_has_loaded_no_engine(in_store: SmallProject) -> None:
    with server_process(in_store.folder) as server:
        with connected(server.address) as connection:
            answers = [connection.ask(post("/v1/online", LOOKUP)) for _ in range(20)]

        assert [answer.status for answer in answers] == [200] * 20
        values = {column["name"]: column["values"] for column in answers[-1].json["columns"]}
        assert values["shop_facts__city"] == ["Łódź"]
        assert loaded(server) == set()


def test_a_server_loads_the_engine_and_the_tables_when_they_are_asked_for(project: SmallProject) -> None:
    with server_process(project.folder) as server, connect(server.address) as client:
        rows = client.training_set(SPINE, service="shops_v1").to_arrow().num_rows

        assert rows == SPINE.num_rows
        assert loaded(server) >= {"duckdb", "deltalake"}


def loaded(server: ServerProcess) -> set[str]:
    """Which of the heavy libraries the process holds."""
    mapped = Path(f"/proc/{server.process.pid}/maps").read_text()
    return {library for library, part in HEAVY.items() if part in mapped}
