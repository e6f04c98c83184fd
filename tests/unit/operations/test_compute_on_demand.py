"""On-demand features without an engine where that is known to be the same, and with it everywhere else."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pyarrow as pa
import pytest

from featurestore.adapters.duckdb_engine import DuckDBEngine
from featurestore.compiler.on_demand import ROWS, probe
from featurestore.errors import QueryError
from featurestore.graph.arrow_types import arrow_type, dtype_of
from featurestore.graph.resolved import Column, FeatureSet, ResolvedOnDemand
from featurestore.graph.sql_text import canonical_sql, parse_expression
from featurestore.operations.compute_on_demand import compute, compute_table
from featurestore.operations.prepare_on_demand import PreparedOnDemand, prepare_on_demand
from featurestore.ports.engine import Engine, Query
from featurestore.spec import dtypes
from featurestore.spec.dtypes import DType

INPUTS = {
    "x": DType.FLOAT64, "i": DType.INT64, "tiny": DType.INT8, "b": DType.BOOL, "s": DType.STRING, "t": DType.TIMESTAMP,
    "v": DType.TIMESTAMP, "price": dtypes.Decimal(18, 2), "total": dtypes.Decimal(38, 2), "vector": dtypes.Embedding(2),
    "words": dtypes.List(DType.STRING),
}  # fmt: skip


class CountingEngine:
    """The engine, and how often rows are asked of it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.asked = 0

    def schema(self, query: Query) -> pa.Schema:
        return self._engine.schema(query)

    def stream(self, query: Query) -> pa.RecordBatchReader:
        self.asked += 1
        return self._engine.stream(query)


@pytest.fixture(scope="module")
def duckdb_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDBEngine]:
    engine = DuckDBEngine(memory_limit="500MB", threads=1, spill_folder=tmp_path_factory.mktemp("spill"))
    yield engine
    engine.close()


@pytest.fixture
def engine(duckdb_engine: DuckDBEngine) -> CountingEngine:
    return CountingEngine(duckdb_engine)


def prepared(engine: CountingEngine, **expressions: str) -> PreparedOnDemand:
    """On-demand features by their names; the engine's counter then stands at zero."""
    inputs = tuple(Column(name, dtype) for name, dtype in INPUTS.items())
    empty = pa.table({name: pa.array([], arrow_type(dtype)) for name, dtype in INPUTS.items()})
    features = []
    for name, text in expressions.items():
        canonical = canonical_sql(parse_expression(text))
        dtype = dtype_of(engine.schema(Query(probe(canonical, name), {ROWS: empty})).field(0).type)
        assert dtype is not None
        features.append(ResolvedOnDemand(name, canonical, dtype, inputs, (), "0" * 64))
    found = prepare_on_demand(FeatureSet(None, (), (), tuple(features), ()), engine)  # type: ignore[arg-type]
    engine.asked = 0
    return found


def row(**values: object) -> dict[str, pa.Array]:
    """One row: what is not named is null."""
    return {name: pa.array([values.get(name)], arrow_type(dtype)) for name, dtype in INPUTS.items()}


@pytest.mark.parametrize(
    "expression",
    [
        "x - i * 2", "x / nullif(i, 0)", "coalesce(x, 0) > 0.5", "CASE WHEN x > 15 THEN 1 ELSE 0 END",
        "abs(x) + sqrt(x)",
        "round(x, 2)", "ln(x + 1)", "i % 7", "i // 60", "price * 1.19", "price + i", "total > 0",
        "CAST(price AS DOUBLE) / x",
        "s IN ('a', 'b', 'c', 'd')", "upper(s) || '-' || lower(s)", "length(trim(s))", "starts_with(s, 'a')",
        "extract(hour FROM t)", "hour(t) BETWEEN 7 AND 9", "isodow(t) IN (6, 7)", "date_diff('minute', t, v)",
        "(epoch(t) - epoch(v)) / 3600", "CAST(t AS DATE)", "date_trunc('day', t)", "greatest(x, i, 0)",
        "b AND NOT x > 1",
        "TRY_CAST(x AS INT)", "coalesce(words, words)", "1 + 1", "x IS NOT DISTINCT FROM i", "NULL::DOUBLE",
    ],
)  # fmt: skip
def test_what_people_write_needs_no_engine(engine: CountingEngine, expression: str) -> None:
    found = prepared(engine, computed=expression)

    compute(found, row(x=2.5, i=3, s="abc", price=Decimal("1.25")), 1)

    assert (list(found.direct), list(found.by_engine), engine.asked) == (["computed"], [], 0)


@pytest.mark.parametrize(
    "expression",
    ["sin(x)", "vector", "array_inner_product(vector, vector)", "list_append(words, s)", "regexp_matches(s, 'a+')",
     "t + INTERVAL 1 HOUR", "CAST(s AS INT)", "epoch(t - v)", " + ".join(["x"] * 500)],
)  # fmt: skip
def test_what_is_not_known_to_be_the_same_stays_with_the_engine(engine: CountingEngine, expression: str) -> None:
    found = prepared(engine, computed=expression)

    compute(found, row(x=2.5, s="7", vector=[1.0, 2.0]), 1)

    assert (list(found.direct), list(found.by_engine), engine.asked) == ([], ["computed"], 1)


def test_the_engine_is_asked_once_for_all_that_stay_with_it(engine: CountingEngine) -> None:
    found = prepared(engine, one="sin(x)", two="x + 1", three="cos(x)")

    values = compute(found, row(x=0.0), 1)

    assert {name: array.to_pylist() for name, array in values.items()} == {"one": [0.0], "two": [1.0], "three": [1.0]}
    assert engine.asked == 1


def test_the_engine_decides_where_arrow_refuses(engine: CountingEngine) -> None:
    found = prepared(engine, computed="CASE WHEN i > 100 THEN 0 ELSE i * 9223372036854775807 END", upper="upper(s)")

    values = compute(found, row(i=101, s="ł"), 1)

    assert (values["computed"].to_pylist(), values["upper"].to_pylist()) == ([0], ["Ł"])
    assert engine.asked == 2


@pytest.mark.parametrize(
    ("expression", "reason"),
    [("tiny + tiny", "Overflow"), ("i // tiny", "Division by zero"), ("CAST(s AS INT)", "Could not convert")],
)
def test_an_error_names_the_feature_and_is_one_error_for_one_row_and_for_many(
    engine: CountingEngine, expression: str, reason: str
) -> None:
    found = prepared(engine, sine="sin(x)", broken=expression)
    values = row(x=1.0, i=1, tiny=100 if "+" in expression else 0, s="no number")

    with pytest.raises(QueryError, match=f"On-demand feature 'broken': .*{reason}"):
        compute(found, values, 1)
    with pytest.raises(QueryError, match=f"On-demand feature 'broken': .*{reason}"):
        compute_table(found, pa.table(values))


def test_no_rows_give_no_values_of_the_right_types(engine: CountingEngine) -> None:
    found = prepared(engine, direct="x + 1", constant="2", by_engine="sin(x)")
    empty = {name: array.slice(0, 0) for name, array in row().items()}

    values = compute(found, empty, 0)
    table = compute_table(found, pa.table(empty))

    types = {"direct": pa.float64(), "constant": pa.int32(), "by_engine": pa.float64()}
    assert {name: (array.type, len(array)) for name, array in values.items()} == {n: (t, 0) for n, t in types.items()}
    assert {name: (array.type, len(array)) for name, array in table.items()} == {n: (t, 0) for n, t in types.items()}


def test_many_rows_come_in_their_order(engine: CountingEngine) -> None:
    found = prepared(engine, direct="i * 2", by_engine="sin(i) * 0 + i")
    count = 150_000
    numbers = {**{name: pa.nulls(count, array.type) for name, array in row().items()}, "i": pa.array(range(count))}

    values = compute_table(found, pa.table(numbers))

    assert values["direct"].to_pylist() == [2 * number for number in range(count)]
    assert values["by_engine"].to_pylist() == [float(number) for number in range(count)]
