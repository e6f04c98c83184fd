"""A view over a view, from its plan to its training set and its online answers, and back when definitions change."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from featurestore.operations.garbage import GarbageKind
from sdk import open_project
from tests.command import done
from tests.small_project import DAY, FACTS, MOMENT, NOW, SETTINGS, SmallProject, small_project

CHAINED = """
visits_of_facts = fs.FeatureView(
    "visits_of_facts",
    entity=shop,
    sql="SELECT * FROM shop_facts",
    every="1h",
    features=[fs.Aggregate("visitors", fs.last, windows=["7d"]), fs.Aggregate("*", fs.count, windows=["7d"])],
)

score_of_facts = fs.FeatureView(
    "score_of_facts",
    entity=shop,
    sql="SELECT shop, event_timestamp, score * 2 AS double_score FROM shop_facts WHERE visitors IS NOT NULL",
)

chained_v1 = fs.FeatureService("chained_v1", features=[score_of_facts, visits_of_facts, shop_facts["score"]])
"""
SPINE = pa.table(
    {"shop": ["alma", "closed", "alma"], "at": pa.array([NOW - DAY, NOW - 49 * DAY, NOW - 6 * DAY], MOMENT)}
)


@pytest.fixture
def shop(tmp_path: Path) -> SmallProject:
    """Applied, and online."""
    small = small_project(tmp_path / "shop")
    file = small.folder / "definitions" / "shops.py"
    file.write_text(file.read_text() + CHAINED)
    done("apply", "--project", small.folder)
    done("materialize", "--project", small.folder)
    return small


def an_hour_later(shop: SmallProject) -> None:
    later = SETTINGS.replace(NOW.isoformat(), (NOW + timedelta(hours=1)).isoformat())
    (shop.folder / "knownat.toml").write_text(later)


def append_fact(shop: SmallProject, score: float, *, ago: timedelta) -> None:
    row = {"shop": ["alma"], "recorded_at": [NOW - ago], "score": [score], "visitors": [7], "city": [None]}
    new = pa.table({**row, "opened": pa.array([None], MOMENT)}, schema=FACTS.schema)
    pq.write_table(pa.concat_tables([FACTS, new]), shop.folder / "data" / "facts.parquet")


def pulled(shop: SmallProject) -> list[dict[str, object]]:
    with open_project(shop.folder) as project:
        found = project.client.training_set(SPINE, service="chained_v1", timestamp="at")
        return [dict(row) for row in found.to_arrow().to_pylist()]


def stages(shop: SmallProject) -> list[tuple[str, str]]:
    found = done("plan", "--project", shop.folder, "--json").json["stages"]
    return [(stage["stage"], stage.get("view", "")) for stage in found]


def test_upstreams_are_filled_first_and_the_values_are_theirs(tmp_path: Path) -> None:
    small = small_project(tmp_path / "shop")
    file = small.folder / "definitions" / "shops.py"
    file.write_text(file.read_text().replace("shops_v1 =", f"{CHAINED}\nshops_v1 ="))

    filled = [view for stage, view in stages(small) if stage == "backfill"]
    done("apply", "--project", small.folder)

    assert filled.index("shop_facts") < min(filled.index("visits_of_facts"), filled.index("score_of_facts"))
    assert stages(small) == []
    newest, closed, before = pulled(small)
    assert newest["score_of_facts__double_score"] == (0.1 + 0.2) * 2
    assert newest["visits_of_facts__visitors_last_7d"] == FACTS["visitors"][0].as_py()
    assert (closed["score_of_facts__double_score"], closed["visits_of_facts__count_7d"]) == (2.0, 1)
    assert (before["score_of_facts__double_score"], before["visits_of_facts__count_7d"]) == (None, 0)


@pytest.mark.parametrize("command", [("run", "--due"), ("backfill",), ("apply",)])
def test_rows_that_come_to_the_source_arrive_downstream_offline_and_online(
    shop: SmallProject, command: tuple[str, ...]
) -> None:
    append_fact(shop, 4.0, ago=2 * DAY)
    an_hour_later(shop)

    done(*command, "--project", shop.folder)
    done("materialize", "--project", shop.folder)

    newest, _, _ = pulled(shop)
    assert (newest["score_of_facts__double_score"], newest["visits_of_facts__visitors_last_7d"]) == (8.0, 7)
    with open_project(shop.folder) as project:
        [online] = project.client.online(service="chained_v1", entities=[{"shop": "alma"}]).to_dicts()
    assert online["score_of_facts__double_score"] == 8.0
    assert online["visits_of_facts__count_7d"] == 2
    assert done("audit", "--project", shop.folder).code == 0
    again = done("run", "--due", "--project", shop.folder, "--json").json
    assert again["filled"] == again["refused"] == []


def test_a_downstream_goes_no_further_than_its_upstream(shop: SmallProject) -> None:
    an_hour_later(shop)

    done("backfill", "--view", "score_of_facts", "--project", shop.folder)
    alone = {
        view["view"]: view["offline_to"] for view in done("status", "--project", shop.folder, "--json").json["views"]
    }
    done("backfill", "--project", shop.folder)
    both = {
        view["view"]: view["offline_to"] for view in done("status", "--project", shop.folder, "--json").json["views"]
    }

    assert alone["score_of_facts"] == alone["shop_facts"]
    assert both["score_of_facts"] == both["shop_facts"] > alone["shop_facts"]


def test_a_plan_says_which_upstream_changes_a_view_and_a_model_keeps_the_old_one(shop: SmallProject) -> None:
    with open_project(shop.folder) as project:
        features = ["score_of_facts:*"]
        dataset = project.client.training_set(SPINE, features=features, timestamp="at")
        project.client.register_model("churn", b"model", dataset=dataset.id)
        old = {str(table["table"]) for table in dataset.manifest["tables"]}
    shop.redefine('fs.Feature("score")', 'fs.Feature("score", "score + 1")')

    told = done("plan", "--project", shop.folder).out
    done("apply", "--project", shop.folder)

    assert "~ view:score_of_facts: double_score (it reads view:shop_facts)" in told
    assert "view:visits_of_facts" not in told.partition("What will be done")[0]
    with open_project(shop.folder) as project:
        kept = {one.what: one.because for one in project.garbage(grace=timedelta(0)).kept}
        freed = list(project.collect_garbage(project.garbage(grace=timedelta(0))))
        [upstream] = [table for table, because in kept.items() if because == (f"view:{min(old)} is filled from it",)]
        assert upstream.startswith("shop_facts@")
        assert upstream not in {one.what for one in freed if one.kind is GarbageKind.TABLE}
    append_fact(shop, 4.0, ago=2 * DAY)
    an_hour_later(shop)
    done("run", "--due", "--project", shop.folder)
    with open_project(shop.folder) as project:
        list(project.materialize())
        [answer] = project.client.online(model="churn@1", entities=[{"shop": "alma"}]).to_dicts()
        [now] = project.client.online(features=["score_of_facts:*"], entities=[{"shop": "alma"}]).to_dicts()
    assert (answer["score_of_facts__double_score"], now["score_of_facts__double_score"]) == (8.0, 10.0)


def test_a_feature_that_nobody_reads_leaves_the_views_below_alone(shop: SmallProject) -> None:
    before = pulled(shop)
    shop.redefine('fs.Feature("city"),', 'fs.Feature("city"), fs.Feature("half", "score / 2"),')

    changes = {one["what"] for one in done("plan", "--project", shop.folder, "--json").json["changes"]}
    done("apply", "--project", shop.folder)

    assert changes == {"view:shop_facts", "service:shops_v1"}
    assert pulled(shop) == before
    assert stages(shop) == []
    with open_project(shop.folder) as project:
        freed = [one.what for one in project.collect_garbage(project.garbage(grace=timedelta(0)))]
    assert [what for what in freed if what.startswith("shop_facts@")] != []


def test_lineage_and_manifests_name_the_view_between(shop: SmallProject) -> None:
    told = done("lineage", "view:score_of_facts", "--project", shop.folder).out

    assert "view:shop_facts@" in told
    assert "source:facts" in told
    with open_project(shop.folder) as project:
        tree = project.client.lineage("feature:score_of_facts.double_score")
        dataset = project.client.training_set(SPINE, features=["score_of_facts:*"], timestamp="at")
        [table] = dataset.manifest["tables"]
    assert "source:facts.score" in str(tree)
    [(name, version)] = table["source_versions"]
    assert name == "shop_facts"
    assert re.fullmatch(r"shop_facts@[0-9a-f]{8}@v\d+", version)
