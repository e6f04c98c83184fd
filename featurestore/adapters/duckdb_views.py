"""Files as views of a DuckDB connection: each column as the relation's schema says it is read."""

from __future__ import annotations

from functools import reduce

import pyarrow as pa
from sqlglot import exp

from featurestore.adapters.addresses import engine_path
from featurestore.graph.arrow_types import dtype_of
from featurestore.graph.microseconds import floored_tree, has_nanoseconds
from featurestore.graph.sql_text import DIALECT
from featurestore.graph.sql_types import sized_list
from featurestore.ports.engine import FileGroups, ParquetFiles


def view_of(name: str, files: ParquetFiles | FileGroups) -> str:
    """A view, seen by one connection only, of the rows that files hold: the engine's own rules then say which name
    means what, in queries whose CTEs have the name of a relation too."""
    create = exp.Create(
        this=exp.Table(this=exp.to_identifier(name, quoted=True)),
        kind="VIEW",
        expression=_all_rows(files) if isinstance(files, FileGroups) else _rows(files),
        properties=exp.Properties(expressions=[exp.TemporaryProperty()]),
    )
    return create.sql(dialect=DIALECT)


def _rows(files: ParquetFiles) -> exp.Select:
    """The files' rows, as they are read."""
    changed = {field.name: tree for field in files.schema if (tree := _as_read(field)) is not None}
    replaced = [exp.alias_(tree, name, quoted=True) for name, tree in changed.items()]
    return exp.select(exp.Star(replace=replaced) if replaced else exp.Star()).from_(_scan(files))


def _all_rows(files: FileGroups) -> exp.Query:
    """The rows of all groups. Columns are spelled out, so that all have the same ones."""
    selects: list[exp.Query] = []
    for group in files.groups:
        fields = {field.name: field for field in group.schema}
        columns = [exp.alias_(_column_of(fields.get(column.name)), column.name, quoted=True) for column in files.schema]
        selects.append(exp.select(*columns).from_(_scan(group)))
    first, *others = selects
    return reduce(lambda rows, more: exp.union(rows, more, distinct=False, copy=False), others, first)


def _column_of(field: pa.Field | None) -> exp.Expr:
    if field is None:
        return exp.null()
    return _as_read(field) or exp.column(field.name, quoted=True)


def _scan(files: ParquetFiles) -> exp.Table:
    paths = exp.Array(expressions=[exp.Literal.string(engine_path(path)) for path in files.paths])
    options = [exp.PropertyEQ(this=exp.to_identifier("hive_partitioning"), expression=exp.false())]
    if files.by_name:
        options.append(exp.PropertyEQ(this=exp.to_identifier("union_by_name"), expression=exp.true()))
    return exp.Table(this=exp.Anonymous(this="read_parquet", expressions=[paths, *options]))


def _as_read(field: pa.Field) -> exp.Expr | None:
    """What a column of a file is read as; None where it is read as it is.

    Parquet files know lists only. That those of a column all have one size, which the engine's functions on vectors
    want to know, is in the relation's schema.
    """
    if has_nanoseconds(field.type):
        return floored_tree(exp.column(field.name, quoted=True), field.type)
    item = dtype_of(field.type.value_type) if pa.types.is_fixed_size_list(field.type) else None
    if item is None:
        return None
    return exp.cast(exp.column(field.name, quoted=True), sized_list(item, field.type.list_size))
