"""Every keeper of state, in turn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from featurestore.adapters.memory_state import MemoryCatalog, MemoryCoverage, MemoryDatasets, MemoryMaterializations
from featurestore.adapters.sql_database import Database, upgrade
from featurestore.adapters.sql_state import SqlCatalog, SqlCoverage, SqlDatasets, SqlMaterializations
from featurestore.adapters.sql_tables import STATE_MIGRATIONS
from tests.contract.states import State


@pytest.fixture(params=["memory", "sql"])
def state(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[State]:
    if request.param == "memory":
        yield State(MemoryCatalog(), MemoryCoverage(), MemoryMaterializations(), MemoryDatasets())
        return
    with Database(f"sqlite:///{tmp_path}/state.db") as database:
        upgrade(database, STATE_MIGRATIONS)
        yield State(SqlCatalog(database), SqlCoverage(database), SqlMaterializations(database), SqlDatasets(database))
