"""Spines: checked, and brought into the shape that the point-in-time query reads. The caller's table stays as it is."""

from __future__ import annotations

from typing import assert_never

import pyarrow as pa
import pyarrow.compute as pc

from featurestore.errors import SpineError, suggestion
from featurestore.graph.arrow_types import arrow_type, is_list, is_moment
from featurestore.graph.resolved import Column, FeatureSet
from featurestore.ports.joins import MOMENT
from featurestore.spec.dtypes import DType, Kind

_ANY_INTEGER = pa.decimal128(20, 0)


def check_spine(spine: pa.Table, features: FeatureSet, *, timestamp: str, label: str | None) -> None:
    """Raise SpineError, with everything that is wrong, for a spine these features can not be joined to."""
    names = spine.column_names
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise SpineError(f"The spine has two columns named '{twice[0]}'. Rename one.")
    problems = _timestamp_problems(spine, timestamp)
    if label is not None and label not in names:
        problems.append(f"it has no label column '{label}'. {suggestion(label, names)}")
    for kind, columns in (("join key", features.join_columns), ("request input", features.request_inputs)):
        problems += [problem for column in columns for problem in _column_problems(spine, column, kind)]
    problems += [
        f"its column '{output.name}' has the name of the feature {output.reference}: rename it"
        for output in features.outputs
        if output.name in names
    ]
    if problems:
        listing = "\n".join(f"  {problem}" for problem in problems)
        raise SpineError(f"The spine can not be used:\n{listing}")


def as_kept(spine: pa.Table) -> pa.Table:
    """The spine with the types that its kept file gives back: Parquet has no seconds, and its own names within lists.
    What is pulled from it now is then what is pulled from the file when the dataset is rebuilt."""
    import pyarrow.parquet as pq  # 4 MB, which a process that only looks features up never needs

    file = pa.BufferOutputStream()
    try:
        pq.write_table(spine.schema.empty_table(), file)
    except pa.ArrowNotImplementedError as error:
        raise SpineError(f"The spine can not be kept as Parquet, leave that column out: {error}") from error
    return spine.cast(pq.read_schema(pa.BufferReader(file.getvalue())).remove_metadata())


def spine_relation(spine: pa.Table, features: FeatureSet, *, timestamp: str) -> pa.Table:
    """What joins and on-demand features read of a spine: the moment in UTC, join keys, request inputs."""
    needed = {column.name: column for column in (*features.join_columns, *features.request_inputs)}
    arrays = [
        as_moments(spine[timestamp]),
        *(_cast(spine[column.name], column) for column in needed.values()),
    ]
    return pa.table(arrays, names=[MOMENT, *needed])


def as_moments(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Any timestamps or dates as UTC with microseconds: naive ones are read as UTC, nanoseconds are floored."""
    kind = values.type
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        values = pc.floor_temporal(values, unit="microsecond")
        values = values.cast(pa.timestamp("us", tz=kind.tz))
    elif pa.types.is_timestamp(kind) and kind.unit != "us":
        values = values.cast(pa.timestamp("us", tz=kind.tz))
    return values.cast(pa.timestamp("us", tz="UTC"))


def _timestamp_problems(spine: pa.Table, timestamp: str) -> list[str]:
    if timestamp not in spine.column_names:
        offered = suggestion(timestamp, spine.column_names)
        return [f"it has no timestamp column '{timestamp}', which says when each row asks (timestamp=). {offered}"]
    if not is_moment(spine.schema.field(timestamp).type):
        return [f"its timestamp column '{timestamp}' is {spine.schema.field(timestamp).type}, not a timestamp"]
    if missing := spine[timestamp].null_count:
        return [f"{missing} rows have no '{timestamp}'"]
    return []


def _column_problems(spine: pa.Table, column: Column, kind: str) -> list[str]:
    if column.name not in spine.column_names:
        return [
            f"it has no {kind} '{column.name}' ({column.dtype.value}). {suggestion(column.name, spine.column_names)}"
        ]
    found = spine.schema.field(column.name).type
    if not _fits(found, column.dtype):
        return [f"its {kind} '{column.name}' is {found}, and {column.dtype.value} is needed: convert it"]
    try:
        values = _cast(spine[column.name], column)
    except pa.ArrowException as error:
        return [f"its {kind} '{column.name}' does not fit {column.dtype.value}: {error}"]
    if column.dtype.kind is Kind.EMBEDDING and (lacking := pc.list_flatten(values).null_count):
        return [f"its {kind} '{column.name}' lacks {lacking} items: an embedding has no null items"]
    return []


def _fits(found: pa.DataType, dtype: DType) -> bool:  # noqa: C901, PLR0911 - one answer for each kind
    """Whether values of the type can be read as ours without a guess: widening, or the same kind of thing."""
    if pa.types.is_null(found):
        return True
    if pa.types.is_dictionary(found):
        return _fits(found.value_type, dtype)
    match dtype.kind:
        case Kind.INT8 | Kind.INT16 | Kind.INT32 | Kind.INT64:
            return bool(pa.types.is_integer(found))
        case Kind.FLOAT32 | Kind.FLOAT64:
            return bool(pa.types.is_integer(found) or pa.types.is_floating(found))
        case Kind.STRING:
            return bool(pa.types.is_string(found) or pa.types.is_large_string(found) or pa.types.is_string_view(found))
        case Kind.TIMESTAMP:
            return bool(pa.types.is_timestamp(found))
        case Kind.DATE:
            return bool(pa.types.is_date32(found) or pa.types.is_timestamp(found))
        case Kind.BOOL:
            return bool(pa.types.is_boolean(found))
        case Kind.DECIMAL:
            return bool(pa.types.is_integer(found) or pa.types.is_decimal(found))
        case Kind.LIST:
            assert dtype.item is not None  # noqa: S101 - a list has items
            return (is_list(found) or pa.types.is_fixed_size_list(found)) and _fits(found.value_type, dtype.item)
        case Kind.EMBEDDING:
            may_have_size = is_list(found) or (pa.types.is_fixed_size_list(found) and found.list_size == dtype.size)
            return may_have_size and _fits(found.value_type, DType.FLOAT32)
        case _:
            assert_never(dtype.kind)


def _cast(values: pa.ChunkedArray, column: Column) -> pa.ChunkedArray:
    if column.dtype.kind is Kind.TIMESTAMP:
        return as_moments(values)
    if column.dtype.kind is Kind.DECIMAL and pa.types.is_integer(values.type):
        values = values.cast(_ANY_INTEGER)  # room for each value, where Arrow asks for room for every integer
    return values.cast(arrow_type(column.dtype), safe=True)
