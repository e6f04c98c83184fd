"""Two processes that fill the same views at the same time: one may have to give way, and the rows are right."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from featurestore.errors import KnownatError
from tests.faults.outcome import Outcome, outcome
from tests.faults.story import STORY, Ran, Way, run_step
from tests.small_project import small_project

PROCESSES = 2


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    """A project with new rows that nobody has filled yet, and what one process alone makes of it."""
    project = small_project(tmp_path_factory.mktemp("alone") / "project")
    assert run_step("apply", project.folder, Way()).error is None
    STORY["advance"].prepare(project)
    before = shutil.copytree(project.folder, project.folder.parent / "before")
    assert run_step("advance", project.folder, Way()).error is None
    return before, outcome(project.folder, STORY["advance"], {})


def _at_once(name: str, folder: Path) -> list[Ran]:
    with ThreadPoolExecutor(PROCESSES) as threads:
        return list(threads.map(lambda _: run_step(name, folder, Way()), range(PROCESSES)))


@pytest.mark.parametrize("attempt", range(3))
def test_two_backfills_of_the_same_views_leave_the_rows_of_one(
    alone: tuple[Path, Outcome], tmp_path: Path, attempt: int
) -> None:
    before, expected = alone
    folder = shutil.copytree(before, tmp_path / str(attempt))

    ran = _at_once("advance", folder)
    again = run_step("advance", folder, Way())

    assert all(one.error is None or "run it again" in str(one.error) for one in ran), [one.error for one in ran]
    assert any(one.error is None for one in ran)
    assert again.error is None
    assert outcome(folder, STORY["advance"], {}) == expected


def test_two_applies_of_a_fresh_project_leave_the_tables_of_one(tmp_path: Path) -> None:
    one_alone = small_project(tmp_path / "one").folder
    assert run_step("apply", one_alone, Way()).error is None
    both = small_project(tmp_path / "both").folder

    ran = _at_once("apply", both)
    again = run_step("apply", both, Way())

    assert all(one.error is None or isinstance(one.error, KnownatError) for one in ran), [one.error for one in ran]
    assert again.error is None
    assert outcome(both, STORY["apply"], {}) == outcome(one_alone, STORY["apply"], {})
