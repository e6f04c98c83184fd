"""Which files the path of a source means, in a tree of folders: of a disk, or of an object store's keys.

A path is a name. A part of it that is not there under that very name is a pattern, as a shell reads one: `*`, `?`,
`[…]`, and `**` for any number of folders. A folder stands for the files in it.

What writers have not finished, and what they keep for themselves, has names that begin with `_` or `.`. It is no data,
nor is what lies below such a folder, unless the path says that very beginning: `_year=2020` is a folder of a partition.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase
from typing import Protocol

Parts = tuple[str, ...]

_WILD = re.compile(r"[*?\[]")
_ANY_FOLDERS = "**"


class Kind(Enum):
    FILE = "file"
    FOLDER = "folder"
    LINKED_FOLDER = "linked folder"
    """`**` leaves it out, as links may lead round in circles."""


class Tree(Protocol):
    """Paths are given in parts, from the tree's root."""

    def kind(self, path: Parts) -> Kind | None:
        """None when there is nothing."""
        ...

    def names(self, folder: Parts) -> Mapping[str, Kind]:
        """What lies in the folder; nothing when there is none."""
        ...


class AmbiguousPath(ValueError):
    """A part of a path is a name that is there, and a pattern of other names that are there, too."""

    def __init__(self, name: Parts, other: Parts) -> None:
        super().__init__("/".join(name))
        self.name, self.other = "/".join(name), "/".join(other)


@dataclass(frozen=True, slots=True)
class FolderFiles:
    """The files that a folder stands for."""

    suffix: str
    with_subfolders: bool = False

    @property
    def pattern(self) -> str:
        return f"{'**/' if self.with_subfolders else ''}*{self.suffix}"


def is_pattern(path: Parts) -> bool:
    return any(_WILD.search(part) for part in path)


def files_of(tree: Tree, path: Parts, inside: FolderFiles) -> set[Parts]:
    """The files that the path means. Raises AmbiguousPath."""
    return set(_meant(tree, (), path, inside))


def is_in_folder(tree: Tree, path: Parts) -> bool:
    """Whether the folder is there that the path names, or that its first pattern looks into."""
    at: Parts = ()
    for part in path:
        if _WILD.search(part) and tree.kind((*at, part)) is None:
            break
        at = (*at, part)
    return tree.kind(at) in (Kind.FOLDER, Kind.LINKED_FOLDER)


def _meant(tree: Tree, at: Parts, path: Parts, inside: FolderFiles) -> Iterator[Parts]:
    if not path:
        yield from _named(tree, at, inside)
        return
    part, rest = path[0], path[1:]
    if part == _ANY_FOLDERS:
        yield from _anywhere(tree, at, rest, inside)
    elif not _WILD.search(part):
        yield from _meant(tree, (*at, part), rest, inside)
    else:
        yield from _matching(tree, at, path, inside)


def _named(tree: Tree, at: Parts, inside: FolderFiles) -> Iterator[Parts]:
    """What a name stands for."""
    kind = tree.kind(at)
    if kind is Kind.FILE:
        yield at
    elif kind is not None:
        yield from _contents(tree, at, inside)


def _anywhere(tree: Tree, at: Parts, path: Parts, inside: FolderFiles) -> Iterator[Parts]:
    yield from _meant(tree, at, path, inside)
    for folder in _subfolders(tree, at):
        yield from _anywhere(tree, folder, path, inside)


def _matching(tree: Tree, at: Parts, path: Parts, inside: FolderFiles) -> Iterator[Parts]:
    part, rest = path[0], path[1:]
    there = tree.names(at)
    matching = [
        name for name, kind in there.items() if (kind is Kind.FILE) is (not rest) and _matches(name, kind, part)
    ]
    if part in there:
        if other := next((name for name in matching if name != part), None):
            raise AmbiguousPath((*at, part), (*at, other))
        yield from _meant(tree, (*at, part), rest, inside)
    elif rest:
        for name in matching:
            yield from _meant(tree, (*at, name), rest, inside)
    else:
        yield from ((*at, name) for name in matching)


def _contents(tree: Tree, folder: Parts, inside: FolderFiles) -> Iterator[Parts]:
    for name, kind in tree.names(folder).items():
        if kind is Kind.FILE and name.endswith(inside.suffix) and not _is_hidden(name, kind):
            yield (*folder, name)
    if inside.with_subfolders:
        for subfolder in _subfolders(tree, folder):
            yield from _contents(tree, subfolder, inside)


def _subfolders(tree: Tree, folder: Parts) -> Iterator[Parts]:
    for name, kind in tree.names(folder).items():
        if kind is Kind.FOLDER and not _is_hidden(name, kind):
            yield (*folder, name)


def _matches(name: str, kind: Kind, pattern: str) -> bool:
    return fnmatchcase(name, pattern) and (name[0] == pattern[0] or not _is_hidden(name, kind))


def _is_hidden(name: str, kind: Kind) -> bool:
    """As Spark and Hive have it: a column whose name begins with `_` may partition a table."""
    return name.startswith(".") or (name.startswith("_") and (kind is Kind.FILE or "=" not in name))
