"""The batch engine: answers compiled trees over named relations, as an Arrow stream or as Parquet files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

import pyarrow as pa
from sqlglot import exp


@dataclass(frozen=True, slots=True)
class ParquetFiles:
    """Files that together are one relation. `schema` is what it has when there are no files."""

    paths: tuple[str, ...]
    schema: pa.Schema
    partitions: tuple[str, ...] = ()
    """Of a partitioned table: for each file the value of the partition column, as text."""
    by_name: bool = False
    """Whether the files differ in the order of their columns, or some lack a column, which is null there."""


@dataclass(frozen=True, slots=True)
class FileGroups:
    """Files that together are one relation although they write the same values in several ways: each group writes them
    in one, and has the columns of `schema` by their names, or lacks them, which is null there."""

    groups: tuple[ParquetFiles, ...]
    schema: pa.Schema


@dataclass(frozen=True, slots=True)
class RowScan:
    """Rows that an adapter reads itself, batch by batch, as often as an engine asks: each call of `open` begins anew.

    `open` is given the columns to read, in the order of `schema`. What it raises is what the query raises.
    """

    schema: pa.Schema
    open: Callable[[tuple[str, ...]], Iterator[pa.RecordBatch]]


Relation: TypeAlias = ParquetFiles | FileGroups | RowScan | pa.Table


@dataclass(frozen=True, slots=True)
class Query:
    """A SELECT as a sqlglot tree, and what each table name in it stands for. Values travel as literals of the tree, or
    as parameters (placeholders of the tree, by name) where the tree is used again with others."""

    tree: exp.Query
    relations: Mapping[str, Relation] = field(default_factory=dict)
    parameters: Mapping[str, int | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DataFile:
    """A Parquet file an engine wrote: its path below the folder it was told to write to."""

    path: str
    rows: int
    size: int
    partition: str
    """The value of the partition column, as text."""


@dataclass(frozen=True, slots=True)
class Binding:
    """What an engine makes of a query before it runs: the columns that it gives, and those that it reads of each
    relation, spelled as in its schema."""

    schema: pa.Schema
    reads: Mapping[str, frozenset[str]]


class Engine(Protocol):
    """DuckDB in this process, or a cluster. Raises QueryError, with the engine's reason, for a query it refuses.

    Queries see microseconds: where the schema of a relation has nanoseconds, the engine floors them as it reads.
    """

    def schema(self, query: Query) -> pa.Schema:
        """The columns the query would give, without running it."""
        ...

    def bind(self, query: Query) -> Binding:
        """The query's columns, and which columns of its relations it needs for them, by the engine's own account."""
        ...

    def volatile_parts(self, tree: exp.Query) -> tuple[str, ...]:
        """What in the query gives another value each time, or in another session: what reads a clock, chance, settings
        or who is asking, and samples of rows. As people write it; empty where rows alone decide."""
        ...

    def failure_of(self, query: Query, *, seconds: float) -> str | None:
        """Why the query fails on these rows, in the engine's words; None where it does not, or where that is not found
        out in so many seconds or in the engine's memory. Its rows are thrown away."""
        ...

    def stream(self, query: Query) -> pa.RecordBatchReader:
        """The rows, in batches, in the query's order. The reader keeps what it needs alive; close it when done."""
        ...

    def write(self, query: Query, folder: str, *, partition_by: str) -> tuple[DataFile, ...]:
        """Write the rows as Parquet into `folder`, a subfolder for each value of the column `partition_by`, which is
        left out of the files. Rows keep the query's order within a file."""
        ...
