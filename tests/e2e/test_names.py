"""Columns, keys, views, features, roles and request inputs that are called like words of SQL have their own values."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from sdk import connect
from tests.service.conftest import apply_all
from tests.small_project import MOMENT

WORDS = ("select", "from", "order", "true", "null", "current_user", "current_date", "user", "default", "rowid", "Case")
ODD = ("größe", "net amount", 'so "called"', "a.b", "it's")
MOMENTS = pa.array([datetime(2024, 3, day, tzinfo=UTC) for day in (1, 2)], MOMENT)
ROWS = pa.table(
    {
        "group": ["a", "b"],
        "on": MOMENTS,
        "where": MOMENTS,
        **{name: [float(place), place + 0.5] for place, name in enumerate((*WORDS, *ODD))},
    }
)
COLUMNS = (
    f"""{{"group": fs.String, "on": fs.Timestamp, "where": fs.Timestamp, **dict.fromkeys({WORDS + ODD}, fs.Float64)}}"""
)
SOURCES = {
    "parquet": 'fs.ParquetSource("values", path="rows.parquet", event_timestamp="on", known_at="where")',
    "csv": f'fs.CsvSource("values", path="rows.csv", event_timestamp="on", known_at="where", columns={COLUMNS})',
    "delta": 'fs.DeltaSource("values", path="rows", event_timestamp="on", known_at="where")',
}
DEFINITIONS = f"""
import featurestore as fs

limit = fs.Entity("limit", join_keys={{"group": fs.String}})
odd = [fs.Feature(f"odd{{place}}", name) for place, name in enumerate({ODD})]
order = fs.FeatureView("order", entity=limit, source=values, features=[*{WORDS}, *odd])
sums = [fs.Aggregate(word, "sum", windows=["90d"], where='"true" >= 0') for word in {WORDS}]
select = fs.FeatureView("select", entity=limit, source=values, every="1h", features=sums)
true = fs.FeatureView(
    "true",
    entity=limit,
    sql='SELECT "group", event_timestamp, known_at, "order"."null" * 2 AS "end" FROM "order"',
)
share = fs.OnDemandFeature(
    "from",
    expression='order:select + select:true_sum_90d + "true" + true:end + on_order:null',
    inputs={{"true": fs.Float64}},
)
table = fs.FeatureService("table", features=[order, select, true, order.role("on", group="to"), share])
"""


def project(folder: Path, kind: str) -> Path:
    (folder / "definitions").mkdir(parents=True)
    (folder / "data").mkdir()
    (folder / "knownat.toml").write_text('name = "words"\nclock = 2024-03-10T00:00:00Z\n')
    declared = DEFINITIONS.replace(
        "import featurestore as fs\n", f"import featurestore as fs\n\nvalues = {SOURCES[kind]}"
    )
    (folder / "definitions" / "words.py").write_text(declared)
    pq.write_table(ROWS, folder / "data" / "rows.parquet")
    pa_csv.write_csv(ROWS, folder / "data" / "rows.csv")
    write_deltalake(str(folder / "data" / "rows"), ROWS)
    return folder


@pytest.mark.parametrize("kind", SOURCES)
def test_a_name_is_a_name_from_the_source_to_the_answer(kind: str, tmp_path: Path) -> None:
    folder = project(tmp_path / "project", kind)
    apply_all(folder)
    asked: dict[str, list[str] | list[float]] = {"group": ["a", "b"], "to": ["b", "a"], "true": [1.0, 2.0]}
    spine = pa.table({**asked, "event_timestamp": pa.array([datetime(2024, 3, 10, tzinfo=UTC)] * 2, MOMENT)})

    with connect(folder) as client:
        pulled = client.training_set(spine, service="table").to_arrow()
        answer = client.online(service="table", entities=asked).to_arrow()

    for place, word in enumerate(WORDS):
        assert pulled[f"order__{word}"].to_pylist() == [place, place + 0.5], word
        assert pulled[f"select__{word}_sum_90d"].to_pylist() == [place, place + 0.5], word
    for place, _ in enumerate(ODD):
        assert pulled[f"order__odd{place}"].to_pylist() == [len(WORDS) + place, len(WORDS) + place + 0.5]
    assert pulled["true__end"].to_pylist() == [8.0, 9.0]
    assert pulled["from"].to_pylist() == [0 + 3 + 1 + 8 + 4.5, 0.5 + 3.5 + 2 + 9 + 4]
    assert answer.to_pydict() == pulled.select(answer.column_names).to_pydict()
