"""Decimals, lists and embeddings, from a source to every place where their values are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from shutil import copytree

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from featurestore.errors import DefinitionsError, EntityRowsError, SourceError, SpineError
from sdk import Client, OnlineResult, TrainingSet, open_project
from tests.property.every_type import exact
from tests.service.conftest import apply_all, connected, served
from tests.typed_project import ASKED, COLUMNS, HARD, NOW, source_rows, spine, typed_project

SERVICE = "everything"


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project, applied and materialized. Copy it to change it."""
    folder = typed_project(tmp_path_factory.mktemp("typed") / "project")
    apply_all(folder)
    return folder


@pytest.fixture(params=["path", "http"])
def client(request: pytest.FixtureRequest, filled: Path) -> Iterator[Client]:
    with connected(filled, request.param) as connection:
        yield connection


def pulled(client: Client) -> TrainingSet:
    return client.training_set(spine(), service=SERVICE)


def test_a_training_set_has_the_values_of_the_source_exactly(client: Client) -> None:
    table = pulled(client).to_arrow()

    for name, values in HARD.items():
        assert exact(table[f"whole__{name}"].to_pylist()) == exact([*values, None]), name
    assert [table.schema.field(f"whole__{name}").type for name in COLUMNS] == source_rows().schema.types[2:]


def test_the_online_answer_is_the_training_rows(client: Client) -> None:
    table = pulled(client).to_arrow()

    answer = client.online(service=SERVICE, entities=ASKED)

    assert answer.to_arrow().schema == table.select(answer.columns).schema
    for name in answer.columns:
        assert exact(answer.to_arrow()[name].to_pylist()) == exact(table[name].to_pylist()), name


def test_features_made_by_sql_have_the_types_of_their_expressions(client: Client) -> None:
    table = pulled(client).to_arrow()

    found = {name: table[name].to_pylist()[:3] for name in ("by_sql__tripled", "by_sql__euros", "by_sql__listed")}
    assert found == {
        "by_sql__tripled": [Decimal("0.30"), Decimal("-29999999999999999.97"), None],
        "by_sql__euros": [Decimal(0), Decimal(-(10**16)), None],
        "by_sql__listed": [[Decimal("0.10"), None], [Decimal("-9999999999999999.99"), None], [None, None]],
    }
    assert table.schema.field("by_sql__euros").type == pa.decimal128(38, 0)
    assert table["windows__price_min_7d"].to_pylist() == [*HARD["price"], None]
    assert table.schema.field("windows__price_sum_7d").type == pa.decimal128(38, 2)
    assert table["windows__price_sum_7d"].to_pylist() == [*HARD["price"], None]
    assert table["windows__price_sum_lifetime"].to_pylist() == [*HARD["price"], None]
    means = [float(price) if isinstance(price, Decimal) else None for price in (*HARD["price"], None)]
    assert table["windows__price_mean_7d"].to_pylist() == means
    assert table["windows__vector_count_7d"].to_pylist() == [1, 1, 0, 1, 0]
    assert table["windows__share_count_distinct_7d"].to_pylist() == [1, 1, 0, 1, 0]
    last = [None if mass is None else [mass] for mass in (*HARD["mass"], None)]
    assert table["windows__mass_last_2_7d"].to_pylist() == last


def test_on_demand_features_read_and_give_them(client: Client) -> None:
    answer = client.online(service=SERVICE, entities=ASKED)

    found = {column.name: column.values for column in answer.details}
    assert found["near"][2:] == (None, 1.625, None)
    assert found["total"][0] == Decimal("0.15000")
    assert found["longer"][0] == ["", "Łódź", None, 'a"b\\c\n', "東京", "NaN", None]
    assert found["pair"][2:] == (None, [0.0, float(np.float32(999.999))], None)  # null where an item would be


def test_a_plan_tells_which_features_make_lookups_wait_for_the_engine(tmp_path: Path) -> None:
    with open_project(typed_project(tmp_path / "project")) as project:
        plan = project.plan()

        assert [one.feature for one in plan.by_engine] == ["near", "longer", "pair"]
        assert plan.by_engine[0].reason == 'ARRAY_INNER_PRODUCT("whole__vector", "asked")'
        list(project.apply(plan))
        assert project.plan().by_engine == ()


def test_redis_answers_what_the_embedded_store_answers(
    filled: Path, tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copytree(filled, tmp_path / "project")
    with connected(folder, "path") as client:
        embedded = client.online(service=SERVICE, entities=ASKED)
    (folder / ".knownat" / "online.sqlite").unlink()
    monkeypatch.setenv("KNOWNAT_ONLINE__URL", redis_url)
    monkeypatch.setenv("KNOWNAT_NAME", tmp_path.name)
    with open_project(folder) as project:
        list(project.materialize(until=NOW))

    with connected(folder, "http") as client:
        found = client.online(service=SERVICE, entities=ASKED)
        reports = [client.audit(view) for view in ("whole", "by_sql", "windows")]

    assert _answers(found) == _answers(embedded)
    assert [(report.keys, report.differences) for report in reports] == [(4, ())] * 3


def test_an_audit_compares_every_value(client: Client) -> None:
    reports = [client.audit(view) for view in ("whole", "by_sql", "windows")]

    assert [(report.keys, report.differences) for report in reports] == [(4, ())] * 3


def test_a_rebuilt_dataset_has_the_same_bytes(client: Client) -> None:
    dataset = pulled(client)

    assert client.rebuild(dataset.id).sha256 == dataset.sha256


def test_frames_keep_the_values(client: Client) -> None:
    dataset = pulled(client)

    pandas, polars = dataset.to_pandas(), dataset.to_polars()

    assert pandas["whole__price"].tolist()[:2] == HARD["price"][:2]
    assert pandas["whole__numbers"].tolist()[0] == HARD["numbers"][0]
    assert pandas["whole__vector"][0].dtype == np.float32
    assert polars["whole__mass"].to_list() == [*HARD["mass"], None]
    assert polars["whole__numbers"].to_list() == [*HARD["numbers"], None]
    assert str(polars["whole__vector"].dtype) == "Array(Float32, shape=(3,))"


def test_a_profile_has_the_range_of_decimals_and_the_nulls_of_lists(client: Client) -> None:
    profile = {entry["name"]: entry for entry in pulled(client).manifest["profile"]}

    assert profile["whole__share"] | {"mean": None} == {
        "name": "whole__share", "dtype": "decimal128(4, 4)", "nulls": 2, "minimum": -0.0001, "maximum": 0.9999,
        "mean": None,
    }  # fmt: skip
    assert (profile["whole__words"]["nulls"], profile["whole__words"]["minimum"]) == (2, None)


def test_json_has_decimals_as_text_and_lists_as_lists(filled: Path) -> None:
    body = {
        "features": ["whole:price", "whole:weights", "total"],
        "entities": [{"id": "a", "quantity": "1.500"}, {"id": "a", "quantity": {"$decimal": "2"}}],
    }

    with served(filled) as address:
        columns = httpx.post(f"{address}/v1/online", json=body).json()["columns"]

    assert [column["dtype"] for column in columns] == ["decimal(18, 2)", "list(float64)", "decimal(18, 5)"]
    assert columns[0]["values"] == ["0.10", "0.10"]
    assert columns[1]["values"][0] == [0.1, -0.0, "NaN", "Infinity", "-Infinity", 5e-324, None]
    assert columns[2]["values"] == ["0.15000", "0.20000"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"quantity": 1.5}, r"'quantity' is 1\.5, expected decimal\(6, 3\), as text such as '1\.50', a Decimal"),
        ({"quantity": Decimal("0.0001")}, r"'quantity' is .*0\.0001.*, expected decimal\(6, 3\)"),
        ({"asked": [1.0, 2.0]}, r"'asked' is \[1\.0, 2\.0\], expected embedding\(3\)"),
        ({"asked": [1.0, 2.0, None]}, r"'asked' is \[1\.0, 2\.0, None\], expected embedding\(3\)"),
        ({"extra": ["x", 7]}, r"'extra' is \['x', 7\], expected list\(string\)"),
    ],
)
def test_a_request_with_a_value_that_does_not_fit_is_refused(
    client: Client, changed: dict[str, object], message: str
) -> None:
    with pytest.raises(EntityRowsError, match=message):
        client.online(service=SERVICE, entities=[{**ASKED[0], **changed}])


def test_a_spine_with_a_null_item_in_an_embedding_is_refused(client: Client) -> None:
    asked = pa.array([[1.0, None, 2.0]] * len(ASKED), pa.list_(pa.float64()))
    table = spine()

    with pytest.raises(SpineError, match=r"'asked' does not fit embedding\(3\): .* an embedding has no null"):
        client.training_set(table.set_column(1, "asked", asked), service=SERVICE)


def test_a_stored_embedding_with_a_null_item_stops_the_backfill(tmp_path: Path) -> None:
    folder = typed_project(tmp_path / "project")
    rows = source_rows()
    lacking = pa.array([[1.0, None, 2.0]] * rows.num_rows, pa.list_(pa.float32(), 3))
    position = rows.column_names.index("vector")
    pq.write_table(rows.set_column(position, "vector", lacking), folder / "data" / "rows.parquet")

    with pytest.raises(SourceError, match="'vector' of view 'whole' is an embedding with a null item"):
        apply_all(folder)


def test_what_a_window_can_not_aggregate_is_told_with_what_to_do(tmp_path: Path) -> None:
    folder = typed_project(tmp_path / "project")
    file = folder / "definitions" / "all.py"
    wrong = 'fs.Aggregate("price", fs.std, windows=["7d"]), fs.Aggregate("vector", fs.max, windows=["7d"]),'
    file.write_text(file.read_text().replace('fs.Aggregate("price", fs.min, windows=["7d"]),', wrong))

    with open_project(folder) as project, pytest.raises(DefinitionsError) as raised:
        project.plan()

    told = str(raised.value)
    assert "'price_std_7d' of view 'windows' takes the std of decimal128(18, 2) values" in told
    assert "CAST them to DOUBLE: only sum and mean are exact for decimals, std is not" in told
    assert "'vector_max_7d' of view 'windows' takes the max of" in told
    assert "windows only count such values" in told


def _answers(result: OnlineResult) -> tuple[object, ...]:
    return exact([list(row.values()) for row in result.to_dicts()]), result.statuses(), result.event_timestamps()
