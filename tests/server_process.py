"""A real `knownat serve` in a process of its own, which tests may signal, kill and look at."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.command import PROGRAM
from tests.raw_http import GET_LIVE, asked

_ADDRESS = re.compile(r"running on (http://[0-9.:]+)")
_PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class ServerProcess:
    """A server that has begun to answer; `log` is what it has said."""

    address: str
    process: subprocess.Popen[bytes]
    log_file: Path

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    def workers(self) -> list[int]:
        """The processes that answer: those below the parent that are no book-keepers of Python's."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [int(pid) for pid in children if "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()]

    def memory(self, what: str) -> int:
        """VmRSS or VmHWM of the process itself, in megabytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(rf"{what}:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) // 1024

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Tell it to stop, and wait until it has. Its exit code."""
        self.process.send_signal(number)
        return self.process.wait(_PATIENCE)


@contextmanager
def server_process(folder: Path, *arguments: str) -> Iterator[ServerProcess]:
    """The project in `folder` on a free port of loopback. Whatever is left of it is killed when the block ends."""
    log_file = folder / "serve.log"
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [*PROGRAM, "serve", "--project", str(folder), "--port", "0", *arguments],
            cwd=Path(__file__).parent.parent,
            env={**os.environ, "TMPDIR": str(folder)},  # what a killed server leaves there goes with the test's folder
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        address = _wait_for_address(process, log_file)
        yield ServerProcess(address, process, log_file)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(_PATIENCE)


def _wait_for_address(process: subprocess.Popen[bytes], log_file: Path) -> str:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        found = _ADDRESS.search(log_file.read_text())
        if found and _answers(found[1]):
            return found[1]
        time.sleep(0.05)
    pytest.fail(f"The server has not begun to answer:\n{log_file.read_text()}")


def _answers(address: str) -> bool:
    try:
        return asked(address, GET_LIVE).status == 200
    except OSError:
        return False
