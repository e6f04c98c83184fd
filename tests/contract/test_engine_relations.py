"""What a query sees of relations: microseconds, and the same columns whichever way files write them."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pytest

from featurestore.graph.microseconds import floored
from featurestore.ports.engine import Engine, FileGroups, Relation, RowScan
from tests.contract.test_engine import answer, engine, files

__all__ = ["engine"]

LAST = 2**63 - 1
NANOSECONDS = [1, -1, 999, -1000, -1001, None, 1_704_103_199_999_999_700, LAST, -LAST, LAST - 807]


@pytest.mark.parametrize("kind", ["table", "files", "row scan", "file groups"])
@pytest.mark.parametrize("zone", [None, "UTC"])
def test_nanoseconds_are_floored_before_a_query_sees_them(
    engine: Engine, tmp_path: Path, kind: str, zone: str | None
) -> None:
    fine = pa.timestamp("ns", zone)
    rows = pa.table({
        "n": range(len(NANOSECONDS)),
        "at": pa.array(NANOSECONDS, fine),
        "listed": pa.array([[one, None] for one in NANOSECONDS], pa.list_(fine)),
        "of": pa.array([{"t": one, "a b": [one]} for one in NANOSECONDS],
                       pa.struct([("t", fine), ("a b", pa.list_(fine))])),
        "m": pa.array([[("k", one)] for one in NANOSECONDS], pa.map_(pa.string(), fine)),
    })  # fmt: skip
    relation: Relation = {
        "table": rows,
        "files": files(tmp_path / "f", rows[:3], rows[3:]),
        "row scan": RowScan(rows.schema, lambda names: iter(rows.select(list(names)).to_batches(4))),
        "file groups": FileGroups((files(tmp_path / "g", rows),), rows.schema),
    }[kind]
    sql = """
        SELECT epoch_us(CAST(at AS TIMESTAMPTZ)), CAST(at AS DATE), epoch_us(listed[1]),
               epoch_us(struct_extract(of, 't')), epoch_us(struct_extract(of, 'a b')[1]), epoch_us(m['k'])
        FROM r ORDER BY n
    """

    found = [tuple(row.values()) for row in answer(engine, sql, r=relation)]

    moments = [None if one is None else one // 1000 for one in NANOSECONDS]
    days = floored(rows["at"]).cast(pa.date32(), safe=False).to_pylist()
    assert found == [(one, day, one, one, one, one) for one, day in zip(moments, days, strict=True)]


def test_files_that_write_the_same_values_in_several_ways_are_one_relation(engine: Engine, tmp_path: Path) -> None:
    fine = pa.table({"at": pa.array([-1], pa.timestamp("ns")), "a": ["x"], "gone": [1]})
    late = datetime(9999, 12, 31)  # noqa: DTZ001 - which no nanosecond has a number of
    coarse = pa.table({"a": pa.array(["y"], pa.large_string()), "at": pa.array([late], pa.timestamp("us"))})
    schema = pa.schema([("a", pa.string()), ("at", pa.timestamp("us")), ("added", pa.int64())])
    groups = FileGroups((files(tmp_path / "fine", fine), files(tmp_path / "coarse", coarse)), schema)

    found = answer(engine, "SELECT * FROM r ORDER BY at", r=groups)

    before = datetime(1969, 12, 31, 23, 59, 59, 999_999)  # noqa: DTZ001 - as it comes, without a zone
    assert found == [{"a": "x", "at": before, "added": None}, {"a": "y", "at": late, "added": None}]
