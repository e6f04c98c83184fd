"""Values of every type are stored, read and sent exactly, and which of several rows stays depends on the rows alone."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st
from sqlglot import exp, parse_one

from featurestore.adapters.delta_offline import DeltaOfflineStore
from featurestore.adapters.duckdb_engine import DuckDBEngine
from featurestore.compiler.stored_rows import stored_rows
from featurestore.graph.arrow_types import arrow_schema, arrow_type, dtype_of
from featurestore.graph.resolved import Column
from featurestore.intervals import DAY, Interval
from featurestore.operations.entity_rows import typed_columns
from featurestore.operations.equality import same_value
from featurestore.ports.engine import Query
from featurestore.ports.offline_store import DAY_COLUMN
from featurestore.service.wire import rows_of, value_json
from featurestore.spec import dtypes
from featurestore.spec.dtypes import DType
from featurestore.spec.feature_view import FeatureView
from sdk.documents import typed_value
from sdk.entities import checked_entities, entities_json
from sdk.results import arrow_type as sdk_arrow_type
from tests.property.every_type import TYPES, exact, values
from tests.property.examples import examples
from tests.unit.graph.resolving import aircraft, flights, resolve

COLUMNS = tuple(Column(f"c{number}", dtype) for number, dtype in enumerate(TYPES))
ROWS = st.lists(st.tuples(*[st.none() | values(dtype) for dtype in TYPES]), max_size=4)
NOON = datetime(2024, 3, 10, 12, tzinfo=UTC)
MARCH_10 = Interval(NOON.replace(hour=0), NOON.replace(hour=0) + DAY)
FLOATING = {"vector": dtypes.Embedding(2), "list": dtypes.List(DType.FLOAT64), "alone": DType.FLOAT32}
FEW = st.sampled_from([0.0, -0.0, float("nan"), 1.0])


@examples(30)
@given(ROWS)
def test_every_value_comes_back_from_the_offline_table_as_it_was(
    engine: DuckDBEngine, rows: list[tuple[object]]
) -> None:
    schema = arrow_schema(COLUMNS)
    table = pa.table([[row[n] for row in rows] for n in range(len(COLUMNS))], schema=schema)
    with TemporaryDirectory(prefix="knownat-") as folder:
        store = DeltaOfflineStore(Path(folder))
        store.create("t@1", schema.append(pa.field(DAY_COLUMN, pa.string())))
        dated = table.append_column(DAY_COLUMN, pa.array(["2024-03-10"] * len(rows), pa.string()))

        files = engine.write(_all(dated), store.staging_folder("t@1"), partition_by=DAY_COLUMN)
        store.replace("t@1", MARCH_10, files, based_on=0)
        with engine.stream(Query(_all().tree, {"rows": store.snapshot("t@1").files})) as reader:
            found = reader.read_all()

    assert [dtype_of(field.type) for field in found.schema] == list(TYPES)
    for column in COLUMNS:
        assert exact(found[column.name].to_pylist()) == exact(table[column.name].to_pylist())


@examples(100)
@given(st.sampled_from(TYPES).flatmap(lambda dtype: st.tuples(st.just(dtype), st.none() | values(dtype))))
def test_every_value_comes_back_from_json_as_it_was(drawn: tuple[DType, object]) -> None:
    dtype, value = drawn

    answered = typed_value(json.loads(json.dumps(value_json(value), allow_nan=False)), dtype)
    [sent] = rows_of(json.loads(json.dumps(entities_json(checked_entities([{"x": value}])), allow_nan=False)))
    asked = typed_columns([sent], (Column("x", dtype),))["x"]

    assert exact(answered) == exact(value)
    assert exact(asked) == exact([value])
    assert same_value(answered, value)


@examples(50)
@given(
    st.lists(st.tuples(st.lists(FEW, min_size=2, max_size=2), st.lists(st.none() | FEW, max_size=2), FEW)), st.data()
)
def test_which_of_several_rows_stays_depends_on_the_rows_alone(
    engine: DuckDBEngine, rows: list[tuple[object, ...]], data: st.DataObject
) -> None:
    found = [_stored(engine, order) for order in (rows, data.draw(st.permutations(rows)))]

    assert found[0] == found[1]
    assert len(found[0]) == min(len(rows), 1)


def test_each_type_has_one_type_of_arrow_here_and_at_the_client() -> None:
    assert [dtype_of(arrow_type(dtype)) for dtype in TYPES] == list(TYPES)
    assert [sdk_arrow_type(dtype.value) for dtype in TYPES] == [arrow_type(dtype) for dtype in TYPES]


def _all(rows: pa.Table | None = None) -> Query:
    tree = parse_one("SELECT * FROM rows", dialect="duckdb")
    assert isinstance(tree, exp.Query)
    return Query(tree, {} if rows is None else {"rows": rows})


_SCHEMA = pa.schema(
    [("tail", pa.string()), ("landed", pa.timestamp("us", "UTC")), *((n, arrow_type(d)) for n, d in FLOATING.items())]
)
_SOURCE = flights()
_VIEW = resolve(
    _SOURCE, FeatureView("v", entity=aircraft(), source=_SOURCE, features=list(FLOATING)), flights=_SCHEMA
).view("v")


def _stored(engine: DuckDBEngine, rows: list[tuple[object, ...]]) -> list[object]:
    """What is stored of rows that all have one key, event and known timestamp."""
    columns = [["N1"] * len(rows), [NOON] * len(rows), *([row[n] for row in rows] for n in range(len(FLOATING)))]
    source = pa.table(columns, schema=_SCHEMA)
    with engine.stream(Query(stored_rows(_VIEW, MARCH_10), {"flights": source})) as reader:
        table = reader.read_all()
    return [exact([row[name] for name in FLOATING]) for row in table.to_pylist()]
