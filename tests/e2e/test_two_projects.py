"""Two projects that are given the same place never mix: the second is refused before it writes anything."""

from __future__ import annotations

import shutil
from pathlib import Path
from uuid import uuid4

import pytest

from featurestore.errors import ProjectsMixed
from sdk import connect
from tests.command import Ended, knownat
from tests.small_project import SmallProject, small_project

FILE = ".project"


@pytest.fixture
def first(tmp_path: Path) -> SmallProject:
    """Applied and materialized."""
    project = small_project(tmp_path / "first")
    assert ran(project, "apply").code == ran(project, "materialize").code == 0
    return project


@pytest.fixture
def second(tmp_path: Path) -> SmallProject:
    """Of the same name and definitions; nothing is applied."""
    return small_project(tmp_path / "second")


def ran(project: SmallProject, *arguments: str) -> Ended:
    return knownat(*arguments, "--project", project.folder, "--json")


def content(folder: Path) -> dict[str, bytes]:
    """All files below the folder, but those that SQLite rewrites when it is merely read."""
    files = (file for file in sorted(folder.rglob("*")) if file.is_file() and file.suffix not in (".sqlite-shm",))
    return {str(file.relative_to(folder)): file.read_bytes() for file in files if "sqlite" not in file.name}


def test_a_second_project_on_the_same_state_is_refused_and_the_first_stays_whole(
    first: SmallProject, second: SmallProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = content(first.folder)
    monkeypatch.setenv("KNOWNAT_STATE__PATH", str(first.folder / ".knownat" / "state.sqlite"))

    refused = ran(second, "apply")

    assert (refused.code, refused.error["code"]) == (1, "projects_mixed")
    assert str(first.folder) in refused.error["message"]
    assert "[state] path or url" in refused.error["message"]
    assert not list((second.folder / ".knownat").rglob("*.parquet"))
    for asked in ("plan", "status", "audit", "verify"):
        assert ran(second, asked).error["code"] == "projects_mixed"
    assert content(first.folder) == before
    assert ran(first, "verify", "--deep").code == 0
    assert ran(first, "plan").json["stages"] == []


@pytest.mark.parametrize("command", ["apply", "backfill", "materialize", "status", "gc"])
@pytest.mark.parametrize("setting", ["TABLES", "FRAMES", "OBJECTS"])
def test_a_folder_of_another_project_is_refused(
    first: SmallProject, second: SmallProject, monkeypatch: pytest.MonkeyPatch, setting: str, command: str
) -> None:
    before = content(first.folder)
    monkeypatch.setenv(f"KNOWNAT_OFFLINE__{setting}", str(first.folder / ".knownat" / setting.lower()))

    refused = ran(second, command)

    assert (refused.code, refused.error["code"]) == (1, "projects_mixed")
    assert f"[offline] {setting.lower()}" in refused.error["message"]
    assert content(first.folder) == before


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_an_online_store_of_another_project_is_neither_written_nor_read(
    tmp_path: Path, second: SmallProject, monkeypatch: pytest.MonkeyPatch, redis_url: str, kind: str
) -> None:
    assert ran(second, "apply").code == 0
    monkeypatch.setenv("KNOWNAT_NAME", f"test-{uuid4().hex}")
    if kind == "redis":
        monkeypatch.setenv("KNOWNAT_ONLINE__URL", redis_url)
    else:
        monkeypatch.setenv("KNOWNAT_ONLINE__PATH", str(tmp_path / "shared.sqlite"))
    first = small_project(tmp_path / "first")
    for command in ("apply", "materialize"):
        assert ran(first, command).code == 0

    materialized = ran(second, "materialize")
    looked_up = ran(second, "online", "--service", "shops_v1", "--entity", "shop=alma,basket=1")

    assert (materialized.code, materialized.error["code"]) == (1, "projects_mixed")
    assert (looked_up.code, looked_up.error["code"]) == (1, "projects_mixed")
    for asked in (("status",), ("audit",), ("verify", "--deep"), ("plan",), ("apply",)):
        assert ran(second, *asked).error["code"] == "projects_mixed"
    assert ran(first, "online", "--service", "shops_v1", "--entity", "shop=alma,basket=1").code == 0


def test_a_model_can_not_be_registered_with_the_state_of_another_project(
    first: SmallProject, second: SmallProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KNOWNAT_STATE__PATH", str(first.folder / ".knownat" / "state.sqlite"))

    with connect(second.folder) as client, pytest.raises(ProjectsMixed):
        client.register_model("worth", b"model", no_dataset=True, no_dataset_reason="bought")

    monkeypatch.undo()
    with connect(first.folder) as client:
        assert client.models.list() == []


def test_a_project_that_is_moved_goes_on(first: SmallProject, tmp_path: Path) -> None:
    moved = SmallProject(first.folder.rename(tmp_path / "elsewhere"))

    assert ran(moved, "plan").json["stages"] == []
    assert ran(moved, "run", "--due").code == 0


def test_a_project_that_has_lost_its_tables_fills_them_anew(first: SmallProject) -> None:
    shutil.rmtree(first.folder / ".knownat" / "tables")

    assert ran(first, "apply").code == 0
    assert ran(first, "plan").json["stages"] == []


def test_a_project_of_an_earlier_release_is_marked_when_it_is_next_written_to(first: SmallProject) -> None:
    marks = list((first.folder / ".knownat").glob(f"*/{FILE}"))
    for mark in marks:
        mark.unlink()

    assert ran(first, "backfill", "--recompute").code == 0
    assert sorted(marks) == sorted((first.folder / ".knownat").glob(f"*/{FILE}"))


def test_a_project_of_an_earlier_release_is_taken_over_wherever_it_lies(first: SmallProject, tmp_path: Path) -> None:
    """As a container, which has another host name each time."""
    for mark in (first.folder / ".knownat").glob(f"*/{FILE}"):
        mark.unlink()

    moved = SmallProject(first.folder.rename(tmp_path / "elsewhere"))

    assert ran(moved, "backfill", "--recompute").code == 0
    assert (moved.folder / ".knownat" / "tables" / FILE).is_file()
