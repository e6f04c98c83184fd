"""A full disk is told in a sentence, spoils nothing, and the same command goes on once there is space again.

Two kinds: an injected error at a step that Python sees, and a real one from the kernel at any write, by whichever
library, from some call on.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from featurestore.errors import KnownatError
from tests.faults.failpoints import Failure, Fault
from tests.faults.outcome import Outcome, outcome
from tests.faults.story import STORY, Way, run_step
from tests.small_project import small_project

STEPS = ("apply", "pull", "register")
INJECTED = [
    ("apply", Fault("os.fsync", 1, failure=Failure.DISK_FULL)),
    ("apply", Fault("os.fsync", 8, failure=Failure.DISK_FULL)),
    ("apply", Fault("os.fsync", 20, failure=Failure.DISK_FULL)),
    ("pull", Fault("os.fsync", 1, failure=Failure.DISK_FULL)),
    ("pull", Fault("file.rename", 2, failure=Failure.DISK_FULL)),
    ("register", Fault("os.fsync", 2, failure=Failure.DISK_FULL)),
]
REFUSED = [
    (name, Fault(call, number, failure=Failure.NO_GROWTH))
    for name, call, number in (
        ("apply", "sql.statement", 5),
        ("apply", "tables.create", 1),
        ("apply", "engine.write", 1),
        ("apply", "engine.write", 2),
        ("apply", "delta.commit", 1),
        ("apply", "coverage.record", 2),
        ("apply", "catalog.promote", 1),
        ("apply", "store.write", 1),
        ("apply", "store.finish", 2),
        ("apply", "progress.record", 1),
        ("pull", "objects.put", 1),
        ("pull", "engine.stream", 1),
        ("pull", "objects.put", 2),
        ("pull", "datasets.put", 1),
        ("register", "objects.put", 2),
        ("register", "models.register", 1),
        ("register", "aliases.move", 1),
    )
]


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Outcome]]:
    """For each step, the project before it, and what a run on a roomy disk makes of it."""
    folder = tmp_path_factory.mktemp("roomy")
    project = small_project(folder / "project")
    found = {}
    for name in STEPS:
        kept = shutil.copytree(project.folder, folder / name)
        assert run_step(name, project.folder, Way()).error is None
        found[name] = (kept, outcome(project.folder, STORY[name], {}))
    return found


def _fails_and_goes_on(before: tuple[Path, Outcome], name: str, folder: Path, way: Way) -> str:
    """Run the step on the full disk, then on a roomy one; give the sentence that the first ended with."""
    start, expected = before
    shutil.copytree(start, folder)
    failed = run_step(name, folder, way)
    again = run_step(name, folder, Way())

    assert (again.code, again.error) == (0, None)
    assert outcome(folder, STORY[name], {}) == expected
    assert isinstance(failed.error, KnownatError), f"{failed.error!r} with exit code {failed.code}"
    return failed.error.message


@pytest.mark.parametrize(("name", "fault"), INJECTED, ids=[f"{name}: {fault}" for name, fault in INJECTED])
def test_a_disk_that_is_full_is_told_and_spoils_nothing(
    before: dict[str, tuple[Path, Outcome]], tmp_path: Path, name: str, fault: Fault
) -> None:
    told = _fails_and_goes_on(before[name], name, tmp_path / "project", Way(fault))

    assert "No space left on device" in told


@pytest.mark.parametrize(("name", "fault"), REFUSED, ids=[f"{name}: {fault}" for name, fault in REFUSED])
def test_a_write_that_the_kernel_refuses_is_told_and_spoils_nothing(
    before: dict[str, tuple[Path, Outcome]], tmp_path: Path, name: str, fault: Fault
) -> None:
    told = _fails_and_goes_on(before[name], name, tmp_path / "project", Way(fault))

    assert re.search(r"File too large|disk I/O error", told)
    assert "\x1b" not in told
