"""On-demand features have the engine's values and types to the bit, for one row as for many."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from random import Random

import pyarrow as pa
from hypothesis import assume, given
from hypothesis import strategies as st

from featurestore.adapters.duckdb_engine import DuckDBEngine
from featurestore.compiler.on_demand import ROW, ROWS, on_demand_rows, probe
from featurestore.errors import QueryError
from featurestore.graph.arrow_types import arrow_type, dtype_of
from featurestore.graph.resolved import Column, FeatureSet, ResolvedOnDemand
from featurestore.graph.sql_text import UnreadableSql, canonical_sql, parse_expression
from featurestore.operations.compute_on_demand import compute, compute_table
from featurestore.operations.prepare_on_demand import PreparedOnDemand, prepare_on_demand
from featurestore.ports.engine import Query
from tests.property.examples import examples
from tests.property.sql_expressions import COLUMNS, SCHEMA, expression, rows

INPUTS = tuple(Column(name, dtype) for name, dtype in COLUMNS.items())
RANDOM = st.randoms(use_true_random=True)


@examples(200)
@given(RANDOM)
def test_what_is_evaluated_directly_is_what_the_engine_says(engine: DuckDBEngine, random: Random) -> None:
    prepared = _prepared(random, engine)
    assume(prepared.direct)
    some = rows(random, 80)

    pieces = list(_accepted(prepared, some))
    assume(pieces)

    found = pa.concat_arrays([values for _, values in pieces])
    accepted = pa.Table.from_batches([batch for batch, _ in pieces])
    assert _bits(found) == _bits(_by_engine(prepared, accepted, engine)), prepared.features.on_demand[0].expression


@examples(60)
@given(RANDOM)
def test_a_lookup_gives_each_row_what_a_training_set_gives_it(engine: DuckDBEngine, random: Random) -> None:
    prepared = _prepared(random, engine)
    some = rows(random, 12)
    try:
        [together] = compute_table(prepared, pa.Table.from_batches([some])).values()
    except QueryError as error:
        assert "On-demand feature 'computed'" in error.message  # noqa: PT017 - it need not be raised
        return

    alone = [_value(prepared, some.slice(place, 1)) for place in range(some.num_rows)]

    assert _bits(pa.concat_arrays(alone)) == _bits(together.combine_chunks())


def _prepared(random: Random, engine: DuckDBEngine) -> PreparedOnDemand:
    """A random expression that the engine takes, and whose type a feature can have."""
    try:
        canonical = canonical_sql(parse_expression(expression(random, random.randint(1, 4))))
        found = engine.schema(Query(probe(canonical, "f"), {ROWS: SCHEMA.empty_table()})).field(0).type
    except (UnreadableSql, QueryError):
        found = pa.null()
    dtype = dtype_of(found)
    assume(dtype is not None)
    assert dtype is not None
    feature = ResolvedOnDemand("computed", canonical, dtype, INPUTS, (), "0" * 64)
    return prepare_on_demand(FeatureSet(None, (), (), (feature,), ()), engine)


def _accepted(prepared: PreparedOnDemand, batch: pa.RecordBatch) -> Iterator[tuple[pa.RecordBatch, pa.Array]]:
    """The rows for which Arrow does not refuse, and their values."""
    columns: Mapping[str, pa.Array] = dict(zip(batch.schema.names, batch.columns, strict=True))
    try:
        value = prepared.direct["computed"]({**prepared.constants, **columns})
    except pa.ArrowInvalid:
        half = batch.num_rows // 2
        for piece in (batch.slice(0, half), batch.slice(half)) if half else ():
            yield from _accepted(prepared, piece)
    else:
        yield batch, pa.repeat(value, batch.num_rows) if isinstance(value, pa.Scalar) else value


def _by_engine(prepared: PreparedOnDemand, table: pa.Table, engine: DuckDBEngine) -> pa.Array:
    numbered = table.add_column(0, ROW, pa.array(range(table.num_rows), pa.int64()))
    with engine.stream(Query(on_demand_rows(prepared.features), {ROWS: numbered})) as reader:
        found = reader.read_all()["computed"]
    return found.cast(arrow_type(prepared.features.on_demand[0].dtype)).combine_chunks()


def _value(prepared: PreparedOnDemand, row: pa.RecordBatch) -> pa.Array:
    return compute(prepared, dict(zip(row.schema.names, row.columns, strict=True)), 1)["computed"]


def _bits(values: pa.Array) -> list[object]:
    """The type, and the values with NaN and -0.0 as their bits."""
    if pa.types.is_floating(values.type):
        integers = values.view(pa.int64() if values.type == pa.float64() else pa.int32())
        return [values.type, *integers.to_pylist()]
    if pa.types.is_list(values.type):
        return [values.type, *(None if item is None else [_plain(one) for one in item] for item in values.to_pylist())]
    return [values.type, *values.to_pylist()]


def _plain(item: object) -> object:
    if not isinstance(item, float):
        return item
    return "nan" if math.isnan(item) else (math.copysign(1.0, item), item)
