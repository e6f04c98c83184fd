"""What DuckDB itself would get wrong, and the adapter keeps right."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from sqlglot import exp, parse_one

from featurestore.adapters.duckdb_engine import DuckDBEngine
from featurestore.ports.engine import Query

NEWEST = 'SELECT x FROM "rows" QUALIFY ROW_NUMBER() OVER (PARTITION BY k ORDER BY n DESC) = 1'
AS_OF = 'SELECT r.x FROM "spine" AS s ASOF LEFT JOIN "rows" AS r ON s.k = r.k AND s.n >= r.n'


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[DuckDBEngine]:
    engine = DuckDBEngine(memory_limit="500MB", threads=1, spill_folder=tmp_path)
    yield engine
    engine.close()


@pytest.mark.parametrize("sql", [NEWEST, AS_OF])
@pytest.mark.parametrize("kind", [pa.float32(), pa.float64()])
def test_the_sign_of_zero_outlives_the_choice_of_a_row(engine: DuckDBEngine, sql: str, kind: pa.DataType) -> None:
    rows = pa.table({"k": ["a", "a"], "n": [1, 2], "x": pa.array([1.0, -0.0], kind)})
    tree = parse_one(sql, dialect="duckdb")
    assert isinstance(tree, exp.Query)

    with engine.stream(Query(tree, {"rows": rows, "spine": pa.table({"k": ["a"], "n": [3]})})) as found:
        [zero] = found.read_all()["x"].to_pylist()

    assert (zero, math.copysign(1.0, zero)) == (0.0, -1.0)
