"""Reads the Python files of a definitions folder, in a process that was started for that and ends with it.

It is told on stdin what to read, and tells line by line, on a pipe of its own, which file it begins with, what is wrong
with it, and at the end what was declared. What files do to the process they run in ends with it; a file that stops it,
or never ends, is the last one of which it told. Python's own watchman tells the line then.
"""

from __future__ import annotations

import faulthandler
import importlib
import json
import os
import resource
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any, NoReturn, TextIO

from featurestore.adapters.declared_records import Records, Untold
from featurestore.errors import KnownatError, Problem
from featurestore.spec import declarations
from featurestore.spec.declarations import Declaration

_END: Callable[[int], NoReturn] = os._exit


def main(told: dict[str, Any]) -> NoReturn:
    """Read the files of `told`, tell what they declare, and end."""
    pipe = _Pipe(told["pipe"])
    folder = Path(told["folder"])
    _prepare(pipe, folder)
    faulthandler.dump_traceback_later(told["seconds"], exit=True, file=pipe.descriptor)
    try:
        _read(folder, [Path(file) for file in told["files"]], pipe)
    except OSError:  # a file has closed what is told on: that nothing was told is noticed
        _END(1)
    faulthandler.cancel_dump_traceback_later()
    _END(0)


class _Pipe:
    """What the process that asked reads. A process that a file forked off tells it nothing."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._process = os.getpid()

    def tell(self, **said: object) -> None:
        if os.getpid() != self._process:
            return
        rest = memoryview(json.dumps(said).encode() + b"\n")
        while rest:
            rest = rest[os.write(self.descriptor, rest) :]


def _prepare(pipe: _Pipe, folder: Path) -> None:
    os.set_inheritable(pipe.descriptor, False)
    faulthandler.enable(file=pipe.descriptor, all_threads=False)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError):  # where memory runs out, this process goes, and not the one that asked
        Path("/proc/self/oom_score_adj").write_text("1000")

    def ended(status: int) -> NoReturn:
        if where := _site(sys._getframe(1), folder):
            pipe.tell(ended=where, code=status)
        _END(status)

    os._exit = ended
    sys.path.insert(0, str(folder.parent))
    sys.dont_write_bytecode = True  # a definitions folder may be read-only, and it is not ours to write into


def _site(frame: FrameType | None, folder: Path) -> str | None:
    while frame is not None and not Path(frame.f_code.co_filename).is_relative_to(folder):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame else None


def _read(folder: Path, files: list[Path], pipe: _Pipe) -> None:
    found: list[Declaration] = []
    with _own_streams() as restore:
        for file in files:
            pipe.tell(file=str(file))
            try:
                found += _declared(importlib.import_module(_module_name(file, folder)))
                if sys.modules.get(declarations.__name__) is not declarations:
                    # What the next files declare would be of other classes, and not be known.
                    sys.modules[declarations.__name__] = declarations
                    _tell_problem(pipe, Problem(f"{file}:1", "the file replaces or removes modules of featurestore"))
            except BaseException as error:  # noqa: BLE001 - user code may raise anything; all of it is told
                _tell_problem(pipe, _problem(error, file, folder))
            restore()
    records = Records()
    places: list[int] = []
    for item in {id(item): item for item in found}.values():
        try:
            places.append(records.place(item))
        except Untold as error:
            _tell_problem(pipe, Problem(error.declared_at, error.what))
    pipe.tell(records=records.told, declared=places)


def _tell_problem(pipe: _Pipe, problem: Problem) -> None:
    pipe.tell(problem=[problem.where, problem.what, problem.hint])


def _module_name(file: Path, folder: Path) -> str:
    parts = [folder.name, *file.relative_to(folder).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _declared(module: ModuleType) -> list[Declaration]:
    return [value for value in vars(module).values() if isinstance(value, Declaration)]


@contextmanager
def _own_streams() -> Iterator[Callable[[], None]]:
    """Gives back, after each file, what is printed to and the folder where the process is."""
    kept = os.dup(1)
    here = os.open(".", getattr(os, "O_PATH", os.O_RDONLY))

    def restore() -> None:
        for name in ("stdout", "stderr"):
            with suppress(Exception):
                getattr(sys, name).flush()
        for descriptor in (1, 2):
            os.dup2(kept, descriptor)
        sys.stdout, sys.stderr = _stream(1), _stream(2)
        with suppress(OSError):
            os.fchdir(here)

    yield restore


def _stream(descriptor: int) -> TextIO:
    return open(descriptor, "w", buffering=1, errors="backslashreplace", closefd=False)


def _problem(error: BaseException, file: Path, folder: Path) -> Problem:
    """One sentence with the last place in the folder that the error passed through, never a whole traceback."""
    if isinstance(error, SyntaxError):
        return Problem(f"{error.filename or file}:{error.lineno or 1}", f"syntax error: {error.msg}")
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).is_relative_to(folder)
    ]
    where = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else f"{file}:1"
    if isinstance(error, KnownatError):
        return Problem(where, error.message.removeprefix(f"{where}: "))
    if isinstance(error, SystemExit):
        return Problem(where, "the file ends the program", "definitions only declare: leave out sys.exit()")
    return Problem(where, f"{type(error).__name__}: {_text(error)}".removesuffix(": "))


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except BaseException as second:  # noqa: BLE001 - an exception of the user's own
        return f"(its text can not be told: {type(second).__name__})"
