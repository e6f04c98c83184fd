"""Tables and SELECTs of a PostgreSQL database as sources, through ADBC: rows come as Arrow, batch by batch.

A chunk's interval of event time goes into the query as bound parameters, so that the database reads that chunk's rows
alone. Connections are read-only, in UTC, and known by name: their addresses hold secrets, which no message repeats.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pyarrow as pa
from sqlglot import exp, parse
from sqlglot.errors import SqlglotError

from featurestore.adapters.event_times import EventColumn, span_of
from featurestore.adapters.postgres_columns import ReadColumn, as_read, read_columns, selected, with_infinities
from featurestore.errors import SourceError, UnsupportedOperation, suggestion
from featurestore.graph.arrow_types import is_moment
from featurestore.intervals import Interval
from featurestore.ports.engine import RowScan
from featurestore.ports.source_reader import SourcePart, SourceSnapshot
from featurestore.spec.source import SqlSource

if TYPE_CHECKING:
    from adbc_driver_postgresql import dbapi

_DIALECT = "postgres"
_ROWS = "source_rows"
_CONNECT_SECONDS = 10
_SESSION = ("SET TimeZone = 'UTC'", "SET default_transaction_read_only = on")
_EDGES = ("knownat.first", "knownat.last")
_PARAMETER = re.compile(r"([^&=]+)=([^&]*)")
_SEPARATOR = re.compile(r"[/?#@:\[\]]")
_LEAST_PIECE = 3


class PostgresSources:
    """Databases by the names of their connections."""

    def __init__(self, addresses: Mapping[str, str]) -> None:
        self._addresses = addresses

    def read(self, source: SqlSource, *, within: Interval | None = None) -> SourceSnapshot:
        with self._connected(source) as connection, connection.cursor() as cursor:
            columns = read_columns(cursor.adbc_execute_schema(_sql(exp.select("*").from_(_rows(source)))))
            schema = pa.schema([(column.name, column.kind) for column in columns])
            dated = source.event_timestamp in schema.names and is_moment(schema.field(source.event_timestamp).type)
            cursor.execute(_sql(_statistics(source, schema, by_day=dated)))
            parts = _parts(source, cursor.fetch_arrow_table())
        return SourceSnapshot(
            source=source.name,
            relation=RowScan(schema, lambda names: self._scan(source, columns, names, within if dated else None)),
            schema=schema,
            version=sha256("".join(f"{p.name}\0{p.version}\0" for p in parts).encode()).hexdigest()[:16],
            rows=sum(part.rows for part in parts),
            first=min((part.first for part in parts if part.first), default=None),
            last=max((part.last for part in parts if part.last), default=None),
            parts=parts,
        )

    def _scan(
        self, source: SqlSource, columns: tuple[ReadColumn, ...], names: tuple[str, ...], within: Interval | None
    ) -> Iterator[pa.RecordBatch]:
        known = {column.name: column for column in columns}
        wanted = [known[name] for name in names]
        query = exp.select(*selected(wanted)).from_(_rows(source))
        if within is not None:
            query = query.where(*_inside(source.event_timestamp, known[source.event_timestamp].kind))
        with self._connected(source) as connection, connection.cursor() as cursor:
            if within is not None:
                cursor.execute(_sql(_edges_kept()), (_told(within.start), _told(within.end)))
            cursor.execute(_sql(query))
            for batch in cursor.fetch_record_batch():
                yield from as_read(source.name, wanted, pa.Table.from_batches([batch])).to_batches()

    @contextmanager
    def _connected(self, source: SqlSource) -> Iterator[dbapi.Connection]:
        """A connection of the source. What goes wrong is told without the address."""
        address = self._address(source)
        try:
            from adbc_driver_postgresql import dbapi
        except ImportError as error:
            raise UnsupportedOperation(
                f"source '{source.name}' is in a database, and its driver is missing: pip install 'knownat[postgres]'"
            ) from error
        try:
            with dbapi.connect(_with_deadline(address)) as connection:
                with connection.cursor() as cursor:
                    for statement in _SESSION:
                        cursor.execute(statement)
                connection.commit()
                yield connection
        except (dbapi.Error, pa.ArrowException) as error:
            told = _without_secrets(str(error), address)
            raise SourceError(
                f"source '{source.name}' (connection '{source.connection}') can not be read: {told}"
            ) from None  # the driver's own error may quote the address

    def _address(self, source: SqlSource) -> str:
        address = self._addresses.get(source.connection)
        if not address:
            raise SourceError(
                f"source '{source.name}' is behind the connection '{source.connection}', which no setting knows. "
                f"Set KNOWNAT_CONNECTIONS__{source.connection.upper()}=postgresql://… in the environment. "
                + suggestion(source.connection, self._addresses)
            )
        if not address.startswith(("postgresql://", "postgres://")):
            raise SourceError(f"The connection '{source.connection}' is no address of the form postgresql://…")
        return address


def _rows(source: SqlSource) -> exp.Expr:
    """The source as a table expression: what its author wrote, read as one SELECT and nothing else."""
    try:
        if source.table is not None:
            table = exp.to_table(source.table, dialect=_DIALECT).transform(_as_name)
            return exp.alias_(table, _ROWS, quoted=True, table=True)
        trees = parse(source.query or "", dialect=_DIALECT)
    except SqlglotError as error:
        raise SourceError(f"source '{source.name}' is not SQL: {str(error).splitlines()[0]}") from error
    if len(trees) != 1 or not isinstance(trees[0], exp.Query):
        raise SourceError(f"source '{source.name}': query= is one SELECT, and this is something else")
    return trees[0].subquery(_ROWS)


def _as_name(node: exp.Expr) -> exp.Expr:
    """A name as PostgreSQL reads it, quoted so that none is a word of SQL: `user` would be whoever is connected."""
    if not isinstance(node, exp.Identifier) or node.args.get("quoted"):
        return node
    plain = "".join(letter.lower() if letter.isascii() else letter for letter in node.name)
    return exp.to_identifier(plain if node.name.isidentifier() else node.name, quoted=True)


def _statistics(source: SqlSource, schema: pa.Schema, *, by_day: bool) -> exp.Select:
    """How many rows there are, and the span of their times: for each day, or, without moments, for all."""
    counted = [exp.alias_(exp.Count(this=exp.Star()), "rows")]
    known = source.known_at if source.known_at in schema.names else None
    if not by_day:
        return exp.select(*counted).from_(_rows(source))
    moment = exp.column(source.event_timestamp, quoted=True)
    day = exp.cast(moment.copy(), "DATE")
    shown = exp.cast(day.copy(), "TEXT")  # Arrow has no day for infinity
    edges = [
        exp.alias_(exp.Min(this=moment.copy()), "first"),
        exp.alias_(exp.Max(this=moment.copy()), "last"),
        exp.alias_(exp.Max(this=exp.column(known, quoted=True)) if known else exp.null(), "known"),
    ]
    return (
        exp.select(exp.alias_(shown, "day"), *counted, *edges)
        .from_(_rows(source))
        .group_by(day.copy())
        .order_by(day.copy())
    )


def _parts(source: SqlSource, days: pa.Table) -> tuple[SourcePart, ...]:
    """The rows of each day, or all of them. Raises SourceError for an event timestamp in no year from 1 to 9999."""
    column = EventColumn(source.name, source.event_timestamp)
    edges = [with_infinities(days[name]) if name in days.column_names else None for name in ("first", "last")]
    rows = days.drop_columns([name for name in ("first", "last", "known") if name in days.column_names]).to_pylist()
    parts = []
    for number, row in enumerate(rows):
        spans = [None if edge is None else span_of(edge[number : number + 1], column) for edge in edges]
        first, last = (None if span is None else span[0] for span in spans)
        known = _shown(days["known"][number]) if "known" in days.column_names else None
        version = sha256(f"{row['rows']}\0{first}\0{last}\0{known}".encode()).hexdigest()[:16]
        parts.append(SourcePart(str(row.get("day") or "without a day"), version, int(row["rows"]), first, last))
    return tuple(parts)


def _shown(value: pa.Scalar) -> object:
    """When the last of a day's rows was known: a version changes with it. Infinity is no moment of Python's."""
    try:
        return value.as_py()
    except (OverflowError, ValueError):
        return value.value


def _edges_kept() -> exp.Select:
    """Sets the interval's edges, bound parameters, for this transaction. A query with parameters of its own would come
    as one batch of everything, where one that reads them streams."""
    return exp.select(
        *(
            exp.func("set_config", exp.Literal.string(name), exp.Parameter(this=exp.Literal.number(number)), exp.true())
            for number, name in enumerate(_EDGES, start=1)
        )
    )


def _inside(column: str, kind: pa.DataType) -> tuple[exp.Expr, exp.Expr]:
    """Whether a row may have happened in the interval, in a form that an index on the column answers."""
    sql_type = "DATE" if pa.types.is_date(kind) else "TIMESTAMP" if kind.tz is None else "TIMESTAMPTZ"
    first, last = (exp.cast(exp.func("current_setting", exp.Literal.string(name)), sql_type) for name in _EDGES)
    moment = exp.column(column, quoted=True)
    return moment >= first, moment.copy() <= last


def _told(moment: datetime) -> str:
    """In UTC, without a zone: the session's is UTC."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")


def _sql(tree: exp.Expr) -> str:
    return tree.sql(dialect=_DIALECT)


def _with_deadline(address: str) -> str:
    if "connect_timeout=" in address:
        return address
    return f"{address}{'&' if '?' in address else '?'}connect_timeout={_CONNECT_SECONDS}"


def _without_secrets(message: str, address: str) -> str:
    """The first lines of the driver's message, without the address or a part of it that is secret."""
    for secret in _secrets(address):
        message = message.replace(secret, "…")
    return " ".join(message.split("\n\nQuery was:", 1)[0].split())


def _secrets(address: str) -> list[str]:
    """The address, its passwords, and pieces of these: where a password is not percent-encoded, the driver takes a
    piece of it for a host or a port and tells that. A parser of URLs would refuse such an address, and tell it too."""
    before, _, query = address.partition("?")
    users = (text.partition("://")[2].rpartition("@")[0] for text in (address, before))
    passwords = [user.partition(":")[2] for user in users]
    passwords += [value for name, value in _PARAMETER.findall(query) if "password" in name.lower()]
    pieces = [piece for password in passwords for piece in _SEPARATOR.split(password) if len(piece) >= _LEAST_PIECE]
    return [address, *(told for secret in (*filter(None, passwords), *pieces) for told in (secret, unquote(secret)))]
