"""Who may import whom. The tables are the rules of docs/architecture.md; changing one is a design decision.

A *room* is a dotted prefix: a module belongs to the longest room that it lies in.
"""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

from tests.architecture.imports import STOREYS, Import, When, imports_in, imports_of, module_name, modules

# Ground floor. Each room may import itself and what is listed; everything lower comes by name, nothing by accident.
_LEAVES = ("errors", "intervals")
_SPEC = (*_LEAVES, "spec")
_GRAPH = (*_SPEC, "graph")
_PLAN = (*_GRAPH, "plan")
_PORTS = (*_PLAN, "ports")
_OPERATIONS = (*_PORTS, "compiler", "expressions", "operations")
# An engine carries out what the compiler describes, in its own way: the one in this process by merging.
_ENGINES = (*_PORTS, "compiler", "merging")
FEATURESTORE = {
    "errors": (),
    "intervals": ("errors",),
    "settings": ("errors",),
    "spec": _LEAVES,
    "graph": _SPEC,
    "plan": _GRAPH,
    "compiler": _GRAPH,
    "expressions": (*_GRAPH, "compiler"),
    "merging": (*_GRAPH, "compiler"),
    "ports": _PLAN,
    "adapters": _ENGINES,
    "operations": (*_PORTS, "compiler", "expressions"),
    "service": _OPERATIONS,
    "wiring": (*_OPERATIONS, "adapters", "service", "settings"),
}

# First floor: the same order. Beside its own rooms, a room of the registry sees the featurestore as the room of the
# same height there does, and that room itself.
_RECORDS = ("errors", "rules", "reference", "records")
_MODEL_PORTS = (*_RECORDS, "gates", "lineage", "ports")
REGISTRY = {
    "errors": (),
    "rules": ("errors",),
    "reference": ("errors", "rules"),
    "records": ("errors", "rules", "reference"),
    "gates": _RECORDS,
    "lineage": _RECORDS,
    "ports": (*_RECORDS, "gates", "lineage"),
    "adapters": _MODEL_PORTS,
    "operations": _MODEL_PORTS,
    "service": (*_MODEL_PORTS, "operations"),
    "settings": ("errors",),
    "wiring": (*_MODEL_PORTS, "operations", "adapters", "service", "settings"),
    # Above wiring, so that opening a project in this process does not load FastAPI and uvicorn.
    "serve": (*_MODEL_PORTS, "operations", "adapters", "service", "settings", "wiring"),
}
SAME_HEIGHT = {
    "rules": "spec",
    "reference": "spec",
    "records": "ports",
    "gates": "ports",
    "lineage": "ports",
    "serve": "wiring",
}

# Top floor: `import sdk` stays light. Only these modules reach the storeys below, and inside functions alone.
LIGHT = ("featurestore.errors", "featurestore.spec", "registry.errors")
LOADS_WHAT_IT_NEEDS = (
    "sdk.local",
    "sdk.project",
    "sdk.cli.plan_text",
    "sdk.cli.consume",
    "sdk.cli.serve",
    "sdk.cli.steps",
    "sdk.stream_consumer",
)

_ADAPTERS = ("featurestore.adapters", "registry.adapters")
_SERVICES = ("featurestore.service", "registry.service")
_EDGES = ("sdk.results", "sdk.spines")
THIRD_PARTY = {
    "duckdb": _ADAPTERS,
    "deltalake": _ADAPTERS,
    "redis": _ADAPTERS,
    "adbc_driver_postgresql": _ADAPTERS,
    "pyspark": _ADAPTERS,
    "sqlalchemy": _ADAPTERS,
    "alembic": _ADAPTERS,
    "sqlglot": (
        "featurestore.graph",
        "featurestore.compiler",
        "featurestore.expressions",
        "featurestore.ports.engine",
        "featurestore.adapters.delta_source",
        "featurestore.adapters.duckdb_binder",
        "featurestore.adapters.duckdb_engine",
        "featurestore.adapters.duckdb_views",
        "featurestore.adapters.duckdb_volatility",
        "featurestore.adapters.postgres_columns",
        "featurestore.adapters.postgres_source",
        "featurestore.adapters.repeated_scan",
    ),
    "numpy": ("featurestore.merging", "featurestore.adapters", "sdk.results"),
    "fastapi": _SERVICES,
    "starlette": _SERVICES,
    "uvicorn": (*_SERVICES, "registry.serve"),
    "httptools": _SERVICES,
    "prometheus_client": _SERVICES,
    "pydantic_settings": ("featurestore.settings", "registry.settings"),
    "pandas": _EDGES,
    "polars": _EDGES,
    "httpx": ("sdk",),
    "typer": ("sdk.cli",),
    "rich": ("sdk.cli",),
}

HEAVY = ("duckdb", "deltalake", "redis", "sqlalchemy", "sqlglot", "fastapi", "uvicorn", "pandas", "polars")


def problem(found: Import) -> str | None:
    """Why this import is not allowed; None if it is."""
    if (library := found.imported.partition(".")[0]) in THIRD_PARTY:
        rooms = THIRD_PARTY[library]
        return None if _is_in(found.importer, rooms) else f"{library} lives in {_listed(rooms)}"
    if library not in STOREYS:
        return None
    match found.importer.partition(".")[0]:
        case "featurestore":
            return _problem_on_the_ground_floor(found)
        case "registry":
            return _problem_on_the_first_floor(found)
        case "sdk":
            return _problem_on_the_top_floor(found)
        case _:
            allowed = found.imported == "featurestore" or _is_in(found.imported, ("definitions",))
            return None if allowed else "definitions import featurestore's public names and each other"


def _problem_on_the_ground_floor(found: Import) -> str | None:
    room = _room(found.importer, FEATURESTORE)
    allowed = _below("featurestore", room, FEATURESTORE) if room else ("featurestore.spec",)
    return None if _is_in(found.imported, allowed) else f"it may import {_listed(allowed)}"


def _problem_on_the_first_floor(found: Import) -> str | None:
    room = _room(found.importer, REGISTRY)
    if room is None:
        return None if _is_in(found.imported, ("registry",)) else "registry/__init__.py only re-exports"
    height = SAME_HEIGHT.get(room, room)
    allowed = (*_below("registry", room, REGISTRY), *_below("featurestore", height, FEATURESTORE))
    return None if _is_in(found.imported, allowed) else f"it may import {_listed(allowed)}"


def _problem_on_the_top_floor(found: Import) -> str | None:
    if _is_in(found.imported, ("sdk", *LIGHT)) or found.when is When.NEVER:
        return "the top floor knows no definitions" if _is_in(found.imported, ("definitions",)) else None
    if _is_in(found.importer, LOADS_WHAT_IT_NEEDS) and found.when is When.CALLED:
        return None
    return f"only {_listed(LOADS_WHAT_IT_NEEDS)} load the storeys below, and inside functions"


def _below(storey: str, room: str, table: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(f"{storey}.{allowed}" for allowed in (room, *table[room]))


def _room(module: str, table: dict[str, tuple[str, ...]]) -> str | None:
    """The room of a module; None for the storey's own __init__. A module in no room is refused by a test."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in table else None


def _is_in(module: str, rooms: tuple[str, ...]) -> bool:
    return any(module == room or module.startswith(f"{room}.") for room in rooms)


def _listed(rooms: tuple[str, ...]) -> str:
    return ", ".join(rooms) or "nothing"


def test_every_import_follows_the_tables() -> None:
    found = [one for path in modules(*STOREYS) for one in imports_of(path)]

    broken = [f"{one}: {why}" for one in found if (why := problem(one))]

    assert not broken, "\n".join(["imports against the tables of this file:", *broken])


def test_every_module_lies_in_a_room_of_the_tables() -> None:
    rooms = {"featurestore": FEATURESTORE, "registry": REGISTRY}
    names = [module_name(path) for path in modules(*rooms)]

    homeless = [name for name in names if name not in rooms and _room(name, rooms[name.partition(".")[0]]) is None]

    assert not homeless, f"modules in no room of the tables: {homeless}"


def test_importing_the_sdk_stays_light() -> None:
    script = f"import sdk, sys; print(*sorted(set({HEAVY!r}) & set(sys.modules)))"

    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()

    assert loaded == []


def test_serving_loads_neither_engine_nor_tables_nor_pandas() -> None:
    """Which take 12, 16 and 50 MB. `tests/service/test_serving_stays_light.py` asks a server that has looked up."""
    script = "import registry.serve, sys; print(*sorted({'duckdb', 'deltalake', 'pandas'} & set(sys.modules)))"

    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()

    assert loaded == []


@pytest.mark.parametrize(
    ("importer", "text"),
    [
        ("featurestore.spec.entity", "from featurestore.graph import resolved"),
        ("featurestore.graph.resolve", "import featurestore.plan.build"),
        ("featurestore.compiler.windows", "from ..ports import engine"),
        ("featurestore.expressions.texts", "from featurestore.ports import engine"),
        ("featurestore.ports.state", "from featurestore.settings import Settings"),
        ("featurestore.adapters.redis_online", "def read():\n    from featurestore.operations import apply"),
        ("featurestore.operations.apply", "import duckdb"),
        ("featurestore.operations.apply", "from featurestore.adapters.sql_state import SqlState"),
        ("featurestore.operations.apply", "from featurestore import adapters"),
        ("featurestore.operations.apply", "importlib.import_module('featurestore.adapters.sql_state')"),
        ("featurestore.service.app", "import featurestore.adapters.memory"),
        ("featurestore.adapters.delta_offline", "import sqlglot"),
        ("featurestore.wiring", "from registry.errors import RegistryError"),
        ("registry.operations.register", "from featurestore.adapters import sql_state"),
        ("registry.records", "from featurestore.operations import apply"),
        ("registry.operations.register", "import sdk"),
        ("sdk.client", "from featurestore.wiring import wire"),
        ("sdk.client", "def connect():\n    from featurestore.wiring import wire"),
        ("sdk.local", "from registry.wiring import wire"),
        ("sdk.client", "import pandas as pd"),
        ("definitions.services", "from featurestore.spec import FeatureService"),
    ],
)
def test_an_import_against_the_tables_is_found(importer: str, text: str) -> None:
    file = f"{importer.replace('.', '/')}.py"

    found = imports_in(text, importer, file)

    assert any(problem(one) for one in found), found
    assert str(found[-1]).startswith(f"{file}:{text.count(chr(10)) + 1}: ")


@pytest.mark.parametrize(
    ("importer", "text"),
    [
        ("featurestore.operations.apply", "from featurestore.compiler import windows"),
        ("featurestore.adapters.duckdb_engine", "import duckdb, sqlglot"),
        ("featurestore.wiring", "from featurestore.adapters.sql_state import SqlState"),
        ("registry.operations.register", "from featurestore.ports import state"),
        ("registry.adapters.model_usage", "from featurestore.ports.model_usage import ModelUsage"),
        ("registry.wiring", "import featurestore.wiring"),
        ("sdk.local", "def connect():\n    from registry.wiring import wire"),
        ("sdk.client", "if TYPE_CHECKING:\n    from registry.records import ModelVersion"),
        ("sdk.results", "def to_pandas():\n    import pandas"),
        ("definitions.services", "import featurestore as fs\nfrom definitions.entities import route"),
    ],
)
def test_an_import_within_the_tables_is_let_through(importer: str, text: str) -> None:
    found = imports_in(text, importer, f"{importer.replace('.', '/')}.py")

    assert found
    assert [problem(one) for one in found] == [None] * len(found)


def test_the_tables_have_no_circle() -> None:
    for table in (FEATURESTORE, REGISTRY):
        settled: set[str] = set()
        while ready := {room for room in table.keys() - settled if set(table[room]) <= settled}:
            settled |= ready

        assert settled == set(table)


def test_imports_are_read_wherever_they_stand() -> None:
    text = ast.unparse(ast.parse("try:\n    import a\nexcept ImportError:\n    b = lambda: __import__('c.d')"))

    found = imports_in(text, "x.y", "x/y.py")

    assert [(one.imported, one.when) for one in found] == [("a", When.LOADING), ("c.d", When.CALLED)]
