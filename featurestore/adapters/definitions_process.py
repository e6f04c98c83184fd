"""The process that reads definitions, as the one sees it that asks: started, listened to, and always ended.

Nothing that the process says is run or unpickled: what it tells is JSON. It has a session of its own, so that what its
files start ends with it, and that Ctrl-C reaches only the one who asks.
"""

from __future__ import annotations

import codecs
import json
import os
import re
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from featurestore.errors import Problem, SettingsError

_PROGRAM = """\
import json, sys
told = json.loads(sys.stdin.readline())
sys.path[:] = told["path"]
from featurestore.adapters.definitions_reading import main
main(told)
"""
_START_SECONDS = 60
"""How long the process may take until it begins with the first file: an interpreter starts, on a machine as it is."""
_GRACE_SECONDS = 2
"""How long a process whose time is up may take to say where it was."""
_PIECE = 1 << 16
_MOST_PIECES = 16
_LOOK_SECONDS = 0.1
_THREAD = re.compile(r"(?:Current thread|Thread) 0x")
_FRAME = re.compile(r'  File "(.*)", line (\d+) in ')
_READER = "featurestore/adapters/definitions_reading.py"
_HINT = "definitions only declare"


@dataclass(slots=True)
class Told:
    """What the process told."""

    problems: list[Problem] = field(default_factory=list)
    records: list[Any] = field(default_factory=list)
    declared: list[int] = field(default_factory=list)
    """The places of the declarations among the records."""
    file: str = ""
    """The one it began with last."""
    ended: Problem | None = None
    trace: list[str] = field(default_factory=list)
    """What Python's watchman said, in lines."""
    is_whole: bool = False

    def hear(self, line: bytes) -> None:
        try:
            said = json.loads(line)
        except ValueError:
            self.trace.append(line.decode(errors="replace"))
            return
        match said:
            case {"file": str(file)}:
                self.file = file
            case {"problem": [where, what, hint]}:
                self.problems.append(Problem(where, what, hint))
            case {"ended": where, "code": code}:
                self.ended = Problem(
                    where, f"the file ends the program, with code {code}", f"{_HINT}: leave out os._exit()"
                )
            case {"records": list(records), "declared": list(declared)}:
                self.records, self.declared, self.is_whole = records, declared, True
            case _:  # a file found the pipe
                self.trace.append(line.decode(errors="replace"))


def read_apart(folder: Path, files: Sequence[Path], seconds: float) -> Told:
    """What the files declare, or the problems that they have, those among them that ended or outlived the process.

    What they print is written to this process's stderr.
    """
    with _started(folder, files, seconds) as (process, pipe, printed):
        listener = _Listener(pipe, printed)
        listener.listen(process, seconds)
        code = process.poll()
        _end(process)
        listener.hear_the_rest()
    told = listener.told
    if not told.is_whole:
        told.problems.append(_failure(told, code, files, seconds))
    return told


@contextmanager
def _started(folder: Path, files: Sequence[Path], seconds: float) -> Iterator[tuple[subprocess.Popen[bytes], int, int]]:
    """The process, with what it tells and what it prints. Nothing of it is left when the block ends."""
    pipe, telling = os.pipe()
    printed, printing = os.pipe()
    asked = {
        "path": sys.path, "folder": str(folder), "files": list(map(str, files)), "seconds": seconds, "pipe": telling,
    }  # fmt: skip
    try:
        try:
            process = subprocess.Popen(  # noqa: S603 - this very Python
                [sys.executable, "-u", "-c", _PROGRAM],
                stdin=subprocess.PIPE, stdout=printing, stderr=printing, pass_fds=(telling,), start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise SettingsError(f"Python ({sys.executable}) can not be started to read definitions: {error}") from error
        finally:
            os.close(telling)
            os.close(printing)
        try:
            assert process.stdin is not None  # noqa: S101 - a pipe was asked for
            with suppress(BrokenPipeError), process.stdin as asking:  # how the process ended says more
                asking.write(json.dumps(asked).encode() + b"\n")
            yield process, pipe, printed
        finally:
            _end(process)
    finally:
        os.close(pipe)
        os.close(printed)


def _end(process: subprocess.Popen[bytes]) -> None:
    """With all that it has started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


class _Listener:
    """Listens until the process has told all, has ended, or its time is up."""

    def __init__(self, pipe: int, printed: int) -> None:
        self.told = Told()
        self._pipe, self._printed = pipe, printed
        self._line = bytearray()
        self._text = codecs.getincrementaldecoder("utf-8")("replace")

    def listen(self, process: subprocess.Popen[bytes], seconds: float) -> None:
        deadline = time.monotonic() + _START_SECONDS
        has_begun = False
        with selectors.DefaultSelector() as selector:
            for descriptor in (self._pipe, self._printed):
                os.set_blocking(descriptor, False)
                selector.register(descriptor, selectors.EVENT_READ)
            while not self.told.is_whole and time.monotonic() < deadline and process.poll() is None:
                for key, _ in selector.select(_LOOK_SECONDS):
                    if not self._hear(key.fd):
                        selector.unregister(key.fd)
                if self.told.file and not has_begun:
                    has_begun, deadline = True, time.monotonic() + seconds + _GRACE_SECONDS

    def hear_the_rest(self) -> None:
        while self._hear(self._pipe):
            pass
        if self._line:
            self.told.hear(bytes(self._line))
        for _ in range(_MOST_PIECES):  # what has left the session may print for ever
            if not self._hear(self._printed):
                break

    def _hear(self, descriptor: int) -> bool:
        """Take what is there. Whether there was anything."""
        try:
            piece = os.read(descriptor, _PIECE)
        except BlockingIOError:
            return False
        if descriptor == self._printed:
            _print(self._text.decode(piece))
        else:
            *lines, self._line = (self._line + piece).split(b"\n")
            for line in lines:
                self.told.hear(bytes(line))
        return bool(piece)


def _print(text: str) -> None:
    if text and sys.stderr is not None:
        sys.stderr.write(text)
        sys.stderr.flush()


def _failure(told: Told, code: int | None, files: Sequence[Path], seconds: float) -> Problem:
    """Why the process did not come to its end, as the doing of the file that it was at."""
    where = _site(told.trace, files) or f"{told.file or files[0]}:1"
    if code is None or any(line.startswith("Timeout") for line in told.trace):
        what = f"reading the definitions did not end within {seconds:g} seconds, and was here then"
        return Problem(where, what, f"{_HINT}; `definitions_seconds` in knownat.toml gives them longer")
    if told.ended is not None:
        return told.ended
    if not told.file:
        return Problem(where, f"Python ended with code {code} before it could read definitions: see above")
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        hint = "or it took more memory than there is" if name == "SIGKILL" else _HINT
        return Problem(where, f"the file ends the process that reads it ({name})", hint)
    return Problem(where, f"the file ends the process that reads it, with code {code}", _HINT)


def _site(trace: Sequence[str], files: Sequence[Path]) -> str | None:
    """The innermost place in one of the files, in the thread that reads them."""
    known = {_as_traced(file): file for file in files}
    for thread in _threads(trace):
        frames = [match for line in thread if (match := _FRAME.match(line))]
        if any(match[1].endswith(_READER) for match in frames):
            return next((f"{known[match[1]]}:{match[2]}" for match in frames if match[1] in known), None)
    return None


def _threads(trace: Sequence[str]) -> Iterator[list[str]]:
    thread: list[str] = []
    for line in trace:
        if _THREAD.match(line):
            yield thread
            thread = []
        thread.append(line)
    yield thread


def _as_traced(file: Path) -> str:
    """As Python's watchman, who can do little, writes a path."""
    letters = (
        letter if " " <= letter <= "~" else letter.encode("ascii", "backslashreplace").decode() for letter in str(file)
    )
    return "".join(letters)
