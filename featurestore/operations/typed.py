"""What the engine says of views and on-demand features before they are settled: their types, or what is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa

from featurestore.compiler.on_demand import ROWS, probe
from featurestore.errors import EngineTimeout, Problem, QueryError
from featurestore.graph.agreement import beyond, other_types, query_as_written, unseen
from featurestore.graph.arrow_types import arrow_schema, dtype_of
from featurestore.graph.draft import Draft, DraftView
from featurestore.graph.edges import columns_named
from featurestore.graph.fingerprint import fingerprint, key_identity
from featurestore.graph.services import DraftOnDemand
from featurestore.graph.sql_text import read_query
from featurestore.graph.trial_rows import trial_rows
from featurestore.operations.trials import Fault, Trial, try_expression, try_view
from featurestore.plan.stages import CanFail
from featurestore.ports.engine import Engine, Query
from featurestore.ports.plan_memory import Tried
from featurestore.spec.dtypes import OFFERED, DType

_NO_COLUMNS = pa.schema([("__row", pa.int64())])


@dataclass(frozen=True, slots=True)
class TypedViews:
    """For each view, by its name, the columns of its query, and what of it fails on some values."""

    schemas: dict[str, pa.Schema]
    can_fail: dict[str, tuple[CanFail, ...]]


@dataclass(frozen=True, slots=True)
class TypedOnDemand:
    """For each on-demand feature, by its name, the key of what it was tried with, and what was found."""

    keys: Mapping[str, str]
    tried: Mapping[str, Tried]

    @property
    def dtypes(self) -> dict[str, DType]:
        """Of all but those with a problem."""
        return {name: self.tried[key].dtype for name, key in self.keys.items() if key in self.tried}


def typed_views(drafted: Draft, engine: Engine) -> tuple[TypedViews, list[Problem]]:
    """Views with a problem are left out."""
    rows = {name: trial_rows(schema) for name, schema in drafted.schemas.items()}
    schemas: dict[str, pa.Schema] = {}
    can_fail: dict[str, tuple[CanFail, ...]] = {}
    problems: list[Problem] = []
    for view in drafted.views:
        name = view.declaration.name
        if volatile := list(_volatile_in_view(view, engine)):
            problems += volatile
            continue
        read = {source.name: drafted.schemas[source.name].empty_table() for source in view.written.sources}
        try:
            found = engine.schema(Query(view.query.tree, read))
        except EngineTimeout as error:
            problems.append(Problem(view.declaration.declared_at, f"view '{name}': {error}"))
            break  # each of the others might take as long
        except QueryError as error:
            problems += _refused(view, read, engine, error)
            continue
        if problem := _read_otherwise(view, found, read, engine):
            problems.append(problem)
            continue
        faults, failing = try_view(view, rows, engine)
        problems += map(_as_problem, faults)
        if not faults:
            schemas[name] = found
            can_fail |= {name: tuple(failing)} if failing else {}
    return TypedViews(schemas, can_fail), problems


def _refused(view: DraftView, read: Mapping[str, pa.Table], engine: Engine, error: QueryError) -> tuple[Problem, ...]:
    """What the engine refuses: single features, if their view without them has no fault."""
    name, found = view.declaration.name, list[Problem]()
    for column in view.written.columns:
        try:
            engine.schema(Query(view.query.only(column.name), read))
        except QueryError as alone:
            found.append(Problem(column.declared_at, f"'{column.known_as}' of view '{name}': {alone}"))
    if not found or len(found) == len(view.written.columns):
        return (Problem(view.declaration.declared_at, f"view '{name}': {error}"),)
    return tuple(found)


def _read_otherwise(view: DraftView, found: pa.Schema, read: Mapping[str, pa.Table], engine: Engine) -> Problem | None:
    """Where the engine takes the view's SQL for something else than we do."""
    as_written = query_as_written(view)
    if as_written is None:
        return None
    try:
        bound = engine.bind(Query(as_written, read))
    except QueryError:
        return None  # only with all that is spelled out does the engine take it: there is nothing to compare with
    hidden = beyond(bound.reads, view.query.columns())
    if hidden:
        # The engine may just not have noticed what nobody needs: then our query has it too until it is left out.
        hidden = beyond(bound.reads, view.query.columns() | columns_named(view.query.tree.copy()))
        needed = read_query(view.query.canonical())
        hidden |= beyond(engine.bind(Query(needed, read)).reads, view.query.columns() | columns_named(needed))
    return other_types(view, found, bound.schema) or unseen(view, hidden)


def typed_on_demand(
    drafts: tuple[DraftOnDemand, ...], engine: Engine, known: Mapping[str, Tried]
) -> tuple[TypedOnDemand, list[Problem]]:
    """`known` is what was found before, by keys that cover everything it follows from. Features with a problem are left
    out."""
    keys = {one.declaration.name: _key(one) for one in drafts}
    tried: dict[str, Tried] = {}
    problems: list[Problem] = []
    for one in drafts:
        key = keys[one.declaration.name]
        try:
            found = known.get(key) or _tried(one, engine)
        except EngineTimeout as error:
            problems.append(Problem(one.declaration.declared_at, f"{_known_as(one)}: {error}"))
            break
        if isinstance(found, Tried):
            tried[key] = found
        else:
            problems += found
    return TypedOnDemand(keys, tried), problems


def _key(draft: DraftOnDemand) -> str:
    return fingerprint("tried", draft.declaration.name, draft.expression, key_identity(draft.columns))


def _known_as(draft: DraftOnDemand) -> str:
    return f"on-demand feature '{draft.declaration.name}'"


def _tried(draft: DraftOnDemand, engine: Engine) -> Tried | list[Problem]:
    """Raises EngineTimeout: each of the others might take as long."""
    site, what = draft.declaration.declared_at, _known_as(draft)
    schema = arrow_schema(draft.columns) if draft.columns else _NO_COLUMNS
    query = probe(draft.expression, draft.declaration.name)
    if volatile := engine.volatile_parts(query):
        return [_volatile(site, what, volatile, dict(draft.declaration.inputs))]
    try:
        found = engine.schema(Query(query, {ROWS: schema.empty_table()})).field(0).type
    except EngineTimeout:
        raise
    except QueryError as error:
        return [Problem(site, f"{what}: {error}")]
    if (dtype := dtype_of(found)) is None:
        return [Problem(site, f"{what} is {found}, which a feature can not be", f"CAST it to one of {OFFERED}")]
    trial = Trial(Query(query), {ROWS: trial_rows(schema)})
    faults, can_fail = try_expression(draft.declaration.name, site, trial, engine)
    return [_as_problem(fault) for fault in faults] or Tried(dtype, tuple(can_fail))


def _as_problem(fault: Fault) -> Problem:
    return Problem(fault.declared_at, f"{fault.what} fails whatever its rows hold: {fault.reason}")


def _volatile_in_view(view: DraftView, engine: Engine) -> Iterator[Problem]:
    """What has another value each time, with the features it is in, or else in the view's SQL."""
    found = engine.volatile_parts(view.query.tree)
    name, told = view.declaration.name, set[str]()
    for column in view.written.columns if found else ():
        parts = engine.volatile_parts(column.alone())
        if parts:
            told.update(parts)
            what = f"'{column.known_as}' of view '{name}'"
            yield _volatile(column.declared_at, what, parts, view.written.offered)
    if rest := tuple(part for part in found if part not in told):
        yield _volatile(view.declaration.declared_at, f"view '{name}'", rest, view.written.offered)


def _volatile(where: str, what: str, parts: tuple[str, ...], columns: Iterable[str]) -> Problem:
    words = {part.removesuffix("()") for part in parts}
    named = sorted(name for name in columns if name.lower() in words)
    hint = f'the column is "{named[0]}", in double quotes' if named else "use what the rows hold, as their timestamps"
    shown = ", ".join(parts)
    return Problem(where, f"{what}: {shown} gives another value each time, and no answer could be given again", hint)
