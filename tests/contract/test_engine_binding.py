"""What a batch engine says of a query before it runs: the columns that it gives, and those that it reads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from featurestore.adapters.duckdb_engine import DuckDBEngine
from featurestore.errors import QueryError
from featurestore.ports.engine import Engine
from tests.contract.test_engine import FLIGHTS, query


@pytest.fixture(params=[DuckDBEngine])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    engine = request.param(memory_limit="500MB", threads=1, spill_folder=tmp_path / "spill")
    yield engine
    engine.close()


def test_a_query_is_bound_to_the_columns_that_it_gives_and_reads(engine: Engine) -> None:
    rows = pa.table({"tail": ["a"], "delay": [1], "seats": [2], "plane": [{"weight": 3, "power": 4}]})
    sql = "SELECT tail, plane.weight AS w, (SELECT max(o.seats) FROM others AS o) AS s FROM flights"

    bound = engine.bind(query(sql, flights=rows, others=rows))

    assert [(field.name, field.type) for field in bound.schema] == [
        ("tail", pa.string()), ("w", pa.int64()), ("s", pa.int64()),
    ]  # fmt: skip
    assert bound.reads == {"flights": {"tail", "plane"}, "others": {"seats"}}


@pytest.mark.parametrize(
    ("sql", "reads"),
    [
        ("SELECT to_json(f) AS x FROM flights AS f", {"tail", "at", "delay"}),
        ("SELECT coalesce(*COLUMNS('^[dt]')) AS x FROM (SELECT at, tail, tail AS d FROM flights)", {"tail"}),
        ("SELECT tail FROM flights WHERE delay > 3", {"tail", "delay"}),
        ("SELECT tail FROM flights WHERE false", {"tail"}),
        ("SELECT tail FROM (SELECT tail, lag(delay) OVER (ORDER BY at) FROM flights)", {"tail"}),
        ("SELECT count(*) AS n FROM flights", set()),
    ],
)
def test_what_a_query_reads_is_what_the_engine_needs_of_it(engine: Engine, sql: str, reads: set[str]) -> None:
    assert engine.bind(query(sql, flights=FLIGHTS)).reads == {"flights": reads}


def test_binding_knows_a_relation_by_the_columns_it_has_now(engine: Engine) -> None:
    for columns in ({"a": [1]}, {"a": [1], "b": ["x"]}, {"a": ["x"]}):
        bound = engine.bind(query("SELECT * FROM t", t=pa.table(columns)))

        assert bound.schema == pa.table(columns).schema
        assert bound.reads == {"t": set(columns)}


def test_a_query_that_can_not_be_bound_is_refused(engine: Engine) -> None:
    with pytest.raises(QueryError, match="gate"):
        engine.bind(query("SELECT gate FROM flights", flights=FLIGHTS))
