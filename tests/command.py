"""The command `knownat` as tests run it: in this process, or in one of its own that can be killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from sdk.cli.app import run

PROGRAM = (sys.executable, "-c", "from sdk.cli.app import main; main()")


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run of the command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The answer, which must be strict JSON and all that is on stdout."""
        return json.loads(self.out, parse_constant=_refused)

    @property
    def error(self) -> Any:
        """The error of a run with `--json`, and all that is on stderr."""
        return json.loads(self.err, parse_constant=_refused)


def knownat(*arguments: object) -> Ended:
    """Run the command in this process."""
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = run([str(argument) for argument in arguments])
    return Ended(code, out.getvalue(), err.getvalue())


def done(*arguments: object) -> Ended:
    """Run the command in this process, and see that it did what it was asked."""
    ended = knownat(*arguments)
    assert ended.code == 0, ended.err
    return ended


def started(*arguments: object, environment: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """Start the command in a process of its own; its lines of progress come on stderr."""
    return subprocess.Popen(
        [*PROGRAM, *map(str, arguments)],
        cwd=Path(__file__).parent.parent,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _refused(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")
