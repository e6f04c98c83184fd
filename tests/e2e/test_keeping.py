"""What is pinned is there for good: after garbage was collected, appends, other sources and other definitions."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from featurestore.adapters.local_objects import LocalObjects
from featurestore.adapters.local_table_files import LocalTableFiles
from featurestore.errors import DatasetGone, DatasetInUse, UnknownName
from featurestore.operations.garbage import Garbage, GarbageKind, GarbagePlan
from featurestore.ports.publications import Published
from registry.wiring import open_project as wire_folder
from sdk import open_project
from sdk.project import Project
from tests.command import done, knownat
from tests.small_project import FACTS, NOW, SPINE, SmallProject, small_project

NONE = timedelta(0)


@pytest.fixture
def small(tmp_path: Path) -> SmallProject:
    return small_project(tmp_path / "project")


@pytest.fixture
def project(small: SmallProject) -> Iterator[Project]:
    with open_project(small.folder) as project:
        list(project.apply())
        list(project.materialize())
        yield project


def pulled(project: Project) -> str:
    return project.client.training_set(SPINE, service="shops_v1").id


def assert_equal_bytes(project: Project, dataset: str) -> None:
    """Rebuilding raises when they are not."""
    assert project.client.rebuild(dataset).sha256 == project.client.dataset(dataset).sha256


def collected(project: Project) -> list[tuple[GarbageKind, str]]:
    return [(one.kind, one.what) for one in project.collect_garbage(project.garbage(grace=NONE))]


def refilled(project: Project, times: int = 1) -> None:
    for _ in range(times):
        list(project.backfill(recompute=True))


def files(small: SmallProject) -> set[Path]:
    return set((small.folder / ".knownat" / "tables").glob("*/*/event_day=*/*"))


def test_garbage_is_what_nobody_pins_and_a_dataset_is_equal_after_it(project: Project, small: SmallProject) -> None:
    dataset = pulled(project)
    pinned = files(small)
    refilled(project, times=3)

    freed = collected(project)

    assert {kind for kind, _ in freed} == {GarbageKind.VERSIONS}
    assert pinned < files(small)
    assert len(files(small)) == 2 * len(pinned)  # what is pinned, and what is newest
    assert project.verify(deep=True).damages == ()
    assert collected(project) == []
    assert_equal_bytes(project, dataset)


def test_a_dataset_is_equal_after_a_hundred_appends_and_checkpoints_are_verified(
    project: Project, small: SmallProject
) -> None:
    dataset = pulled(project)
    for number in range(100):
        small.append_orders(f"more{number}", [("alma", NOW - timedelta(minutes=number), float(number))])
        list(project.backfill(views=["shop_orders"], start=NOW - timedelta(hours=2), recompute=True))

    collected(project)

    checkpoint = max((small.folder / ".knownat" / "tables").rglob("*.checkpoint.parquet"))  # the newest is opened
    assert_equal_bytes(project, dataset)
    assert project.verify(deep=True).damages == ()
    checkpoint.write_bytes(checkpoint.read_bytes()[:-100])
    assert all("checkpoint" in damage.remedy for damage in project.verify().damages)
    assert project.verify().damages


def test_a_dataset_is_equal_after_the_source_got_other_columns(project: Project, small: SmallProject) -> None:
    dataset = pulled(project)
    wider = FACTS.append_column("rating", pa.array([1, 2, 3, 4, 5])).drop_columns(["visitors"])
    pq.write_table(wider, small.folder / "data" / "facts.parquet")
    small.redefine('fs.Feature("visitors"), ', "")
    list(project.apply())
    collected(project)

    assert_equal_bytes(project, dataset)
    assert "shop_facts:visitors" not in str(project.client.catalog())


def test_a_dataset_is_equal_after_its_definitions_and_sources_are_gone(project: Project, small: SmallProject) -> None:
    dataset = pulled(project)
    small.redefine("basket_share = fs.OnDemandFeature(\n", "basket_share2 = fs.OnDemandFeature(\n")
    small.redefine('"basket_share"', '"basket_share2"')
    small.redefine("shop_orders, shop_facts, basket_share", "shop_orders, basket_share2")
    small.redefine('windows=["1d", "7d"], name="orders"', 'windows=["2d"], name="orders"')
    list(project.apply())
    (small.folder / "data" / "facts.parquet").unlink()

    freed = collected(project)

    assert [kind for kind, _ in freed] == [GarbageKind.ONLINE]  # nobody asks the old fingerprint of anything
    assert_equal_bytes(project, dataset)


def test_what_only_a_deleted_dataset_pinned_is_freed(project: Project, small: SmallProject) -> None:
    dataset = pulled(project)
    old = next((small.folder / ".knownat" / "tables" / "shop_orders").iterdir())
    small.redefine('every="1h"', 'every="2h"')
    list(project.apply())

    project.delete_dataset(dataset[:12])
    freed = collected(project)

    assert (GarbageKind.TABLE, f"shop_orders@{old.name}") in freed
    assert sorted(kind.value for kind, _ in freed) == ["object", "object", "online", "table"]
    assert not old.exists()
    with pytest.raises(UnknownName):
        project.client.rebuild(dataset)
    assert project.verify(deep=True).damages == ()


def test_when_a_table_was_online_is_forgotten_with_it(project: Project, small: SmallProject) -> None:
    table = next(one["table"] for one in project.client.status() if one["view"] == "shop_orders")
    before = published(small, table)
    small.redefine('every="1h"', 'every="2h"')
    list(project.apply())

    freed = collected(project)

    assert (GarbageKind.ONLINE, table) in freed
    assert (len(before.runs), published(small, table)) == (1, Published())


def published(small: SmallProject, table: str) -> Published:
    wired = wire_folder(small.folder)
    try:
        online = wired.features.online
        return online.publications.published(online.address, table)
    finally:
        wired.close()


def test_going_back_to_a_definition_whose_table_was_freed_fills_it_again(project: Project, small: SmallProject) -> None:
    before = project.client.training_set(SPINE, service="shops_v1")
    project.delete_dataset(before.id)
    for old, new in (('every="1h"', 'every="2h"'), ('every="2h"', 'every="1h"')):
        small.redefine(old, new)
        list(project.apply())
        collected(project)

    assert project.client.training_set(SPINE, service="shops_v1").sha256 == before.sha256


def test_a_dataset_that_a_model_was_trained_on_stays(project: Project) -> None:
    dataset = pulled(project)
    project.client.register_model("churn", b"model", dataset=dataset)

    with pytest.raises(DatasetInUse, match="model:churn@1 was trained on it"):
        project.delete_dataset(dataset)
    refilled(project)
    collected(project)

    assert_equal_bytes(project, dataset)


def test_a_model_is_answered_online_after_its_definitions_are_gone(project: Project, small: SmallProject) -> None:
    project.client.register_model("churn", b"model", dataset=pulled(project))
    asked = {"shop": "alma", "basket": 1.0}
    before = project.client.online(model="churn@1", entities=[asked])
    small.redefine('every="1h"', 'every="2h"')
    list(project.apply())

    freed = collected(project)

    assert freed == []
    assert project.client.online(model="churn@1", entities=[asked]).to_dicts() == before.to_dicts()


def test_what_was_written_lately_is_left_alone(project: Project, small: SmallProject) -> None:
    staged = next(iter(files(small))).with_name("staged_0.parquet")
    staged.write_bytes(b"a running writer's")
    refilled(project)

    assert list(project.collect_garbage()) == []
    assert staged.exists()
    assert GarbageKind.LEFTOVERS in {kind for kind, _ in collected(project)}
    assert not staged.exists()


def test_leftovers_of_killed_writers_are_freed(project: Project, small: SmallProject) -> None:
    table = next((small.folder / ".knownat" / "tables" / "shop_orders").iterdir())
    left = [table / "event_day=2024-03-09" / "a_0.parquet", table / "event_day=2024-03-09" / "b.parquet#1",
            table / "_delta_log" / "_commit_1.json.tmp"]  # fmt: skip
    for file in left:
        file.write_bytes(b"half")
    unfinished = small.folder / ".knownat" / "objects" / "unfinished"
    unfinished.mkdir(parents=True, exist_ok=True)
    (unfinished / "0123").write_bytes(b"half")

    freed = collected(project)

    assert sorted(kind.value for kind, _ in freed) == ["leftovers", "object"]
    assert not any(file.exists() for file in left)
    assert project.verify(deep=True).damages == ()


class Stopped(Exception):
    """The process is killed here."""


@pytest.mark.parametrize("stop_at", ["drop", "rmtree"])
def test_a_collection_that_was_stopped_is_finished_by_the_next(
    project: Project, small: SmallProject, monkeypatch: pytest.MonkeyPatch, stop_at: str
) -> None:
    small.redefine('every="1h"', 'every="2h"')
    list(project.apply())

    def stop(*_: object) -> None:
        raise Stopped

    with monkeypatch.context() as killing:
        killing.setattr(LocalTableFiles if stop_at == "drop" else shutil, stop_at, stop)
        with pytest.raises(Stopped):
            collected(project)
    collected(project)

    assert len(list((small.folder / ".knownat" / "tables" / "shop_orders").iterdir())) == 1
    assert project.verify(deep=True).damages == ()
    small.redefine('every="2h"', 'every="1h"')
    list(project.apply())
    assert project.client.training_set(SPINE, service="shops_v1").rows == SPINE.num_rows


def test_a_damaged_table_is_left_alone(project: Project, small: SmallProject) -> None:
    refilled(project)
    sorted((small.folder / ".knownat" / "tables" / "shop_orders").glob("*/_delta_log/*"))[-1].write_bytes(b"")

    plan = project.garbage(grace=NONE)

    assert [one.what.partition("@")[0] for one in plan.garbage] == ["shop_facts"]
    assert any("it is damaged" in reason for one in plan.kept for reason in one.because)


def test_what_came_to_be_needed_after_the_plan_stays(project: Project) -> None:
    refilled(project)
    plan = project.garbage(grace=NONE)
    dataset = pulled(project)
    refilled(project)
    later = project.garbage(grace=NONE)

    list(project.collect_garbage(plan))
    list(project.collect_garbage(later))

    assert_equal_bytes(project, dataset)


def test_a_dataset_without_its_spine_says_what_is_missing(project: Project) -> None:
    dataset = project.client.training_set(SPINE, service="shops_v1", keep_spine=False).id
    collected(project)

    with pytest.raises(DatasetGone, match="pulled without keeping its spine"):
        project.client.rebuild(dataset)


def test_the_commands_say_what_is_damaged_and_what_may_go(project: Project, small: SmallProject) -> None:
    dataset = pulled(project)
    refilled(project)
    in_project = ("--project", small.folder, "--json")
    whole = done("verify", "--deep", *in_project).json
    shown = done("gc", "--grace", "0s", *in_project).json
    count = len(files(small))
    freed = done("gc", "--grace", "0s", "--apply", *in_project).json

    assert whole["report"]["damages"] == []
    assert (shown["applied"], shown["freed"], shown["garbage"]) == (False, [], freed["garbage"])
    assert (freed["freed"], len(files(small))) == (freed["garbage"], count)  # the newest version and the pinned one
    next(iter(files(small))).unlink()
    broken = knownat("verify", *in_project)
    assert (broken.code, [one["kind"] for one in broken.json["report"]["damages"]]) == (1, ["file"])
    assert done("datasets", "delete", dataset[:12], *in_project).json == {"deleted": dataset}
    assert done("datasets", *in_project).json == {"datasets": []}
    assert knownat("gc", "--grace", "soon", *in_project).error["code"] == "wrong_use"


def test_what_is_stored_again_after_the_plan_stays(project: Project, small: SmallProject) -> None:
    objects = LocalObjects(small.folder / ".knownat" / "objects")
    stored = objects.put(BytesIO(b"an old spine"))
    two_hours_ago = datetime.now(UTC).timestamp() - 7_200
    os.utime(objects.path(stored.sha256), (two_hours_ago, two_hours_ago))
    plan = project.garbage(grace=timedelta(hours=1))
    objects.put(BytesIO(b"an old spine"))  # by a pull that has not written its manifest yet

    freed = list(project.collect_garbage(plan))

    assert ([one.kind for one in plan.garbage], freed) == ([GarbageKind.OBJECT], [])
    assert b"".join(objects.read(stored.sha256)) == b"an old spine"


def test_files_that_were_committed_after_the_plan_stay(project: Project, small: SmallProject) -> None:
    live = files(small)
    table = next(one.what for one in project.garbage(grace=NONE).kept if one.what.startswith("shop_orders@"))
    paths = tuple(file.relative_to(file.parents[1]).as_posix() for file in live if "shop_orders" in file.parts)
    before_the_commit = Garbage(GarbageKind.LEFTOVERS, table, 1, "no commit ever named them", paths)

    freed = list(project.collect_garbage(GarbagePlan((before_the_commit,), (), NOW)))

    assert (len(paths) > 0, freed, files(small)) == (True, [], live)
