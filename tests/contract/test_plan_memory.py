"""What every memory of plans promises, in this process and in a file."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from featurestore.adapters import plan_memory_file
from featurestore.adapters.memory_plan import MemoryPlanMemory
from featurestore.adapters.plan_memory_file import PlanMemoryFile
from featurestore.graph.resolved import ResolvedView
from featurestore.plan.stages import CanFail
from featurestore.ports.plan_memory import PlanMemory, Remembered, Tried
from featurestore.spec.dtypes import Decimal, DType
from tests.unit.graph.resolving import flights, resolve
from tests.unit.graph.test_declared import delays

FIRST = datetime(2024, 1, 1, 0, 0, 0, 1, tzinfo=UTC)


@pytest.fixture(params=["memory", "file"])
def memory(request: pytest.FixtureRequest, tmp_path: Path) -> PlanMemory:
    return MemoryPlanMemory() if request.param == "memory" else PlanMemoryFile(tmp_path / "kept" / "plan-memory")


@pytest.fixture(scope="module")
def view() -> ResolvedView:
    return resolve(delays(source=flights(known_at="loaded"), ttl="7d", tags=["a"])).view("delays")


def test_nothing_is_remembered_at_first(memory: PlanMemory) -> None:
    assert memory.recall() == Remembered()


def test_what_is_kept_comes_back_equal(memory: PlanMemory, view: ResolvedView) -> None:
    fails = (CanFail("delays:x", "Conversion Error", at_limits=False),)
    tried = {"o": Tried(Decimal(18, 2), fails), "p": Tried(DType.INT64)}
    remembered = Remembered({"a": view}, {"b": FIRST, "c": None}, {"a": fails}, tried)
    memory.keep(remembered)

    assert memory.recall() == remembered


def test_what_is_kept_last_is_all_there_is(memory: PlanMemory, view: ResolvedView) -> None:
    memory.keep(Remembered({"a": view}))
    memory.keep(Remembered({}, {"b": FIRST}))

    assert memory.recall() == Remembered({}, {"b": FIRST})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "plan-memory"
    PlanMemoryFile(path).keep(Remembered({}, {"b": FIRST}))
    return path


@pytest.mark.parametrize("position", [0, 40, -1])
def test_a_damaged_file_is_as_none(file: Path, position: int) -> None:
    content = bytearray(file.read_bytes())
    content[position] ^= 1
    file.write_bytes(content)

    assert PlanMemoryFile(file).recall() == Remembered()


def test_a_file_cut_short_is_as_none(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:20])

    assert PlanMemoryFile(file).recall() == Remembered()


def test_what_another_version_found_is_not_believed(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_memory_file, "version", lambda name: f"{name} of tomorrow")

    assert PlanMemoryFile(file).recall() == Remembered()


def test_what_other_code_found_is_not_believed(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "changed.py").write_text("# one line more\n")
    monkeypatch.setattr(plan_memory_file, "_CODE", tmp_path / "code")

    assert PlanMemoryFile(file).recall() == Remembered()


def test_a_place_that_can_not_be_written_to_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file where a folder should be")
    memory = PlanMemoryFile(tmp_path / "taken" / "plan-memory")
    memory.keep(Remembered({}, {"b": FIRST}))

    assert memory.recall() == Remembered()


def test_many_writers_leave_one_whole_file(tmp_path: Path) -> None:
    memory = PlanMemoryFile(tmp_path / "plan-memory")
    kept = [Remembered({}, {str(number): FIRST}) for number in range(16)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(memory.keep, kept))

    assert memory.recall() in kept
    assert [path.name for path in tmp_path.iterdir()] == ["plan-memory"]
