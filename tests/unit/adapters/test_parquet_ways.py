"""Ways of writing the same values in Parquet: one type, whichever files a folder mixes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlglot import exp

from featurestore.adapters.duckdb_engine import DuckDBEngine
from featurestore.adapters.parquet_source import ParquetSources
from featurestore.adapters.source_files import SourceFiles
from featurestore.graph.arrow_types import same_values
from featurestore.ports.engine import Query
from featurestore.spec.dtypes import DType
from featurestore.spec.source import ParquetSource
from tests.unit.adapters.test_parquet_source import JUNE, MOMENT, read, write


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDBEngine]:
    opened = DuckDBEngine(memory_limit="500MB", threads=2, spill_folder=tmp_path_factory.mktemp("spill"))
    yield opened
    opened.close()


TENSOR = pa.fixed_shape_tensor(pa.float32(), (2,))
WAYS: dict[str, list[pa.Array]] = {
    "halves": [
        pa.array([1.5], pa.float32()),
        pa.array([np.float16(1.5)], pa.float16()),
    ],
    "a type of an extension": [
        pa.array([[1.0, 2.0]], pa.list_(pa.float32(), 2)),
        pa.ExtensionArray.from_storage(TENSOR, pa.array([[1.0, 2.0]], pa.list_(pa.float32(), 2))),
    ],
    "bytes as flags": [
        pa.array([1], pa.int8()),
        pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1], pa.int8())),
    ],
    "text": [
        pa.array(["a"]), pa.array(["a"], pa.large_string()), pa.array(["a"], pa.string_view()),
        pa.array(["a"]).dictionary_encode(), pa.array(["a"], pa.large_string()).dictionary_encode(),
    ],
    "moments": [pa.array([10**9], pa.timestamp("ns")), pa.array([10**6], pa.timestamp("us")),
                pa.array([1000], pa.timestamp("ms"))],
    "moments with a zone": [pa.array([10**9], pa.timestamp("ns", "UTC")), pa.array([10**6], pa.timestamp("us", "UTC")),
                            pa.array([10**6], pa.timestamp("us", "Europe/Berlin"))],
    "lists": [pa.array([["a"]]), pa.array([["a"]], pa.large_list(pa.large_string())),
              pa.array([["a"]], pa.list_(pa.field("x", pa.string_view(), nullable=False)))],
    "lists of moments": [pa.array([[10**9]], pa.list_(pa.timestamp("ns"))),
                         pa.array([[10**6]], pa.list_(pa.timestamp("us")))],
    "structs": [pa.array([{"a": "x", "t": 10**9}], pa.struct([("a", pa.string()), ("t", pa.timestamp("ns"))])),
                pa.array([{"a": "x", "t": 10**6}], pa.struct([("a", pa.large_string()), ("t", pa.timestamp("us"))]))],
    "decimals": [pa.array([Decimal("1.50")], kind) for kind in (pa.decimal128(9, 2), pa.decimal256(9, 2),
                                                                pa.decimal32(9, 2), pa.decimal64(9, 2))],
}  # fmt: skip


@pytest.mark.parametrize("kind", WAYS)
@pytest.mark.parametrize("local", [True, False], ids=["by the engine", "by Arrow"])
def test_other_ways_of_writing_the_same_values_are_one_type(
    tmp_path: Path, engine: DuckDBEngine, kind: str, local: bool
) -> None:
    ways = WAYS[kind]
    for number, values in enumerate([*ways, *ways[:1]]):  # the newest file is written as the first one
        folder = tmp_path / "s" if local else tmp_path / "s" / f"part={number}"
        folder.mkdir(parents=True, exist_ok=True)
        field = pa.field("v", values.type, nullable=number % 2 == 0, metadata={"pandas": str(number)})
        table = pa.table([values, pa.array([JUNE], MOMENT)], pa.schema([field, ("at", MOMENT)], {"n": str(number)}))
        pq.write_table(table, folder / f"{number}.parquet")
        os.utime(folder / f"{number}.parquet", (number + 1, number + 1))
    partitions = {} if local else {"part": DType.INT64}

    source = ParquetSource("s", path="s", event_timestamp="at", partitions=partitions)
    snapshot = ParquetSources(SourceFiles(tmp_path)).read(source)

    query = Query(exp.select(exp.column("v", quoted=True)).from_("s"), {"s": snapshot.relation})
    found = engine.stream(query).read_all()["v"].to_pylist()
    assert not snapshot.mixed
    assert found == found[:1] * (len(ways) + 1)
    assert snapshot.schema.field("v").type == same_values(ways[0].type)


def test_moments_of_int96_reach_as_far_as_those_of_microseconds(tmp_path: Path, engine: DuckDBEngine) -> None:
    far = [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)]
    naive = [moment.replace(tzinfo=None) for moment in far]
    write(tmp_path / "int96" / "a.parquet", *naive, kind=pa.timestamp("us"), use_deprecated_int96_timestamps=True)
    write(tmp_path / "int96" / "b.parquet", 999, kind=pa.timestamp("ns"))

    snapshot = read(tmp_path, "int96")

    query = Query(exp.select("at").from_("s").order_by("at"), {"s": snapshot.relation})
    assert engine.stream(query).read_all()["at"].to_pylist() == [
        naive[0], datetime(1970, 1, 1), naive[1],  # noqa: DTZ001 - as they come, without a zone
    ]  # fmt: skip
    assert (snapshot.first, snapshot.last) == tuple(far)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (pa.array([1], pa.duration("us")), "duration[us] in {file}, which Parquet has no type for"),
        (
            pa.array([[1]], pa.list_(pa.duration("ns"))),
            "list<element: duration[ns]> in {file}, which Parquet",
        ),
        (
            pa.array([Decimal("1.5")], pa.decimal256(76, 2)),
            "decimal256(76, 2) in {file}, which has more than 38",
        ),
    ],
    ids=["duration", "list", "decimal"],
)
def test_what_an_engine_reads_as_something_else_is_told_and_hides_no_other_column(
    tmp_path: Path, engine: DuckDBEngine, values: pa.Array, told: str
) -> None:
    pq.write_table(pa.table({"at": pa.array([JUNE], MOMENT), "v": values, "n": [7]}), tmp_path / "a.parquet")

    snapshot = read(tmp_path, "a.parquet")

    assert snapshot.mixed["v"].startswith(told.format(file=tmp_path / "a.parquet"))
    assert list(snapshot.mixed) == ["v"]
    for relation in (snapshot.relation, snapshot.schema.empty_table()):  # as it is filled, and as it is planned
        assert engine.schema(Query(exp.select("n").from_("s"), {"s": relation})).names == ["n"]
