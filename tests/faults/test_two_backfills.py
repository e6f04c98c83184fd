"""Two processes that fill the same views at the same time: one may have to give way, and the rows are right.

One is stopped at a point of its work while the other does all of its own: nothing is left to how busy the machine is.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from featurestore.errors import KnownatError
from tests.faults.failpoints import Failure, Fault
from tests.faults.outcome import Outcome, outcome
from tests.faults.story import STORY, Ran, Way, run_step
from tests.small_project import small_project


def stopped(call: str, number: int = 1, *, after: bool = False) -> Fault:
    return Fault(call, number, after, Failure.STOP)


FILLING = [
    stopped("tables.replace"),
    stopped("tables.replace", after=True),
    stopped("coverage.record", after=True),
    stopped("store.begin"),
    stopped("store.write", after=True),
    stopped("progress.record"),
]
APPLYING = [
    stopped("tables.create", after=True),
    stopped("tables.replace"),
    stopped("catalog.promote"),
    stopped("store.finish"),
]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    """A project with new rows that nobody has filled yet, and what one process alone makes of it."""
    project = small_project(tmp_path_factory.mktemp("alone") / "project")
    assert run_step("apply", project.folder, Way()).error is None
    STORY["advance"].prepare(project)
    before = shutil.copytree(project.folder, project.folder.parent / "before")
    assert run_step("advance", project.folder, Way()).error is None
    return before, outcome(project.folder, STORY["advance"], {})


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """What one process alone makes of a fresh project."""
    folder = small_project(tmp_path_factory.mktemp("applied") / "project").folder
    assert run_step("apply", folder, Way()).error is None
    return outcome(folder, STORY["apply"], {})


def _at_once(name: str, folder: Path, point: Fault) -> list[Ran]:
    """Both, in the order in which they ended."""
    ran: list[Ran] = []
    ran.append(run_step(name, folder, Way(point), lambda: ran.append(run_step(name, folder, Way()))))
    assert len(ran) == 2, f"{point.call} #{point.number} was never called: {ran[0].calls}"
    return ran


@pytest.mark.parametrize("point", FILLING, ids=str)
def test_two_backfills_of_the_same_views_leave_the_rows_of_one(
    alone: tuple[Path, Outcome], tmp_path: Path, point: Fault
) -> None:
    before, expected = alone
    folder = shutil.copytree(before, tmp_path / "project")

    ran = _at_once("advance", folder, point)
    again = run_step("advance", folder, Way())

    assert ran[0].error is None
    assert ran[1].error is None or "again" in str(ran[1].error)
    assert again.error is None
    assert outcome(folder, STORY["advance"], {}) == expected


@pytest.mark.parametrize("point", APPLYING, ids=str)
def test_two_applies_of_a_fresh_project_leave_the_tables_of_one(applied: Outcome, tmp_path: Path, point: Fault) -> None:
    both = small_project(tmp_path / "both").folder

    ran = _at_once("apply", both, point)
    again = run_step("apply", both, Way())

    assert ran[0].error is None
    assert ran[1].error is None or isinstance(ran[1].error, KnownatError)
    assert again.error is None
    assert outcome(both, STORY["apply"], {}) == applied
