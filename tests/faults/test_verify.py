"""Every damage is found by `verify --deep`, and named with what it touches. Damage is done by a seeded hand."""

from __future__ import annotations

import random
import shutil
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from featurestore.adapters.delta_log import DeltaLog
from featurestore.errors import DatasetGone, KnownatError
from featurestore.operations.damage import Damage, DamageKind, VerifyReport
from sdk import open_project
from sdk.project import Project
from tests.small_project import NOW, SPINE, small_project

SEEDS = range(40)


@dataclass(frozen=True)
class Story:
    """A project's folder, and its two datasets. `churn@1` was trained on the first, `other@1` on the second."""

    folder: Path
    first: str
    second: str


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """Two datasets of two versions of the same tables, and a model on each."""
    small = small_project(tmp_path_factory.mktemp("verify") / "project")
    with open_project(small.folder) as project:
        list(project.apply())
        list(project.materialize())
        first = project.client.training_set(SPINE, service="shops_v1").id
        project.client.register_model("churn", b"first model", dataset=first)
        small.append_orders("more", [("alma", NOW - timedelta(hours=4), 9.0)])
        list(project.backfill(recompute=True, start=NOW - timedelta(days=1)))
        second = project.client.training_set(SPINE, service="shops_v1").id
        project.client.register_model("other", b"second model", dataset=second)
    return Story(small.folder, first, second)


@pytest.fixture
def story(told: Story, tmp_path: Path) -> Story:
    """A copy to damage."""
    shutil.copytree(told.folder, tmp_path / "project")
    return Story(tmp_path / "project", told.first, told.second)


def verified(story: Story, *, deep: bool = True) -> VerifyReport:
    with open_project(story.folder) as project:
        return project.verify(deep=deep)


def stored(story: Story) -> list[Path]:
    """Every file that someone relies on: data files, log entries and objects."""
    tables, objects = story.folder / ".knownat" / "tables", story.folder / ".knownat" / "objects"
    return sorted([*tables.rglob("*.parquet"), *tables.rglob("*.json"), *objects.glob("[0-9a-f][0-9a-f]/*")])


def named(damage: Damage, file: Path) -> bool:
    """Whether the damage names this file."""
    if damage.kind is DamageKind.LOG:
        return file.name == f"{damage.version or 0:020d}.json" and file.parent.parent.name in damage.what
    # An object that is not there is named by its sha256, which is its path without the slash.
    path = file.as_posix()
    return damage.path is not None and (path.endswith(damage.path) or path.replace("/", "").endswith(damage.path))


def damaged_by(chance: random.Random, file: Path) -> str:
    """One damage of a random kind, at a random place."""
    content = file.read_bytes()
    match chance.choice(["flipped", "truncated", "emptied", "missing"]):
        case "flipped":
            place = chance.randrange(len(content) * 8)
            flipped = bytearray(content)
            flipped[place // 8] ^= 1 << place % 8
            file.write_bytes(flipped)
            return "flipped"
        case "truncated":
            file.write_bytes(content[: chance.randrange(len(content))])
            return "truncated"
        case "emptied":
            file.write_bytes(b"")
            return "emptied"
        case _:
            file.unlink()
            return "missing"


def test_a_project_that_nobody_touched_is_whole(story: Story) -> None:
    report = verified(story)

    assert report.damages == ()
    assert (report.tables, report.objects, report.digests_taken) == (2, 5, 0)
    assert report.hashed_bytes > sum(one.stat().st_size for one in stored(story) if one.suffix == ".parquet")
    assert verified(story, deep=False).hashed_bytes == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_every_damage_is_found_and_named(story: Story, seed: int) -> None:
    chance = random.Random(seed)
    files = stored(story)
    hit = chance.sample(files, k=chance.choice([1, 1, 1, 2, 5]))
    how = {file: damaged_by(chance, file) for file in hit}

    damages = verified(story).damages

    assert [file for file in hit if not any(named(damage, file) for damage in damages)] == [], how
    assert [damage for damage in damages if not any(named(damage, file) for file in hit)] == [], how
    assert all(damage.expected and damage.found and damage.remedy for damage in damages)


@pytest.mark.parametrize("seed", range(8))
def test_a_look_at_sizes_finds_all_but_flipped_bits(story: Story, seed: int) -> None:
    chance = random.Random(seed)
    file = chance.choice(stored(story))
    file.write_bytes(file.read_bytes()[:-1])

    damages = verified(story, deep=False).damages

    # How large a spine was is nowhere recorded: only reading it tells.
    assert [named(damage, file) for damage in damages] == [True] or "objects" in file.parts


def of_version(story: Story, version: int) -> list[Path]:
    """The data files that this version of the windowed view added, in order."""
    tables = story.folder / ".knownat" / "tables"
    (folder,) = (tables / "shop_orders").iterdir()
    change = DeltaLog(tables).change(f"shop_orders@{folder.name}", version)
    return sorted(folder / file.path for file in change.added)


def test_a_file_of_an_old_version_touches_the_dataset_and_the_model_that_pin_it(story: Story) -> None:
    replaced = next(file for file in of_version(story, 2) if "2024-03-09" in file.as_posix())
    replaced.unlink()

    (damage,) = verified(story).damages

    assert (damage.kind, damage.version) == (DamageKind.FILE, 2)
    assert (damage.datasets, damage.models) == ((story.first,), ("model:churn@1",))


def test_a_file_of_the_newest_version_touches_the_models_that_are_served_from_it(story: Story) -> None:
    newest = of_version(story, 3)[0]
    newest.unlink()

    (damage,) = verified(story).damages

    assert damage.datasets == (story.second,)
    assert damage.models == ("model:churn@1", "model:other@1")


def test_an_empty_commit_touches_what_was_pulled_from_it_and_after_it(story: Story) -> None:
    entries = [path for path in stored(story) if path.suffix == ".json" and "shop_orders" in path.parts]
    for version, datasets in ((3, {story.second}), (2, {story.first, story.second})):
        entry = entries[version]
        content = entry.read_bytes()
        entry.write_bytes(b"")

        (damage,) = verified(story, deep=False).damages
        entry.write_bytes(content)

        assert (damage.kind, damage.version, {*damage.datasets}) == (DamageKind.LOG, version, datasets)
        assert damage.models == ("model:churn@1", "model:other@1")


def test_a_lost_artifact_names_the_model_and_a_lost_spine_both_datasets(story: Story) -> None:
    for folder in (story.folder / ".knownat" / "objects").glob("[0-9a-f][0-9a-f]"):
        shutil.rmtree(folder)

    damages = verified(story, deep=False).damages

    assert {(one.what, one.datasets, one.models) for one in damages} == {
        ("spine", (story.first,), ("model:churn@1",)),
        ("spine", (story.second,), ("model:other@1",)),
        ("result", (story.first,), ("model:churn@1",)),
        ("result", (story.second,), ("model:other@1",)),
        ("artifact", (), ("model:churn@1",)),
        ("artifact", (), ("model:other@1",)),
    }


def test_a_result_that_was_lost_is_made_again_by_rebuilding(story: Story) -> None:
    with open_project(story.folder) as project:
        result = project.client.dataset(story.first).sha256
        (story.folder / ".knownat" / "objects" / result[:2] / result[2:]).unlink()
        lost = project.verify().damages
        project.client.rebuild(story.first)

        assert [damage.what for damage in lost] == ["result"]
        assert project.verify(deep=True).damages == ()


def test_a_lost_table_is_one_damage_with_all_it_touches(story: Story) -> None:
    shutil.rmtree(story.folder / ".knownat" / "tables" / "shop_facts")

    (damage,) = verified(story).damages

    assert (damage.kind, {*damage.datasets}) == (DamageKind.TABLE, {story.first, story.second})


def test_an_online_store_that_was_lost_is_found(story: Story) -> None:
    for file in (story.folder / ".knownat").glob("online.sqlite*"):
        file.unlink()

    damages = verified(story).damages

    assert {(one.kind, one.found) for one in damages} == {(DamageKind.ONLINE, "nothing")}
    assert all(one.models == ("model:churn@1", "model:other@1") for one in damages)


def test_rebuilding_names_every_file_that_is_missing_or_damaged(story: Story) -> None:
    gone, changed = of_version(story, 2)[:2]
    gone.unlink()
    changed.write_bytes(changed.read_bytes()[:-9] + b"other" + changed.read_bytes()[-4:])

    with open_project(story.folder) as project, pytest.raises(DatasetGone) as refused:
        project.client.rebuild(story.first)

    listed = refused.value.message.splitlines()[1:]
    assert len(listed) == 2
    assert all(any(file.name in line for line in listed) for file in (gone, changed))


@pytest.mark.parametrize("seed", range(12))
def test_a_flipped_bit_never_changes_a_rebuilt_dataset_in_silence(story: Story, seed: int) -> None:
    chance = random.Random(seed)
    file = chance.choice(of_version(story, 2))
    content = bytearray(file.read_bytes())
    place = chance.randrange(len(content) * 8)
    content[place // 8] ^= 1 << place % 8
    file.write_bytes(content)

    with open_project(story.folder) as project:
        outcome = _rebuilt(project, story.first)

    assert outcome == "equal" or file.name in outcome


def _rebuilt(project: Project, dataset: str) -> str:
    """`equal`, where the bit says nothing that a reader reads; else what was told."""
    try:
        project.client.rebuild(dataset)
    except KnownatError as error:
        return error.message
    return "equal"
