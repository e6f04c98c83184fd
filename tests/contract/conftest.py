"""Every keeper of state and every online store, in turn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from featurestore.adapters.memory_publications import MemoryPublications
from featurestore.adapters.memory_state import MemoryCatalog, MemoryCoverage, MemoryDatasets, MemoryMaterializations
from featurestore.adapters.sql_database import Database, upgrade
from featurestore.adapters.sql_publications import SqlPublications
from featurestore.adapters.sql_state import SqlCatalog, SqlCoverage, SqlDatasets, SqlMaterializations
from featurestore.adapters.sql_tables import STATE_MIGRATIONS
from featurestore.ports.online_store import OnlineStore
from tests.contract.online_stores import ONLINE_STORES, OpenStore, opened_stores
from tests.contract.states import State
from tests.postgres_server import PostgresServer


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of an empty database."""
    return new_database(request.param, request, tmp_path)


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def state(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[State]:
    if request.param == "memory":
        yield State(MemoryCatalog(), MemoryCoverage(), MemoryMaterializations(), MemoryDatasets(), MemoryPublications())
        return
    with Database(new_database(request.param, request, tmp_path)) as database:
        upgrade(database, STATE_MIGRATIONS)
        yield State(
            SqlCatalog(database),
            SqlCoverage(database),
            SqlMaterializations(database),
            SqlDatasets(database),
            SqlPublications(database),
        )


def new_database(kind: str, request: pytest.FixtureRequest, folder: Path) -> str:
    """The URL of an empty database of this kind."""
    if kind == "sqlite":
        return f"sqlite:///{folder}/state.db"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.url_of(server.new_database())


@pytest.fixture(params=ONLINE_STORES)
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenStore]:
    with opened_stores(request.param, request, tmp_path) as open_one:
        yield open_one


@pytest.fixture
def store(open_store: OpenStore) -> OnlineStore:
    return open_store()
