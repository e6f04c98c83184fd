"""What every keeper of locks promises, in memory and as files."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from featurestore.adapters.file_locks import FileLocks
from featurestore.adapters.memory_locks import MemoryLocks
from featurestore.ports.locks import Locks

_HOLDER = """
import sys
from pathlib import Path
from featurestore.adapters.file_locks import FileLocks
with FileLocks(Path(sys.argv[1])).hold("view") as holder:
    print(holder is None, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(params=["memory", "files"])
def locks(request: pytest.FixtureRequest, tmp_path: Path) -> Locks:
    return MemoryLocks() if request.param == "memory" else FileLocks(tmp_path / "locks")


def test_a_lock_is_held_by_one_at_a_time(locks: Locks) -> None:
    with locks.hold("view") as first, locks.hold("view") as second, locks.hold("other") as other:
        assert first is None
        assert second
        assert other is None


def test_a_lock_is_free_again_after_its_block_and_after_an_error_in_it(locks: Locks) -> None:
    with pytest.raises(ZeroDivisionError), locks.hold("view"):
        raise ZeroDivisionError

    with locks.hold("view") as again:
        assert again is None


def test_of_many_threads_one_gets_the_lock(locks: Locks) -> None:
    everybody = threading.Barrier(8)
    got: list[bool] = []

    def try_it() -> None:
        everybody.wait(timeout=30)
        with locks.hold("view") as holder:
            got.append(holder is None)
            everybody.wait(timeout=30)

    threads = [threading.Thread(target=try_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(got) == [False] * 7 + [True]


def test_a_process_that_is_killed_lets_go_of_its_lock(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(tmp_path)],
        cwd=Path(__file__).parent.parent.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "True\n"

    with FileLocks(tmp_path).hold("view") as holder:
        assert holder is not None
        assert f"process {process.pid} on " in holder
    process.kill()
    process.communicate(timeout=30)

    with FileLocks(tmp_path).hold("view") as holder:
        assert holder is None
    assert f"process {os.getpid()} on " in (tmp_path / "view.lock").read_text()
