"""What a client promises of datasets, models, lineage and audits, in this process and over HTTP."""

from __future__ import annotations

import hashlib
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from featurestore.errors import DatasetGone, InvalidRequest, StoreCorrupted, UnknownName
from featurestore.ports.online_store import OnlineTable
from registry.errors import AliasNotFound, InvalidRegistration, ModelNotFound, RegistrationKeyReused, VersionNotFound
from registry.wiring import open_project as wire_folder
from sdk import Client, TrainingSet, connect
from sdk.errors import OutputExists
from sdk.results import ModelVersion, RegisteredModel
from tests.online_rows import rows_at, write
from tests.service.conftest import apply_all, connected
from tests.small_project import NOW, SPINE, SmallProject

COLUMNS = [
    "shop_orders__orders_1d", "shop_orders__orders_7d", "shop_orders__amount_sum_7d", "shop_orders__amount_mean_1d",
    "shop_orders__amount_mean_7d", "shop_facts__score", "shop_facts__visitors", "shop_facts__city",
    "shop_facts__opened", "basket_share",
]  # fmt: skip

NULL_KEY = "1 rows have no 'shop': a null key matches nothing"


def pull(client: Client) -> TrainingSet:
    return client.training_set(SPINE, service="shops_v1", label="late")


def register(client: Client, **more: Any) -> ModelVersion:
    return client.register_model("worth", b"model", dataset=pull(client).id, **more)


def exact(table: pa.Table) -> str:
    """Everything of a table as text: NaN is NaN there."""
    return f"{table.schema.remove_metadata()}\n{table.to_pylist()!r}"


def test_a_training_set_is_the_spine_and_then_the_features_in_its_order(client: Client) -> None:
    dataset = pull(client)

    table = dataset.to_arrow()
    assert table.column_names == [*SPINE.column_names, *COLUMNS]
    assert exact(table.select(SPINE.column_names)) == exact(SPINE)
    assert table["shop_orders__orders_7d"].to_pylist() == [1, 2, 1, 1, 0, 0, 0]
    assert (dataset.rows, dataset.manifest["label"], dataset.warnings) == (7, "late", (NULL_KEY,))


def test_a_training_set_as_served_holds_nothing_from_before_anything_was_online(client: Client) -> None:
    served = client.training_set(SPINE, service="shops_v1", label="late", as_served=True)

    plain = pull(client)
    assert (plain.manifest["as_served"], plain.manifest["served"]) == (False, None)
    assert served.manifest["as_served"]
    assert served.id != plain.id
    at_now = [moment == NOW for moment in SPINE["event_timestamp"].to_pylist()]  # the only run was at NOW
    visitors = plain.to_arrow()["shop_facts__visitors"].to_pylist()
    orders = plain.to_arrow()["shop_orders__orders_7d"].to_pylist()
    rows = served.to_arrow()
    assert rows["shop_facts__visitors"].to_pylist() == [
        v if now else None for v, now in zip(visitors, at_now, strict=True)
    ]
    assert rows["shop_orders__orders_7d"].to_pylist() == [
        v if now else 0 for v, now in zip(orders, at_now, strict=True)
    ]
    assert "3 rows ask when 'shop_facts' was not online yet, and hold nothing of it" in served.warnings
    assert client.rebuild(served.id).sha256 == served.sha256


def test_what_event_time_alone_would_change_is_counted_by_feature(client: Client) -> None:
    report = client.explain_known(SPINE, service="shops_v1")

    assert (report.rows, report.cells, report.differing, report.share) == (7, 70, 0, 0.0)  # known when it happened
    assert [one.name for one in report.features] == COLUMNS


def test_the_same_pull_has_the_same_id_and_another_has_another(client: Client) -> None:
    first, again = pull(client), pull(client)

    other = client.training_set(SPINE, features=["shop_facts:*"])

    assert again.id == first.id
    assert other.id != first.id
    assert [one["id"] for one in client.datasets()] == [first.id, other.id]
    assert client.dataset(first.id[:12]).manifest == first.manifest


def test_a_spine_may_come_as_arrow_pandas_polars_or_a_file(client: Client, tmp_path: Path) -> None:
    pq.write_table(SPINE, tmp_path / "spine.parquet")
    spines = [SPINE, SPINE.to_reader(), SPINE.to_pandas(), pl.from_arrow(SPINE), tmp_path / "spine.parquet"]

    pulled = [client.training_set(spine, features=["shop_facts:visitors"]).to_arrow() for spine in spines]

    assert all(table["shop_facts__visitors"].equals(pulled[0]["shop_facts__visitors"]) for table in pulled)


def test_integers_beyond_2_to_the_53_survive_pandas_and_polars(client: Client) -> None:
    dataset = pull(client)
    expected = [2**53 + 1, 2**53 + 1, -(2**53) - 1, None, 1, None, None]

    assert dataset.to_polars()["shop_facts__visitors"].to_list() == expected
    assert [None if v is pd.NA else v for v in dataset.to_pandas()["shop_facts__visitors"]] == expected


def test_the_file_holds_the_bytes_that_the_manifest_names(client: Client, tmp_path: Path) -> None:
    dataset = pull(client)

    path = dataset.to_parquet(tmp_path / "rows.parquet")

    assert hashlib.sha256(path.read_bytes()).hexdigest() == dataset.sha256
    assert exact(pq.read_table(path)) == exact(dataset.to_arrow())
    assert [file.name for file in tmp_path.glob("*.parquet*")] == ["rows.parquet"]


def test_a_file_that_is_there_already_is_replaced_only_where_that_was_asked_for(client: Client, tmp_path: Path) -> None:
    dataset, path = pull(client), tmp_path / "rows.parquet"
    path.write_bytes(b"someone's")

    with pytest.raises(OutputExists, match="left as it is"):
        dataset.to_parquet(path)
    kept = path.read_bytes()
    dataset.to_parquet(path, overwrite=True)
    dataset.to_parquet(path)  # the same bytes: nothing to replace

    assert kept == b"someone's"
    assert hashlib.sha256(path.read_bytes()).hexdigest() == dataset.sha256
    assert [file.name for file in tmp_path.glob("*.parquet*")] == ["rows.parquet"]
    assert not list(tmp_path.glob("*.unfinished"))


def test_a_rebuild_gives_the_same_bytes_after_an_append_and_another_apply(
    client: Client, project: SmallProject
) -> None:
    before = pull(client)
    project.append_orders("second", [("alma", NOW - timedelta(hours=1), 1e6), ("ботик", NOW - timedelta(days=2), 7.0)])
    project.redefine("fs.mean, windows=", "fs.max, windows=")
    apply_all(project.folder)

    rebuilt = client.rebuild(before.id)

    assert (rebuilt.id, rebuilt.sha256) == (before.id, before.sha256)
    assert exact(rebuilt.to_arrow()) == exact(before.to_arrow())
    assert "shop_orders__amount_max_7d" in pull(client).to_arrow().column_names


def test_a_rebuild_without_its_table_says_what_is_gone(client: Client, project: SmallProject) -> None:
    dataset = pull(client)
    shutil.rmtree(project.folder / ".knownat" / "tables" / "shop_facts")

    with pytest.raises(DatasetGone, match=r"shop_facts@\w{8} at version"):
        client.rebuild(dataset.id)


def test_a_dataset_without_its_spine_can_not_be_rebuilt(client: Client) -> None:
    dataset = client.training_set(SPINE, service="shops_v1", keep_spine=False)

    with pytest.raises(DatasetGone, match="without keeping its spine"):
        client.rebuild(dataset.id)


def test_a_registered_version_holds_what_was_said_and_what_the_dataset_knows(client: Client) -> None:
    version = register(
        client, metrics={"auc": 0.1 + 0.2, "nan": float("nan"), "n": 3}, params={"depth": 4}, tags={"a": "é"}
    )

    assert (version.reference, version["artifact"]["size"], version["params"]) == ("worth@1", 5, {"depth": "4"})
    assert repr(version.metrics) == "{'auc': 0.30000000000000004, 'nan': nan, 'n': 3.0}"
    assert [feature["column"] for feature in version["features"]] == COLUMNS
    assert "python" in version["environment"]
    assert repr(client.models.get("worth@1")) == repr(version)


def test_a_model_is_listed_with_its_versions_and_aliases(client: Client) -> None:
    register(client)
    register(client)
    client.models.set_alias("worth", "champion", 2)

    model = client.models.get("worth")

    assert isinstance(model, RegisteredModel)
    assert [version.reference for version in model.versions] == ["worth@1", "worth@2"]
    assert model.aliases == {"champion": 2}
    assert [found.name for found in client.models.list()] == ["worth"]


def test_an_alias_can_be_moved_and_deleted(client: Client) -> None:
    register(client)
    register(client)
    client.models.set_alias("worth", "champion", 2)
    client.models.set_alias("worth", "champion", 1)
    found = client.models.get("worth@champion")
    client.models.delete_alias("worth", "champion")

    assert isinstance(found, ModelVersion)
    assert found.version == 1
    with pytest.raises(AliasNotFound, match="champion"):
        client.models.get("worth@champion")


@pytest.mark.parametrize("content", [b"", b"\x00\xff" * 500_000], ids=["empty", "large"])
def test_an_artifact_comes_back_byte_by_byte(client: Client, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model ü.pkl").write_bytes(content)
    client.register_model("wörth #1?", tmp_path / "model ü.pkl", no_dataset=True, no_dataset_reason="bought")
    (tmp_path / "out").mkdir()

    path = client.models.download("wörth #1?@1", tmp_path / "out")

    assert (path.name, path.read_bytes()) == ("model ü.pkl", content)


def test_an_artifact_replaces_no_other_file_unasked(client: Client, tmp_path: Path) -> None:
    register(client)
    path = tmp_path / "model"
    path.write_bytes(b"someone's")

    with pytest.raises(OutputExists):
        client.models.download("worth@1", path)
    kept = path.read_bytes()
    client.models.download("worth@1", path, overwrite=True)

    assert (kept, path.read_bytes()) == (b"someone's", b"model")


def test_a_damaged_artifact_is_noticed(client: Client, project: SmallProject, tmp_path: Path) -> None:
    digest = register(client)["artifact"]["sha256"]
    (project.folder / ".knownat" / "objects" / digest[:2] / digest[2:]).write_bytes(b"other")

    with pytest.raises(StoreCorrupted, match=digest[2:]):
        client.models.download("worth@1", tmp_path / "model")

    assert not (tmp_path / "model").exists()


def test_a_registration_is_repeatable_by_its_key(client: Client) -> None:
    first = register(client, key="run-1")

    assert register(client, key="run-1") == first
    with pytest.raises(RegistrationKeyReused, match="worth@1"):
        client.register_model("worth", b"another", dataset=first.dataset, key="run-1")


def test_what_is_not_registered_is_named_with_what_is(client: Client) -> None:
    register(client)

    with pytest.raises(ModelNotFound, match="Did you mean 'worth'"):
        client.models.get("wrth")
    with pytest.raises(VersionNotFound, match="version 1 only"):
        client.models.get("worth@7")
    with pytest.raises(UnknownName, match="dataset"):
        client.register_model("worth", b"m", dataset="0123456789")


def test_a_registration_needs_a_dataset_or_a_reason_and_tells_every_problem(client: Client) -> None:
    with pytest.raises(InvalidRegistration, match="names no dataset") as told:
        client.register_model("worth", b"m", tags={"k": "\0"})

    assert len(told.value.problems) == 2


def test_lineage_reaches_from_a_model_up_to_source_columns_and_table_versions(client: Client) -> None:
    version = register(client)

    urns = set(client.lineage(version.urn).urns())

    assert {"source:orders.amount", "source:facts.city", "service:shops_v1"} < urns
    assert any(urn.startswith("table:shop_orders@") and "@v" in urn for urn in urns)


def test_lineage_reaches_from_a_source_column_down_to_an_alias(client: Client) -> None:
    register(client)
    client.models.set_alias("worth", "champion", 1)

    tree = client.lineage("source:orders.amount", down=True)

    assert {"service:shops_v1", "model:worth@1", "alias:worth@champion"} < set(tree.urns())
    assert any(urn.startswith("dataset:") for urn in tree.urns())


def test_a_version_without_a_dataset_stands_in_the_lineage_alone(client: Client) -> None:
    client.register_model("bought", b"m", no_dataset=True, no_dataset_reason="from a shop")

    assert client.lineage("model:bought@1").branches == ()
    with pytest.raises(UnknownName, match="node in the lineage"):
        client.lineage("model:nosuch@1")


def test_an_audit_finds_nothing_where_nothing_was_touched(client: Client) -> None:
    audits = [client.audit(view) for view in ("shop_orders", "shop_facts")]

    assert [(audit.at, audit.differences) for audit in audits] == [(NOW, ()), (NOW, ())]
    assert [audit.keys for audit in audits] == [4, 5]


def test_an_audit_finds_a_row_that_was_changed_by_hand(client: Client, project: SmallProject) -> None:
    overwrite_facts(project, shop="alma", visitors=7)

    [difference] = client.audit("shop_facts").differences

    assert (dict(difference.key), difference.feature) == ({"shop": "alma"}, "shop_facts:visitors")
    assert (difference.online, difference.offline) == (7, 2**53 + 1)


def test_audits_tell_the_same_over_both_transports(project: SmallProject) -> None:
    overwrite_facts(project, shop="alma", visitors=7)

    told = []
    for mode in ("path", "http"):
        with connected(project.folder, mode) as client:
            told.append([
                client.audits(), client.audits(service="shops_v1", sample=3), client.audits(views=["shop_facts"])
            ])  # fmt: skip

    assert told[0] == told[1]
    assert [report.equal for report in told[0]] == [False, False, False]
    assert [len(report.views) for report in told[0]] == [2, 2, 1]
    assert told[0][2].views[0].differences[0].key == {"shop": "alma"}


def test_an_audit_of_several_kinds_of_things_is_refused(client: Client) -> None:
    with pytest.raises(InvalidRequest, match="got views and service"):
        client.audits(views=["shop_facts"], service="shops_v1")
    with pytest.raises(InvalidRequest, match="no views"):
        client.audits(views=[])
    with pytest.raises(UnknownName, match="feature service 'nosuch'"):
        client.audits(service="nosuch")
    with pytest.raises(UnknownName, match="feature view 'nosuch'"):
        client.audits(views=["nosuch"])


def test_a_service_is_audited_for_the_features_it_has(client: Client, project: SmallProject) -> None:
    project.redefine("features=[shop_orders, shop_facts, basket_share]", 'features=[shop_facts["city"]]')
    apply_all(project.folder)

    [view] = client.audits(service="shops_v1").views

    assert (view.view, view.keys, view.values) == ("shop_facts", 5, 5)


def overwrite_facts(project: SmallProject, *, shop: str, visitors: int) -> None:
    """Write over a stored row behind the back of the feature store."""
    wired = wire_folder(project.folder)
    applied = wired.features.project.catalog.current()
    assert applied is not None
    table = OnlineTable.of(applied.graph.view("shop_facts"))
    [row] = rows_at(wired.features.online.store, table, (shop,))
    assert row is not None
    values = {column.name: [value] for column, value in zip(table.values, row.values, strict=True)}
    columns = {"shop": [shop], "event_timestamp": [row.event_timestamp], "known_at": [row.known_at]} | values
    changed = pa.table(columns | {"visitors": [visitors]})
    write(wired.features.online.store, table, changed.to_reader())
    wired.close()


def test_status_and_catalog_tell_what_is_applied(client: Client) -> None:
    status = {one["view"]: one for one in client.status()}

    assert status["shop_orders"]["offline_to"] == status["shop_orders"]["online_to"] == "2024-03-10T00:00:00Z"
    assert [view["name"] for view in client.catalog()["views"]] == ["shop_orders", "shop_facts"]
    assert client.catalog()["services"][0]["features"][-1] == "basket_share"


def test_both_transports_give_the_same_documents(project: SmallProject) -> None:
    told = []
    for mode in ("path", "http"):
        with connected(project.folder, mode) as client:
            version = register(client, key="once", metrics={"x": float("inf")})
            told.append(
                [pull(client).manifest, client.catalog(), client.status(), client.lineage("model:worth@1"), version]
            )

    assert repr(told[0]) == repr(told[1])


def test_rows_also_come_as_an_arrow_stream(address: str) -> None:
    with connect(address) as client:
        dataset = pull(client)
        streamed = httpx.get(f"{address}/v1/datasets/{dataset.id}/rows")

        assert exact(pa.ipc.open_stream(streamed.content).read_all()) == exact(dataset.to_arrow())
