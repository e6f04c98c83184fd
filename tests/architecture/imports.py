"""Reads which module imports which, from the source text alone: imports inside functions, under conditions and by
`importlib.import_module("…")` included. What is allowed is decided in test_layers.py."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STOREYS = ("featurestore", "registry", "sdk", "definitions")


class When(Enum):
    """When an import happens."""

    LOADING = "when the module is loaded"
    CALLED = "when a function is called"
    NEVER = "for type checking only"


@dataclass(frozen=True, slots=True)
class Import:
    """`importer` imports `imported`, both full dotted names, at `file:line`."""

    importer: str
    imported: str
    when: When
    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.importer} imports {self.imported} ({self.when.value})"


def modules(*folders: str) -> Iterator[Path]:
    """Every Python file below these folders of the repository, in a fixed order."""
    for folder in folders:
        yield from sorted((ROOT / folder).rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path: Path) -> list[Import]:
    return imports_in(path.read_text(), module_name(path), str(path.relative_to(ROOT)))


def imports_in(text: str, importer: str, file: str) -> list[Import]:
    package = importer if file.endswith("__init__.py") else importer.rpartition(".")[0]
    return [
        Import(importer, name, when, file, node.lineno)
        for node, when in _walk(ast.parse(text, file), When.LOADING)
        for name in _imported(node, package)
    ]


def _walk(node: ast.AST, when: When) -> Iterator[tuple[ast.stmt | ast.expr, When]]:
    for child in ast.iter_child_nodes(node):
        inside = when
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            inside = When.CALLED if when is When.LOADING else when
        elif isinstance(node, ast.If) and child in node.body and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            inside = When.NEVER
        if isinstance(child, ast.Import | ast.ImportFrom | ast.Call):
            yield child, inside
        yield from _walk(child, inside)


def _imported(node: ast.stmt | ast.expr, package: str) -> list[str]:
    match node:
        case ast.Import():
            return [alias.name for alias in node.names]
        case ast.ImportFrom():
            parent = _absolute(node.module or "", node.level, package)
            return sorted({_module_of(parent, alias.name) for alias in node.names})
        case ast.Call(func=ast.Name(id=called) | ast.Attribute(attr=called), args=[ast.Constant(value=str(name)), *_]):
            return [name] if called in ("import_module", "__import__") else []
        case _:
            return []


def _absolute(module: str, level: int, package: str) -> str:
    if level == 0:
        return module
    above = package.split(".")[: len(package.split(".")) - level + 1]
    return ".".join([*above, module] if module else above)


def _module_of(parent: str, name: str) -> str:
    """`from a import b` imports the module `a.b` where there is one, and otherwise a name out of `a`."""
    inner = ROOT.joinpath(*parent.split("."), name)
    return f"{parent}.{name}" if inner.is_dir() or inner.with_suffix(".py").exists() else parent
