"""A project with a feature of every type, whose rows hold the values that are easily lost on the way."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from math import inf, nan
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from featurestore.graph.arrow_types import arrow_type
from featurestore.spec import dtypes
from featurestore.spec.dtypes import DType

NOW = datetime(2024, 3, 10, tzinfo=UTC)
MOMENT = pa.timestamp("us", tz="UTC")
EARLY = datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)

COLUMNS: dict[str, DType] = {
    "price": dtypes.Decimal(18, 2),
    "mass": dtypes.Decimal(38, 10),
    "count": dtypes.Decimal(38),
    "share": dtypes.Decimal(4, 4),
    "numbers": dtypes.List(DType.INT64),
    "weights": dtypes.List(DType.FLOAT64),
    "halves": dtypes.List(DType.FLOAT32),
    "words": dtypes.List(DType.STRING),
    "flags": dtypes.List(DType.BOOL),
    "days": dtypes.List(DType.DATE),
    "moments": dtypes.List(DType.TIMESTAMP),
    "prices": dtypes.List(dtypes.Decimal(38, 4)),
    "vector": dtypes.Embedding(3),
}
"""The features, and the source's columns that they are."""

HARD: dict[str, list[object]] = {
    "price": [Decimal("0.10"), Decimal("-9999999999999999.99"), None, Decimal("0.00")],
    "mass": [Decimal("1234567890123456789012345678.0123456789"), Decimal("-0.0000000001"), None, Decimal("0E-10")],
    "count": [Decimal("9" * 38), Decimal("-" + "9" * 38), None, Decimal(2**64)],
    "share": [Decimal("0.9999"), Decimal("-0.0001"), None, Decimal("0.0000")],
    "numbers": [[1, None, 2**63 - 1, -(2**63), 2**53 + 1], [], None, [None]],
    "weights": [[0.1, -0.0, nan, inf, -inf, 5e-324, None], [], None, [0.0]],
    "halves": [[-0.0, nan, 1.5, None, 2.0**-149], [], None, [inf]],
    "words": [["", "Łódź", None, 'a"b\\c\n', "東京", "NaN"], [], None, [None, None]],
    "flags": [[True, None, False], [], None, [False]],
    "days": [[date(1, 1, 1), None, date(9999, 12, 31)], [], None, [date(1970, 1, 1)]],
    "moments": [[EARLY, None, NOW], [], None, [EARLY]],
    "prices": [[Decimal("-0.0001"), None, Decimal("9" * 34 + ".9999")], [], None, [Decimal("0.0000")]],
    "vector": [[0.5, -0.0, nan], [inf, -inf, 2.0**-149], None, [1.0, 2.0, 3.0]],
}
"""For each column, the value that each of the four things has."""

THINGS = ("a", "b", "c", "d")

DEFINITIONS = '''\
"""Things of every type."""

import featurestore as fs

thing = fs.Entity("thing", join_keys={"id": fs.String})
rows = fs.ParquetSource("rows", path="rows.parquet", event_timestamp="happened")

whole = fs.FeatureView("whole", entity=thing, source=rows, features=[NAMES])
by_sql = fs.FeatureView(
    "by_sql",
    entity=thing,
    sql="""
        SELECT id, happened AS event_timestamp,
               CAST(price AS DECIMAL(20, 2)) * 3 AS tripled, CAST(price AS HUGEINT) AS euros, [price, NULL] AS listed,
               CAST([1.5, -(0::FLOAT), coalesce(price, 0)] AS FLOAT[3]) AS made, vector[1:2] AS part
        FROM rows
    """,
)
windows = fs.FeatureView(
    "windows",
    entity=thing,
    source=rows,
    every="1h",
    features=[
        fs.Aggregate("price", fs.min, windows=["7d"]),
        fs.Aggregate("mass", fs.max, windows=["7d"]),
        fs.Aggregate("price", fs.count, windows=["7d"]),
        fs.Aggregate("price", fs.sum, windows=["7d", "lifetime"]),
        fs.Aggregate("price", fs.mean, windows=["7d"]),
        fs.Aggregate("mass", fs.last, windows=["7d"]),
        fs.Aggregate("mass", fs.last_n(2), windows=["7d"]),
        fs.Aggregate("share", fs.count_distinct, windows=["7d"]),
        fs.Aggregate("vector", fs.count, windows=["7d"]),
        fs.Aggregate("words", fs.count, windows=["7d"]),
    ],
)
near = fs.OnDemandFeature(
    "near", expression="array_inner_product(whole:vector, asked)", inputs={"asked": fs.Embedding(3)}
)
total = fs.OnDemandFeature(
    "total", expression="whole:price * quantity", inputs={"quantity": fs.Decimal(6, 3)}
)
longer = fs.OnDemandFeature(
    "longer", expression="list_append(whole:words, last(extra))", inputs={"extra": fs.List(fs.String)}
)
pair = fs.OnDemandFeature("pair", expression="[whole:price, quantity]::FLOAT[2]", inputs={"quantity": fs.Decimal(6, 3)})
everything = fs.FeatureService("everything", features=[whole, by_sql, windows, near, total, longer, pair])
'''.replace("NAMES", ", ".join(f'"{name}"' for name in COLUMNS)).replace("last(extra)", "extra[-1]")

ASKED: list[dict[str, object]] = [
    {"id": "a", "asked": [0.5, 1.0, 0.0], "quantity": Decimal("1.500"), "extra": ["x", None]},
    {"id": "b", "asked": [1.0, -0.0, 2.0], "quantity": Decimal("-0.001"), "extra": []},
    {"id": "c", "asked": None, "quantity": None, "extra": None},
    {"id": "d", "asked": [0.25, 0.5, 0.125], "quantity": Decimal("999.999"), "extra": ["東京"]},
    {"id": "nobody", "asked": [0.0, 0.0, 0.0], "quantity": Decimal(1), "extra": [None]},
]
"""What a spine and an online request bring."""


def spine() -> pa.Table:
    """The rows of ASKED, at NOW."""
    inputs = {
        "id": DType.STRING,
        "asked": dtypes.Embedding(3),
        "quantity": dtypes.Decimal(6, 3),
        "extra": dtypes.List(DType.STRING),
    }
    columns = {name: pa.array([row[name] for row in ASKED], arrow_type(dtype)) for name, dtype in inputs.items()}
    return pa.table({**columns, "event_timestamp": pa.array([NOW] * len(ASKED), MOMENT)})


def source_rows() -> pa.Table:
    columns = {name: pa.array(HARD[name], arrow_type(dtype)) for name, dtype in COLUMNS.items()}
    happened = pa.array([NOW - timedelta(days=1)] * len(THINGS), MOMENT)
    return pa.table({"id": list(THINGS), "happened": happened, **columns})


def typed_project(folder: Path) -> Path:
    """Write it into `folder`: settings, definitions and source. Nothing is applied yet."""
    for name in ("definitions", "data"):
        (folder / name).mkdir(parents=True)
    (folder / "knownat.toml").write_text(f'name = "typed"\nclock = {NOW.isoformat()}\n[engine]\nthreads = 1\n')
    (folder / "definitions" / "all.py").write_text(DEFINITIONS)
    pq.write_table(source_rows(), folder / "data" / "rows.parquet")
    return folder
