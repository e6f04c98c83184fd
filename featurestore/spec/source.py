"""Sources: where raw rows come from, when they happened, and when they could be known.

The kinds are a closed set, `Source`. What they share is declared once, in `DatedRows`; where rows are read from is
each kind's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum

from featurestore.errors import InvalidDeclaration
from featurestore.spec.dtypes import DType, Kind
from featurestore.spec.names import check_list, check_name, declaration_site, parse_duration

DeclaredColumns = tuple[tuple[str, DType], ...]


class RemovedRows(Enum):
    """What it means that rows which a view has stored are gone from its source."""

    HOLD = "hold"
    """Nobody knows: the stored rows stay, and whoever fills the view is told."""
    FOLLOW = "follow"
    """The source is the truth: what is gone from it was never there."""
    KEEP = "keep"
    """What was known stays known as it was then. A row is another, or gone, from when that was seen."""


@dataclass(frozen=True, slots=True, init=False)
class DatedRows:
    """What every source says of its rows.

    `event_timestamp` names the column that says when a row happened (UTC; a naive timestamp is read as UTC).
    `known_at` names the column that says when the system could know it; without one, a row is known `delay` after it
    happened. `removed_rows` says what it means when rows that were stored are gone: "hold" (they stay, and it is told),
    "follow" (they go) or "keep" (they count until it was seen, and what is updated counts as it was until then).
    """

    name: str
    event_timestamp: str
    known_at: str | None
    delay: timedelta
    removed_rows: RemovedRows
    description: str
    owner: str
    declared_at: str = field(compare=False, repr=False)

    def _declare(
        self,
        name: str,
        event_timestamp: str,
        known_at: str | None,
        delay: str | timedelta,
        described: tuple[str, str],
        *,
        removed_rows: str | RemovedRows = RemovedRows.HOLD,
        **places: object,
    ) -> None:
        """Check and set what all kinds share, then the kind's own fields."""
        site = declaration_site()
        _check_text(f"{site}: source '{name}'", "event_timestamp", event_timestamp)
        parsed_delay = parse_duration(f"delay of source '{name}'", delay)
        if known_at is not None and parsed_delay:
            raise InvalidDeclaration(f"{site}: source '{name}' has known_at and delay: declare one of them")
        shared = {
            "name": check_name("source", name),
            "event_timestamp": event_timestamp,
            "known_at": known_at,
            "delay": parsed_delay,
            "removed_rows": _removed_rows(name, removed_rows),
            "description": described[0],
            "owner": described[1],
            "declared_at": site,
        }
        for attribute, value in {**shared, **places}.items():
            object.__setattr__(self, attribute, value)


@dataclass(frozen=True, slots=True, init=False)
class ParquetSource(DatedRows):
    """Parquet files: one file, a folder or a glob, relative to the data folder of the settings, or `s3://bucket/path`.

    `partitions` declares the columns that folders called `key=value` hold, with their types; a folder is then read
    with all its subfolders. Files may have their columns in any order; a column that some files lack is null there.
    """

    path: str
    partitions: DeclaredColumns

    def __init__(
        self,
        name: str,
        *,
        path: str,
        event_timestamp: str,
        known_at: str | None = None,
        delay: str | timedelta = timedelta(0),
        removed_rows: str | RemovedRows = RemovedRows.HOLD,
        partitions: Mapping[str, DType] | None = None,
        description: str = "",
        owner: str = "",
    ) -> None:
        _check_text(f"{declaration_site()}: source '{name}'", "path", path)
        columns = _written_as_text(name, "partitions", _declared_columns(name, "partitions", partitions or {}))
        self._declare(
            name, event_timestamp, known_at, delay, (description, owner), path=path, partitions=columns,
            removed_rows=removed_rows,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, init=False)
class CsvSource(DatedRows):
    """CSV files: one file, a folder or a glob, relative to the data folder of the settings, or `s3://bucket/path`.

    `columns` declares which columns are read, and their types. Without it, all columns are, with types that are
    inferred from every value of every file. A field whose text is one of `null_text` is null.
    """

    path: str
    columns: DeclaredColumns
    header: bool
    delimiter: str
    null_text: tuple[str, ...]

    def __init__(
        self,
        name: str,
        *,
        path: str,
        event_timestamp: str,
        columns: Mapping[str, DType] | None = None,
        header: bool = True,
        delimiter: str = ",",
        null_text: str | Sequence[str] = "",
        known_at: str | None = None,
        delay: str | timedelta = timedelta(0),
        removed_rows: str | RemovedRows = RemovedRows.HOLD,
        description: str = "",
        owner: str = "",
    ) -> None:
        where = f"{declaration_site()}: source '{name}'"
        _check_text(where, "path", path)
        if not header and not columns:
            raise InvalidDeclaration(f"{where} has no header, so it needs columns= with a name and type for each")
        if not isinstance(delimiter, str) or len(delimiter) != 1 or not delimiter.isascii() or delimiter in '"\r\n':
            raise InvalidDeclaration(f"{where}: delimiter is one character such as ',' or '\\t', got {delimiter!r}")
        texts = (null_text,) if isinstance(null_text, str) else check_list(f"null_text of source '{name}'", null_text)
        if not all(isinstance(text, str) for text in texts):
            raise InvalidDeclaration(f"{where}: null_text is a text or a list of texts, got {null_text!r}")
        declared = _written_as_text(name, "columns", _declared_columns(name, "columns", columns or {}))
        self._declare(
            name, event_timestamp, known_at, delay, (description, owner), path=path, header=bool(header),
            delimiter=delimiter, null_text=texts, columns=declared, removed_rows=removed_rows,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, init=False)
class DeltaSource(DatedRows):
    """A Delta table: a folder relative to the data folder of the settings, or `s3://bucket/path`.

    Deletion vectors, partition columns and column mapping are respected. `version` reads the table as it was at that
    version; without it, the newest is read.
    """

    path: str
    version: int | None

    def __init__(
        self,
        name: str,
        *,
        path: str,
        event_timestamp: str,
        version: int | None = None,
        known_at: str | None = None,
        delay: str | timedelta = timedelta(0),
        removed_rows: str | RemovedRows = RemovedRows.HOLD,
        description: str = "",
        owner: str = "",
    ) -> None:
        where = f"{declaration_site()}: source '{name}'"
        _check_text(where, "path", path)
        if version is not None and (not isinstance(version, int) or isinstance(version, bool) or version < 0):
            raise InvalidDeclaration(f"{where}: version is a Delta version such as 12, got {version!r}")
        self._declare(
            name, event_timestamp, known_at, delay, (description, owner), path=path, version=version,
            removed_rows=removed_rows,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, init=False)
class SqlSource(DatedRows):
    """A table of a PostgreSQL database, or a SELECT. `connection` names one of `[connections]` in the settings, whose
    address belongs into the environment: `KNOWNAT_CONNECTIONS__SHOP=postgresql://…`."""

    connection: str
    table: str | None
    query: str | None

    def __init__(
        self,
        name: str,
        *,
        connection: str,
        event_timestamp: str,
        table: str | None = None,
        query: str | None = None,
        known_at: str | None = None,
        delay: str | timedelta = timedelta(0),
        removed_rows: str | RemovedRows = RemovedRows.HOLD,
        description: str = "",
        owner: str = "",
    ) -> None:
        where = f"{declaration_site()}: source '{name}'"
        if isinstance(connection, str) and "://" in connection:
            raise InvalidDeclaration(
                f"{where}: connection is the name of one of [connections] in the settings, and never an address: "
                "definitions hold no secrets"
            )
        check_name("connection", connection)
        if (table is None) == (query is None):
            raise InvalidDeclaration(f"{where} needs either table= or query=")
        _check_text(where, "table" if query is None else "query", table if query is None else query)
        self._declare(
            name, event_timestamp, known_at, delay, (description, owner),
            connection=connection.lower(), table=table, query=query, removed_rows=removed_rows,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, init=False)
class FrameSource(DatedRows):
    """Rows that a notebook or a job pushes: `project.push(source, frame, key=…)`. They are kept in a Delta table of
    the project. `columns` declares every column of a pushed frame and its type. What was pushed is never gone."""

    columns: DeclaredColumns

    def __init__(
        self,
        name: str,
        *,
        columns: Mapping[str, DType],
        event_timestamp: str,
        known_at: str | None = None,
        delay: str | timedelta = timedelta(0),
        description: str = "",
        owner: str = "",
    ) -> None:
        where = f"{declaration_site()}: source '{name}'"
        declared = _declared_columns(name, "columns", columns)
        if sized := [column for column, dtype in declared if dtype.kind is Kind.EMBEDDING]:
            raise InvalidDeclaration(
                f"{where}: column '{sized[0]}' is an Embedding, and pushed rows are kept in Delta tables, which know "
                "lists of any size only: declare List(Float32), and CAST it to FLOAT[n] in a view"
            )
        names = [column for column, _ in declared]
        for what, column in (("event_timestamp", event_timestamp), ("known_at", known_at)):
            if column is not None and column not in names:
                raise InvalidDeclaration(f"{where}: {what} is '{column}', which is not one of its columns")
        self._declare(name, event_timestamp, known_at, delay, (description, owner), columns=declared)


Source = ParquetSource | CsvSource | DeltaSource | SqlSource | FrameSource
"""The kinds of source there are."""


def _removed_rows(source: str, value: object) -> RemovedRows:
    if isinstance(value, RemovedRows):
        return value
    if value not in [one.value for one in RemovedRows]:
        raise InvalidDeclaration(
            f"{declaration_site()}: removed_rows of source '{source}' is 'hold', 'follow' or 'keep', got {value!r}"
        )
    return RemovedRows(value)


def _check_text(where: str, what: str, value: object) -> None:
    if not isinstance(value, str) or not value:
        raise InvalidDeclaration(f"{where} needs {what}=, a text that is not empty")


def _declared_columns(name: str, what: str, columns: Mapping[str, DType]) -> DeclaredColumns:
    where = f"{declaration_site()}: {what} of source '{name}'"
    if not isinstance(columns, Mapping):
        raise InvalidDeclaration(f"{where} is a mapping such as {{'shop': String}}, got {repr(columns)[:80]}")
    seen: set[str] = set()
    for column, dtype in columns.items():
        if not isinstance(column, str) or not column:
            raise InvalidDeclaration(f"{where}: {column!r} can not name a column")
        if not isinstance(dtype, DType):
            raise InvalidDeclaration(f"{where}: column '{column}' needs a type such as Float64, got {dtype!r}")
        if column.lower() in seen:
            raise InvalidDeclaration(f"{where}: '{column}' is there twice; capital letters make no difference")
        seen.add(column.lower())
    return tuple(columns.items())


def _written_as_text(name: str, what: str, columns: DeclaredColumns) -> DeclaredColumns:
    """The columns, none of which is of a type that one field of text can not hold."""
    for column, dtype in columns:
        if dtype.kind in (Kind.LIST, Kind.EMBEDDING):
            raise InvalidDeclaration(
                f"{declaration_site()}: {what} of source '{name}': column '{column}' can not be {dtype.value}, because "
                "it is read from text: declare it as String, and take it apart in a view's SQL"
            )
    return columns
