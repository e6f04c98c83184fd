"""Prepare on-demand features: which of them are evaluated directly, and what only the engine knows about those."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pyarrow as pa

from featurestore.compiler.on_demand import ROW, ROWS, read_columns
from featurestore.errors import QueryError
from featurestore.expressions.compiled import Compiled, compiled
from featurestore.expressions.questions import Draft, constants_query, drafted, types_query
from featurestore.expressions.terms import Datum, Evaluate, LeftToEngine, Scope
from featurestore.graph.arrow_types import arrow_schema, arrow_type
from featurestore.graph.resolved import Column, FeatureSet, ResolvedOnDemand
from featurestore.ports.engine import Engine, Query
from featurestore.spec.dtypes import Kind


@dataclass(frozen=True, slots=True)
class PreparedOnDemand:
    """The on-demand features of a feature set, ready to be computed."""

    features: FeatureSet
    arrow_types: Mapping[str, pa.DataType]
    """Of the columns that they read, by their names."""
    direct: Mapping[str, Evaluate]
    """Those that need no engine, by their names."""
    constants: Mapping[str, Datum]
    """What they read beside columns."""
    by_engine: Mapping[str, str]
    """The others, each with the reason: a lookup waits one to two milliseconds for the engine."""
    engine: Engine


def prepare_on_demand(features: FeatureSet, engine: Engine) -> PreparedOnDemand:
    """May take tens of milliseconds: the engine is asked for types and constants."""
    direct: dict[str, Evaluate] = {}
    constants: dict[str, Datum] = {}
    by_engine: dict[str, str] = {}
    for feature in features.on_demand:
        try:
            evaluate, read = _direct(feature, read_columns(replace(features, on_demand=(feature,))), engine)
        except LeftToEngine as reason:
            by_engine[feature.name] = str(reason)
            continue
        direct[feature.name] = evaluate
        constants |= read
    read_types = {field.name: field.type for field in arrow_schema(read_columns(features))}
    return PreparedOnDemand(features, read_types, direct, constants, by_engine, engine)


def _direct(feature: ResolvedOnDemand, reads: tuple[Column, ...], engine: Engine) -> tuple[Evaluate, dict[str, Datum]]:
    if feature.dtype.kind is Kind.EMBEDDING:
        raise LeftToEngine("an embedding is null as a whole where an item would be")
    schema, to = arrow_schema(reads), arrow_type(feature.dtype)
    draft = drafted(feature.expression)
    try:
        scope = Scope(dict(zip(schema.names, schema.types, strict=True)), _types(draft, schema, engine))
        found = compiled(draft, to, scope)
        constants = _constants(found, engine)
    except QueryError as error:
        raise LeftToEngine(str(error)) from error
    _try(found, {**_nulls(schema), **constants}, to)
    return found.evaluate, constants


def _types(draft: Draft, schema: pa.Schema, engine: Engine) -> dict[str, str]:
    """The types of an expression's parts, as the engine names them."""
    if not draft.parts:
        return {}
    # An array made of Python values would load pandas, 50 MB, and the engine is asked for no value.
    rows = pa.table({ROW: pa.nulls(1, pa.int64()), **_nulls(schema)})
    told = _answered(Query(types_query(draft, ROWS), {ROWS: rows}), engine)
    return {part: column[0].as_py() for part, column in zip(draft.parts, told.columns, strict=True)}


def _constants(found: Compiled, engine: Engine) -> dict[str, Datum]:
    if not found.constants:
        return {}
    told = _answered(Query(constants_query(found.constants)), engine)
    return {name: column[0] for name, column in zip(found.constants, told.columns, strict=True)}


def _answered(query: Query, engine: Engine) -> pa.Table:
    with engine.stream(query) as reader:
        return reader.read_all()


def _try(found: Compiled, row: Mapping[str, Datum], to: pa.DataType) -> None:
    """Evaluates a row of nulls: what Arrow has no function for, it has none for in any row."""
    try:
        result = found.evaluate(row)
    except pa.ArrowException as error:
        raise LeftToEngine(str(error)) from error
    if result.type != to:
        raise LeftToEngine(f"{result.type} instead of {to}")


def _nulls(schema: pa.Schema) -> dict[str, pa.Array]:
    return {field.name: pa.nulls(1, field.type) for field in schema}
