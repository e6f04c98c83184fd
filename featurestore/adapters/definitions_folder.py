"""Declarations from the Python files of a folder.

The folder is imported as a package of its own name, its parent being on the import path while it is read: files refer
to each other as `from definitions.entities import …` or with dots. Its modules are forgotten afterwards, so that it
can be read again when it has changed, and so that two projects do not meet.
"""

from __future__ import annotations

import importlib
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType

from featurestore.errors import DefinitionsError, KnownatError, Problem, SettingsError
from featurestore.spec.declarations import Declaration, Declarations
from featurestore.spec.entity import Entity
from featurestore.spec.feature_service import FeatureService
from featurestore.spec.feature_view import FeatureView
from featurestore.spec.on_demand import OnDemandFeature
from featurestore.spec.source import Source

_ONE_READER = threading.RLock()
"""Imports are the process's own: two threads that read definitions would forget each other's modules."""


class DefinitionsFolder:
    """The Python files of a folder and its subfolders, in the order of their paths. What begins with a dot is none."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()

    def load(self) -> Declarations:
        if not self._folder.is_dir():
            raise SettingsError(
                f"There is no definitions folder {self._folder}. Run `knownat init` to start a project."
            )
        if not self._folder.name.isidentifier():
            raise SettingsError(f"The definitions folder {self._folder} needs a name that Python can import.")
        with _ONE_READER:
            return self._read()

    def _read(self) -> Declarations:
        if _names_another_module(self._folder):
            raise SettingsError(f"The definitions folder {self._folder} has the name of a Python module. Rename it.")
        found: list[Declaration] = []
        problems: list[Problem] = []
        with _importable(self._folder):
            for file in self._files():
                try:
                    found += _declared(importlib.import_module(self._module_name(file)))
                except (Exception, SystemExit) as error:  # noqa: BLE001 - user code may raise anything; all of it is told
                    problems.append(_problem(error, file, self._folder))
        if problems:
            raise DefinitionsError(problems)
        return _sorted(found)

    def _files(self) -> list[Path]:
        """Without what editors, notebooks and Python itself keep there: whose names begin with a dot, and caches."""
        found = (file for file in self._folder.rglob("*.py") if not file.is_dir())
        return sorted(file for file in found if not any(map(_is_kept, file.relative_to(self._folder).parts)))

    def _module_name(self, file: Path) -> str:
        parts = [self._folder.name, *file.relative_to(self._folder).with_suffix("").parts]
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _is_kept(name: str) -> bool:
    return name.startswith(".") or name == "__pycache__"


def _names_another_module(folder: Path) -> bool:
    """Whether importing the folder would hide a module that others need, or forget one that is in use."""
    if folder.name in sys.stdlib_module_names:
        return True
    module = sys.modules.get(folder.name)
    elsewhere = [entry for entry in sys.path if Path(entry).resolve() != folder.parent]
    installed = PathFinder.find_spec(folder.name, elsewhere)
    places = [*getattr(module, "__path__", ()), getattr(module, "__file__", None), installed and installed.origin]
    return any(place and not Path(place).resolve().is_relative_to(folder) for place in places)


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Make the folder importable, with none of its modules loaded before or after."""
    writes_bytecode = sys.dont_write_bytecode
    _forget(folder)
    sys.path.insert(0, str(folder.parent))
    sys.dont_write_bytecode = True  # a definitions folder may be read-only, and it is not ours to write into
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.dont_write_bytecode = writes_bytecode
        sys.path.remove(str(folder.parent))
        _forget(folder)


def _forget(folder: Path) -> None:
    for name in [name for name in sys.modules if name == folder.name or name.startswith(f"{folder.name}.")]:
        del sys.modules[name]


def _declared(module: ModuleType) -> list[Declaration]:
    return [value for value in vars(module).values() if isinstance(value, Declaration)]


def _sorted(found: list[Declaration]) -> Declarations:
    """Each declaration once, though several modules import it, by kind and in the order of files and lines."""
    distinct = sorted({id(item): item for item in found}.values(), key=_site)
    return Declarations(
        entities=tuple(item for item in distinct if isinstance(item, Entity)),
        sources=tuple(item for item in distinct if isinstance(item, Source)),
        views=tuple(item for item in distinct if isinstance(item, FeatureView)),
        on_demand=tuple(item for item in distinct if isinstance(item, OnDemandFeature)),
        services=tuple(item for item in distinct if isinstance(item, FeatureService)),
    )


def _site(item: Declaration) -> tuple[str, int]:
    file, _, line = item.declared_at.rpartition(":")
    return file, int(line)


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
    return Problem(where, f"{type(error).__name__}: {error}")
