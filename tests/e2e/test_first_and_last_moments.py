"""The first and the last moment there are: what happens or asks there is answered, and ends nothing in an error."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from featurestore.intervals import FIRST_MOMENT, LAST_MOMENT
from sdk import Project, open_project

MOMENT = pa.timestamp("us", tz="UTC")
MARCH = datetime(2024, 3, 1, tzinfo=UTC)
DEFINITIONS = """\
import featurestore as fs

person = fs.Entity("person", join_keys={"id": fs.Int64})
rows = fs.ParquetSource("rows", path="rows", event_timestamp="at", delay="1h")
values = fs.FeatureView("values", entity=person, source=rows, features=["v"], ttl="7d")
counts = fs.FeatureView("counts", entity=person, source=rows, every="1h", publish_delay="1h",
                        features=[fs.Aggregate("v", fs.last, windows=["7d"], name="v")])
"""


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    (tmp_path / "definitions").mkdir()
    (tmp_path / "definitions" / "all.py").write_text(DEFINITIONS)
    (tmp_path / "knownat.toml").write_text('name = "moments"\nclock = 2024-03-02T00:00:00Z\n[engine]\nthreads = 1\n')
    write(tmp_path, "a", [1, 2], [MARCH, LAST_MOMENT])
    with open_project(tmp_path) as opened:
        yield opened


def write(folder: Path, name: str, ids: list[int], moments: list[object]) -> None:
    (folder / "data" / "rows").mkdir(parents=True, exist_ok=True)
    values = pa.array(moments, MOMENT)
    pq.write_table(pa.table({"id": ids, "at": values, "v": values}), folder / "data" / "rows" / f"{name}.parquet")


def test_a_row_at_the_end_of_time_and_questions_at_both_ends_are_answered(project: Project, tmp_path: Path) -> None:
    for _ in (*project.apply(), *project.materialize()):
        pass
    write(tmp_path, "b", [3], [LAST_MOMENT])
    for _ in project.run_due():
        pass
    spine = pa.table({"id": [1, 1, 2], "event_timestamp": pa.array([FIRST_MOMENT, LAST_MOMENT, LAST_MOMENT], MOMENT)})

    table = project.client.training_set(spine, features=["values:v", "counts:v_7d"]).to_arrow()
    online = project.client.online(features=["values:v", "counts:v_7d"], entities=[{"id": 1}, {"id": 2}])

    assert table["values__v"].to_pylist() == [None, None, None]
    assert table["counts__v_7d"].to_pylist() == [None, MARCH, None]  # as far as it is filled
    assert online.to_dicts() == [
        {"values__v": MARCH, "counts__v_7d": MARCH},
        {"values__v": None, "counts__v_7d": None},
    ]
