"""Declarations from the Python files of a folder.

The files are run by a process of their own, as the modules of a package with the folder's name, its parent being on the
import path: files refer to each other as `from definitions.entities import …` or with dots. What they declare comes
back as data. Whatever else they do, print, change or start, ends with that process, at the latest when their time is
up; what they print goes to stderr.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from importlib.machinery import PathFinder
from pathlib import Path

from featurestore.adapters.declared_records import records_of
from featurestore.adapters.definitions_process import Told, read_apart
from featurestore.errors import DefinitionsError, SettingsError
from featurestore.spec.declarations import Declaration, Declarations
from featurestore.spec.entity import Entity
from featurestore.spec.feature_service import FeatureService
from featurestore.spec.feature_view import FeatureView
from featurestore.spec.on_demand import OnDemandFeature
from featurestore.spec.source import Source


class DefinitionsFolder:
    """The Python files of a folder and its subfolders, in the order of their paths. What begins with a dot is none.

    Reading them ends after `seconds`, counted from the first file.
    """

    def __init__(self, folder: Path, *, seconds: float = 60.0) -> None:
        self._folder = folder.resolve()
        self._seconds = seconds

    def load(self) -> Declarations:
        if not self._folder.is_dir():
            raise SettingsError(
                f"There is no definitions folder {self._folder}. Run `knownat init` to start a project."
            )
        if not self._folder.name.isidentifier():
            raise SettingsError(f"The definitions folder {self._folder} needs a name that Python can import.")
        if _names_another_module(self._folder):
            raise SettingsError(f"The definitions folder {self._folder} has the name of a Python module. Rename it.")
        files = self._files()
        told = read_apart(self._folder, files, self._seconds) if files else Told()
        if told.problems:
            raise DefinitionsError(told.problems)
        records = records_of(told.records)
        return _sorted(records[place] for place in told.declared)

    def _files(self) -> list[Path]:
        """Without what editors, notebooks and Python itself keep there: whose names begin with a dot, and caches."""
        found = (file for file in self._folder.rglob("*.py") if not file.is_dir())
        return sorted(file for file in found if not any(map(_is_kept, file.relative_to(self._folder).parts)))


def _is_kept(name: str) -> bool:
    return name.startswith(".") or name == "__pycache__"


def _names_another_module(folder: Path) -> bool:
    """Whether importing the folder would hide a module that its files may need."""
    if folder.name in sys.stdlib_module_names:
        return True
    module = sys.modules.get(folder.name)
    elsewhere = [entry for entry in sys.path if Path(entry).resolve() != folder.parent]
    installed = PathFinder.find_spec(folder.name, elsewhere)
    places = [*getattr(module, "__path__", ()), getattr(module, "__file__", None), installed and installed.origin]
    return any(place and not Path(place).resolve().is_relative_to(folder) for place in places)


def _sorted(distinct: Iterable[Declaration]) -> Declarations:
    """By kind and in the order of files and lines."""
    found = sorted(distinct, key=_site)
    return Declarations(
        entities=tuple(item for item in found if isinstance(item, Entity)),
        sources=tuple(item for item in found if isinstance(item, Source)),
        views=tuple(item for item in found if isinstance(item, FeatureView)),
        on_demand=tuple(item for item in found if isinstance(item, OnDemandFeature)),
        services=tuple(item for item in found if isinstance(item, FeatureService)),
    )


def _site(item: Declaration) -> tuple[str, int]:
    file, _, line = item.declared_at.rpartition(":")
    return file, int(line)
