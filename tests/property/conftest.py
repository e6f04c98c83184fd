"""One engine for all property tests: hypothesis runs each of them many times."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from featurestore.adapters.duckdb_engine import DuckDBEngine


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDBEngine]:
    engine = DuckDBEngine(memory_limit="1GB", threads=2, spill_folder=tmp_path_factory.mktemp("spill"))
    yield engine
    engine.close()
