"""Compute on-demand features: the same functions over the same arrays for a training set and for a lookup.

The engine computes what is not evaluated directly, and rows for which Arrow refuses: there it has a value of its own,
or an error. So the answer is always the engine's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pyarrow as pa

from featurestore.compiler.on_demand import ROW, ROWS, on_demand_rows, read_columns
from featurestore.errors import QueryError
from featurestore.expressions.terms import Datum, Evaluate
from featurestore.graph.arrow_types import arrow_type
from featurestore.operations.prepare_on_demand import PreparedOnDemand
from featurestore.ports.engine import Query

_ROWS_AT_ONCE = 65_536
"""So that what is computed on the way stays in the processor's cache."""


def compute(prepared: PreparedOnDemand, columns: Mapping[str, pa.Array], rows: int) -> dict[str, pa.Array]:
    """The on-demand features by their names, for `rows` rows of the columns that they read (`prepared.arrow_types`).

    Raises QueryError, which names the feature, where one has no value: a number that is too great, a failing CAST.
    """
    computed = _evaluated(prepared, columns, rows)
    if prepared.by_engine:
        computed |= _by_engine(prepared, tuple(prepared.by_engine), columns, rows)
    return computed


def first_failing(
    prepared: PreparedOnDemand, columns: Mapping[str, pa.Array], rows: int
) -> tuple[int, QueryError] | None:
    """Of rows that `compute` raised QueryError of, the first that it raises it of alone, and that error. It computes
    about as many rows again: one row's fault is told to everybody who asked together with it."""
    low, high = 0, rows
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _failure(prepared, columns, low, middle) else (middle, high)
    failure = _failure(prepared, columns, low, high)
    return None if failure is None else (low, failure)


def _failure(prepared: PreparedOnDemand, columns: Mapping[str, pa.Array], start: int, end: int) -> QueryError | None:
    try:
        compute(prepared, {name: values.slice(start, end - start) for name, values in columns.items()}, end - start)
    except QueryError as error:
        return error
    return None


def compute_table(prepared: PreparedOnDemand, table: pa.Table) -> dict[str, pa.ChunkedArray]:
    """As `compute`, for any number of rows."""
    pieces: dict[str, list[pa.Array]] = {name: [] for name in prepared.direct}
    for batch in table.to_batches(max_chunksize=_ROWS_AT_ONCE) if prepared.direct else ():
        columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        for name, values in _evaluated(prepared, columns, batch.num_rows).items():
            pieces[name].append(values)
    if prepared.by_engine:
        columns = dict(zip(table.column_names, table.columns, strict=True))
        found = _by_engine(prepared, tuple(prepared.by_engine), columns, table.num_rows)
        pieces |= {name: [values] for name, values in found.items()}
    types = {feature.name: arrow_type(feature.dtype) for feature in prepared.features.on_demand}
    return {name: pa.chunked_array(arrays, types[name]) for name, arrays in pieces.items()}


def _evaluated(prepared: PreparedOnDemand, columns: Mapping[str, pa.Array], rows: int) -> dict[str, pa.Array]:
    row = {**prepared.constants, **columns}
    return {name: _value(prepared, name, evaluate, row, rows) for name, evaluate in prepared.direct.items()}


def _value(prepared: PreparedOnDemand, name: str, evaluate: Evaluate, row: Mapping[str, Datum], rows: int) -> pa.Array:
    try:
        value = evaluate(row)
    except pa.ArrowInvalid:
        return _by_engine(prepared, (name,), row, rows)[name]
    return pa.repeat(value, rows) if isinstance(value, pa.Scalar) else value


def _by_engine(
    prepared: PreparedOnDemand, names: Sequence[str], columns: Mapping[str, Datum], rows: int
) -> dict[str, pa.Array]:
    try:
        return _asked(prepared, names, columns, rows)
    except QueryError as error:
        if len(names) == 1:
            raise QueryError(f"On-demand feature '{names[0]}': {error.message}") from error
    # Together they are one query: alone, each says for itself what is wrong.
    return {name: array for one in names for name, array in _by_engine(prepared, (one,), columns, rows).items()}


def _asked(
    prepared: PreparedOnDemand, names: Sequence[str], columns: Mapping[str, Datum], rows: int
) -> dict[str, pa.Array]:
    chosen = tuple(feature for feature in prepared.features.on_demand if feature.name in names)
    features = replace(prepared.features, on_demand=chosen)
    read = {column.name: columns[column.name] for column in read_columns(features)}
    relation = pa.table({ROW: pa.array(range(rows), pa.int64()), **read})
    with prepared.engine.stream(Query(on_demand_rows(features), {ROWS: relation})) as reader:
        found = reader.read_all()
    return {feature.name: found[feature.name].cast(arrow_type(feature.dtype)).combine_chunks() for feature in chosen}
