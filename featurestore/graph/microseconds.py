"""Microseconds, which is what moments have: nanoseconds are floored, also before 1970, where cutting digits off would
round up. One function says it of Arrow's values and one of the engine's, so that all ways in agree."""

from __future__ import annotations

from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from featurestore.graph.sql_text import DIALECT

_Rows = TypeVar("_Rows", pa.Table, pa.RecordBatch)
_PER_MICROSECOND = 1000
_LAST_NANOSECOND = (1 << 63) - 1
"""In 2262. DuckDB takes it, and its opposite, for an infinity."""


def floored_type(kind: pa.DataType) -> pa.DataType:
    """The type with microseconds wherever it has nanoseconds, within lists, structs and maps too."""
    if not has_nanoseconds(kind):
        return kind
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", kind.tz)
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return floored_type(kind.value_type)
    return _floored_nested(kind)


def has_nanoseconds(kind: pa.DataType) -> bool:
    """Whether moments of this type, or somewhere within it, have nanoseconds."""
    if pa.types.is_timestamp(kind):
        return bool(kind.unit == "ns")
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return has_nanoseconds(kind.value_type)
    return any(has_nanoseconds(field.type) for field in _fields(kind))


def floored_schema(schema: pa.Schema) -> pa.Schema:
    return pa.schema([field.with_type(floored_type(field.type)) for field in schema])


def floored_rows(rows: _Rows) -> _Rows:
    """The rows with every moment floored to its microsecond."""
    for index, field in enumerate(rows.schema):
        if has_nanoseconds(field.type):
            column = field.with_type(floored_type(field.type))
            rows = rows.set_column(index, column, floored(rows.column(index)))
    return rows


def floored(values: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """The values with every moment floored to its microsecond; what has no nanoseconds comes back as it is."""
    if not has_nanoseconds(values.type):
        return values
    if isinstance(values, pa.ChunkedArray):
        return pa.chunked_array([floored(chunk) for chunk in values.chunks], floored_type(values.type))
    return _floored(values)


def floored_tree(value: exp.Expr, kind: pa.DataType) -> exp.Expr:
    """The value, of a type with nanoseconds, with every moment floored to its microsecond by the engine."""
    return _floored_tree(value, kind, 0)


def _fields(kind: pa.DataType) -> list[pa.Field]:
    """What a nested type is made of."""
    if pa.types.is_struct(kind):
        return [kind.field(index) for index in range(kind.num_fields)]
    if pa.types.is_map(kind):
        return [kind.key_field, kind.item_field]
    nested = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return [kind.value_field] if nested else []


def _floored_nested(kind: pa.DataType) -> pa.DataType:
    fields = [field.with_type(floored_type(field.type)) for field in _fields(kind)]
    if pa.types.is_struct(kind):
        return pa.struct(fields)
    if pa.types.is_map(kind):
        return pa.map_(*fields, keys_sorted=kind.keys_sorted)
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(fields[0], kind.list_size)
    return pa.large_list(fields[0]) if pa.types.is_large_list(kind) else pa.list_(fields[0])


def _floored(array: pa.Array) -> pa.Array:
    kind = array.type
    if pa.types.is_timestamp(kind):
        return _floored_moments(array)
    if pa.types.is_dictionary(kind):
        return floored(array.dictionary_decode())
    if pa.types.is_run_end_encoded(kind):
        return floored(pc.run_end_decode(array))
    if pa.types.is_struct(kind):
        parts = [floored(part) for part in array.flatten()]
        return pa.StructArray.from_arrays(parts, fields=_fields(floored_type(kind)), mask=array.is_null())
    if pa.types.is_map(kind):
        entries = [floored(array.keys), floored(array.items)]
        children = [pa.StructArray.from_arrays(entries, fields=_fields(floored_type(kind)))]
    else:
        children = [floored(array.values)]
    own = array.buffers()[: 1 if pa.types.is_fixed_size_list(kind) else 2]
    return pa.Array.from_buffers(floored_type(kind), len(array), own, offset=array.offset, children=children)


def _floored_moments(array: pa.Array) -> pa.Array:
    nanoseconds = array.view(pa.int64())
    cut = pc.divide(nanoseconds, _PER_MICROSECOND)
    was_before = pc.greater(pc.multiply(cut, _PER_MICROSECOND), nanoseconds)
    return pc.subtract(cut, was_before.cast(pa.int64())).view(floored_type(array.type))


def _floored_tree(value: exp.Expr, kind: pa.DataType, depth: int) -> exp.Expr:
    if not has_nanoseconds(kind):
        return value
    if pa.types.is_timestamp(kind):
        return _floored_moment(value, has_zone=kind.tz is not None)
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return _floored_tree(value, kind.value_type, depth)
    if pa.types.is_struct(kind):
        parts = [(field.name, _floored_tree(_part(value, field.name), field.type, depth)) for field in _fields(kind)]
        return exp.Case(ifs=[exp.If(this=value.is_(exp.null()), true=exp.null())], default=_struct(parts))
    item = exp.column(f"item_{depth}", quoted=True)
    if pa.types.is_map(kind):
        names = ("key", "value")
        parts = [
            (name, _floored_tree(_part(item, name), field.type, depth + 1))
            for name, field in zip(names, _fields(kind), strict=True)
        ]
        return _function("MAP_FROM_ENTRIES", _each(_function("MAP_ENTRIES", value), item, _struct(parts)))
    return _each(value, item, _floored_tree(item, kind.value_type, depth + 1))


def _floored_moment(value: exp.Expr, *, has_zone: bool) -> exp.Expr:
    edges = {"infinity": _number(_LAST_NANOSECOND), "-infinity": _number(-_LAST_NANOSECOND)}
    edge = exp.Case(
        this=exp.cast(value.copy(), "VARCHAR", dialect=DIALECT),
        ifs=[exp.If(this=exp.Literal.string(name), true=number) for name, number in edges.items()],
    )
    nanoseconds = exp.Coalesce(this=_function("EPOCH_NS", value), expressions=[edge])
    thousand = exp.Literal.number(_PER_MICROSECOND)
    is_before = exp.Paren(this=exp.Mod(this=nanoseconds.copy(), expression=thousand.copy()) < exp.Literal.number(0))
    cut = exp.IntDiv(this=nanoseconds, expression=thousand)
    microseconds = exp.Sub(this=cut, expression=exp.cast(is_before, "BIGINT", dialect=DIALECT))
    return _function("MAKE_TIMESTAMPTZ" if has_zone else "MAKE_TIMESTAMP", microseconds)


def _number(value: int) -> exp.Expr:
    number = exp.Literal.number(abs(value))
    return exp.Neg(this=number) if value < 0 else number


def _each(values: exp.Expr, item: exp.Column, to: exp.Expr) -> exp.Expr:
    return _function("LIST_TRANSFORM", values, exp.Lambda(this=to, expressions=[item.this.copy()]))


def _struct(parts: list[tuple[str, exp.Expr]]) -> exp.Expr:
    return exp.Struct(
        expressions=[exp.PropertyEQ(this=exp.to_identifier(name, quoted=True), expression=part) for name, part in parts]
    )


def _part(struct: exp.Expr, name: str) -> exp.Expr:
    return _function("STRUCT_EXTRACT", struct, exp.Literal.string(name))


def _function(name: str, *arguments: exp.Expr) -> exp.Expr:
    return exp.Anonymous(this=name, expressions=[argument.copy() for argument in arguments])
