"""Files of definitions that end, hang, break or disturb the process they run in: told as their doing, and over."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

import pytest

from featurestore.adapters.definitions_folder import DefinitionsFolder
from featurestore.errors import DefinitionsError, Problem

COW = 'import featurestore as fs\ncow = fs.Entity("cow", join_keys={"id": fs.String})\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """In it, beside what a test writes, a file that is right."""
    (tmp_path / "ünï" / "defined").mkdir(parents=True)
    (tmp_path / "ünï" / "defined" / "b.py").write_text(COW)
    return tmp_path / "ünï" / "defined"


def load(folder: Path, text: str, *, seconds: float = 60) -> list[str]:
    (folder / "a.py").write_text(text)
    return [entity.name for entity in DefinitionsFolder(folder, seconds=seconds).load().entities]


def problem(folder: Path, text: str, *, seconds: float = 60) -> Problem:
    """The one that there is, its place relative to the folder."""
    with pytest.raises(DefinitionsError) as caught:
        load(folder, text, seconds=seconds)
    (found,) = caught.value.problems
    return Problem(str(Path(found.where).relative_to(folder.resolve())), found.what, found.hint)


ENDLESS = {
    "loop": "while True: pass",
    "sleep": "import time; time.sleep(1e6)",
    "one call": "import re; re.match('(a+)+b', 'a' * 99)",
    "deaf": "import signal, time; [signal.signal(n, signal.SIG_IGN) for n in (2, 15)]; time.sleep(1e6)",
    "joined thread": "import threading, time; threading.Thread(target=time.sleep, args=(1e6,)).run()",
    "printing": "while True: print('x' * 1000)",
    "closed": "import os; os.close(1); os.close(2)\nwhile True: pass",
}


@pytest.mark.parametrize("text", ENDLESS.values(), ids=ENDLESS)
def test_a_file_that_never_ends_is_ended_and_told(folder: Path, text: str) -> None:
    found = problem(folder, text, seconds=0.5)

    assert found.where.startswith("a.py:")
    assert found.what == "reading the definitions did not end within 0.5 seconds, and was here then"
    assert "definitions_seconds" in found.hint


def test_where_a_file_hangs_is_told_to_the_line_also_in_another_file(folder: Path) -> None:
    (folder / "deep").mkdir()
    (folder / "deep" / "hangs.py").write_text("import time\n\n\ndef wait():\n    time.sleep(1e6)\n\n\nwait()\n")

    assert problem(folder, "from .deep import hangs", seconds=3).where == "deep/hangs.py:5"


def test_a_file_that_stops_the_watchman_is_ended_all_the_same(folder: Path) -> None:
    text = "import faulthandler\nfaulthandler.cancel_dump_traceback_later()\nwhile True: pass"

    assert problem(folder, text, seconds=0.5).where == "a.py:1"


ENDING = {
    "import os\n\nos._exit(0)": ("a.py:3", "the file ends the program, with code 0"),
    "def end():\n    import os\n    os._exit(3)\nend()": ("a.py:3", "the file ends the program, with code 3"),
    "import posix; posix._exit(0)": ("a.py:1", "the file ends the process that reads it, with code 0"),
    "import os\n\nos.abort()": ("a.py:3", "the file ends the process that reads it (SIGABRT)"),
    "import ctypes\n\nctypes.string_at(0)": ("a.py:3", "the file ends the process that reads it (SIGSEGV)"),
    "import os; os.kill(os.getpid(), 9)": ("a.py:1", "the file ends the process that reads it (SIGKILL)"),
    "import os; os.execv('/bin/true', ['true'])": ("a.py:1", "the file ends the process that reads it, with code 0"),
    "import os; os.closerange(3, 99)": ("a.py:1", "the file ends the process that reads it, with code 1"),
    "import sys\nsys.exit(0)": ("a.py:2", "the file ends the program"),
    "raise GeneratorExit('x')": ("a.py:1", "GeneratorExit: x"),
    "raise KeyboardInterrupt": ("a.py:1", "KeyboardInterrupt"),
    "class X(BaseException):\n    pass\nraise X('x')": ("a.py:3", "X: x"),
    "class X(Exception):\n    def __str__(self): raise X\nraise X": ("a.py:3", "X: (its text can not be told: X)"),
    "def f(): f()\nf()": ("a.py:1", "RecursionError: maximum recursion depth exceeded"),
    "x = bytearray(10**15)": ("a.py:1", "MemoryError"),
    "input()": ("a.py:1", "EOFError: EOF when reading a line"),
    "import sys\nfor name in [n for n in sys.modules if n.startswith('featurestore')]: del sys.modules[name]\n" + COW: (
        "a.py:1",
        "the file replaces or removes modules of featurestore",
    ),
}


@pytest.mark.parametrize("text", ENDING)
def test_a_file_that_ends_or_breaks_its_process_is_told(folder: Path, text: str) -> None:
    found = problem(folder, text)

    assert (found.where, found.what) == ENDING[text]


def test_what_is_wrong_with_other_files_is_told_beside_the_end(folder: Path) -> None:
    (folder / "0.py").write_text("1 / 0\n")

    with pytest.raises(DefinitionsError) as caught:
        load(folder, "import os; os._exit(0)")

    assert [Path(one.where).name for one in caught.value.problems] == ["0.py:1", "a.py:1"]


HARMLESS = {
    "thread": "import threading, time; threading.Thread(target=time.sleep, args=(1e6,)).start()",
    "at exit": "import atexit, time; atexit.register(time.sleep, 1e6)",
    "closed stdout": "import sys; sys.stdout.close()",
    "closed output": "import os; os.close(1); os.close(2)",
    "forked": "import os; os.fork()",
    "elsewhere": "import os; os.chdir('/')",
    "no path": "import sys; sys.path.clear()",
    "signals": "import signal; [signal.signal(n, signal.SIG_DFL) for n in (2, 13, 15)]",
    "deep stack": "import sys; sys.setrecursionlimit(50)",
    "logging": "import logging; logging.basicConfig(level=0); logging.getLogger().debug('hi')",
    "warnings": "import warnings; warnings.simplefilter('error')",
    "left a process": "import subprocess; subprocess.Popen(['sleep', '1000'])",
}


@pytest.mark.parametrize("text", HARMLESS.values(), ids=HARMLESS)
def test_what_a_file_does_to_its_process_reaches_neither_the_others_nor_us(folder: Path, text: str) -> None:
    before = Path.cwd(), list(sys.path), signal.getsignal(signal.SIGTERM), sys.stdout.closed

    assert load(folder, text) == ["cow"]
    assert (Path.cwd(), list(sys.path), signal.getsignal(signal.SIGTERM), sys.stdout.closed) == before


def test_what_a_file_has_started_ends_with_the_reading(folder: Path, tmp_path: Path) -> None:
    started = tmp_path / "started"
    text = f"""
import subprocess
one = subprocess.Popen(["sleep", "1000"])
open({str(started)!r}, "w").write(str(one.pid))
"""

    load(folder, text)

    while is_running(int(started.read_text())):  # killed already, and gone as soon as the system comes to it
        time.sleep(0.01)


def is_running(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2][0]
    except FileNotFoundError:
        return False
    return state not in "ZX"


PRINTS = """
import os, sys
print("printed")
os.write(1, b"written\\n")
os.system("echo echoed")
sys.stderr.write("told\\n")
"""


def test_what_files_print_goes_to_stderr_alone(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    load(folder, PRINTS)

    out, err = capfd.readouterr()
    assert out == ""
    assert err.split() == ["printed", "written", "echoed", "told"]


def test_reading_sees_the_environment_and_the_import_path_of_whoever_asks(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "libraries").mkdir()
    (tmp_path / "libraries" / "helping_here.py").write_text("name = 'dog'")
    monkeypatch.syspath_prepend(str(tmp_path / "libraries"))
    monkeypatch.setenv("PET", "cat")
    text = """
import os
import featurestore as fs
from helping_here import name
pets = one, two = [fs.Entity(name, join_keys={"id": fs.String}) for name in (name, os.environ["PET"])]
"""

    assert load(folder, text) == ["dog", "cat", "cow"]


def test_no_descriptor_is_left_open(folder: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))

    load(folder, "")
    problem(folder, "import os; os._exit(0)")

    assert len(list(Path("/proc/self/fd").iterdir())) == before
