"""A source that changed under its views: told before a row is read, with the features it breaks, and no other stops."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from featurestore.errors import DefinitionsError, SourceDrifted
from sdk import open_project
from tests.command import knownat
from tests.small_project import DAY, FACTS, MOMENT, NOW, SmallProject, small_project

LATER = {"clock": NOW + DAY}


@pytest.fixture
def shops(tmp_path: Path) -> SmallProject:
    project = small_project(tmp_path / "shops")
    with open_project(project.folder) as opened:
        list(opened.apply())
    project.append_orders("second", [("alma", NOW + timedelta(hours=1), 4.0)])
    return project


def change_facts(project: SmallProject, change: Callable[[pa.Table], pa.Table]) -> None:
    pq.write_table(change(FACTS), project.folder / "data" / "facts.parquet")


def retyped(column: str, kind: pa.DataType) -> Callable[[pa.Table], pa.Table]:
    def change(table: pa.Table) -> pa.Table:
        position = table.column_names.index(column)
        return table.set_column(position, column, table[column].cast(kind, safe=False))

    return change


CHANGES = {
    "dropped": (lambda table: table.drop_columns(["score"]), "shop_facts:score"),
    "renamed": (lambda table: table.rename_columns({"city": "town"}), "shop_facts:city"),
    "retyped": (retyped("visitors", pa.string()), "shop_facts:visitors"),
    "lossy": (retyped("visitors", pa.float64()), "shop_facts:visitors"),
    "time became text": (retyped("recorded_at", pa.string()), "shop_facts:opened"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_backfill_names_what_drifted_and_fills_the_other_views(shops: SmallProject, what: str) -> None:
    change, broken = CHANGES[what]
    change_facts(shops, change)
    with open_project(shops.folder, settings=LATER) as project, pytest.raises(SourceDrifted) as caught:
        list(project.backfill(views=["shop_facts", "shop_orders"]))

    with open_project(shops.folder, settings=LATER) as project:
        status = {one["view"]: one["offline_to"] for one in project.client.status()}
    assert any(broken in drift.features for drift in caught.value.drifts)
    assert {drift.source for drift in caught.value.drifts} == {"facts"}
    assert status["shop_orders"] > status["shop_facts"]


@pytest.mark.parametrize("what", CHANGES)
def test_a_plan_is_refused_with_what_drifted(shops: SmallProject, what: str) -> None:
    change, broken = CHANGES[what]
    change_facts(shops, change)

    with open_project(shops.folder) as project, pytest.raises((SourceDrifted, DefinitionsError)) as caught:
        project.plan()

    assert "of source 'facts'" in caught.value.message
    assert broken in caught.value.message


def test_a_column_that_no_view_reads_may_go(shops: SmallProject) -> None:
    extra = FACTS.append_column("extra", pa.array([1] * FACTS.num_rows))
    change_facts(shops, lambda _: extra)
    with open_project(shops.folder) as project:
        list(project.apply())

    change_facts(shops, lambda table: table)

    with open_project(shops.folder, settings=LATER) as project:
        assert list(project.backfill(views=["shop_facts"]))


def test_a_view_that_was_changed_to_fit_is_built_anew(shops: SmallProject) -> None:
    change_facts(shops, lambda table: table.rename_columns({"city": "town"}))
    shops.redefine('fs.Feature("city")', 'fs.Feature("city", "town")')

    with open_project(shops.folder) as project:
        plan = project.plan()
        list(project.apply(plan))

    assert [change.features for change in plan.changes if change.what == "view:shop_facts"] == [("city",)]


def test_a_file_with_another_type_breaks_only_the_features_made_of_that_column(shops: SmallProject) -> None:
    odd = pa.table({"shop": ["alma"], "ordered_at": pa.array([NOW], MOMENT), "amount": ["4.0"], "note": ["of no view"]})
    path = shops.folder / "data" / "orders" / "third.parquet"
    pq.write_table(odd, path)
    os.utime(path, (1, 1))  # an old file, so that the newest still has the right type

    ended = knownat("backfill", "--project", shops.folder, "--json")

    [drift] = ended.error["details"]["drifts"]
    assert ended.code == 1
    assert (drift["source"], drift["column"], drift["was"]) == ("orders", "amount", "double")
    assert "third.parquet" in drift["now"]
    assert set(drift["features"]) == {f"shop_orders:amount_{name}" for name in ("sum_7d", "mean_1d", "mean_7d")}


def test_a_column_of_two_types_is_refused_before_it_is_first_applied(tmp_path: Path) -> None:
    project = small_project(tmp_path / "shops")
    odd = pa.table({"shop": ["alma"], "ordered_at": pa.array([NOW], MOMENT), "amount": ["4.0"]})
    path = project.folder / "data" / "orders" / "second.parquet"
    pq.write_table(odd, path)
    os.utime(path, (1, 1))

    with open_project(project.folder) as opened, pytest.raises(DefinitionsError) as caught:
        opened.plan()

    assert "column 'amount' of source 'orders' is 'amount' (" in caught.value.message


def test_added_columns_and_another_order_are_read_by_name(shops: SmallProject) -> None:
    rows = pa.table({"note": ["x"], "amount": [2.5], "shop": ["alma"], "ordered_at": pa.array([NOW - DAY], MOMENT)})
    pq.write_table(rows, shops.folder / "data" / "orders" / "third.parquet")

    with open_project(shops.folder) as project:
        list(project.backfill(views=["shop_orders"], recompute=True))
        answer = project.client.training_set(
            pa.table({"shop": ["alma"], "event_timestamp": pa.array([NOW], MOMENT)}),
            features=["shop_orders:amount_sum_7d"],
        )

    assert answer.to_arrow()["shop_orders__amount_sum_7d"].to_pylist() == [0.1 + 0.2 + 2.5]
