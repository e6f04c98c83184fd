"""One engine for all property tests: hypothesis runs each of them many times."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from featurestore.adapters.duckdb_engine import DuckDBEngine
from tests.property.compared import COMPARED


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDBEngine]:
    engine = DuckDBEngine(memory_limit="1GB", threads=2, spill_folder=tmp_path_factory.mktemp("spill"))
    yield engine
    engine.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if COMPARED.cells:
        terminalreporter.write_line(f"{COMPARED.cells:,} cells of training sets compared with the oracle")
