"""Publications in a SQL database."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pyarrow as pa
from sqlalchemy import ColumnElement, Connection, Row, Select, Table, delete, func, insert, select, update

from featurestore.adapters import sql_tables as tables
from featurestore.adapters.sql_database import Database, reconnecting
from featurestore.ports.publications import (
    Publication,
    Published,
    Push,
    PushSpan,
    first_and_last,
    stands_in_place,
)


@reconnecting
class SqlPublications:
    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, store: str, table: str, run: Publication) -> None:
        with self._database.write(_lock(store, table)) as connection:
            before = connection.execute(_newest_first(store, table).limit(1)).first() if run.changed_nothing else None
            if before is not None and stands_in_place(run, of=_publication(before)):
                number = tables.publication.c.number == before.number
                connection.execute(delete(tables.publication).where(number))
            connection.execute(
                insert(tables.publication).values(
                    store=store,
                    table_name=table,
                    filled_to=run.filled_to,
                    began_at=run.began_at,
                    published_at=run.published_at,
                    version=run.version,
                    row_count=run.rows,
                    is_full=run.is_full,
                    copied_to=run.copied_to,
                    copied_from=run.copied_from,
                    filled_at=run.filled_at,
                )
            )

    def record_push(self, store: str, table: str, push: Push) -> None:
        with self._database.write(_lock(store, table)) as connection:
            connection.execute(
                insert(tables.push).values(
                    store=store,
                    table_name=table,
                    pushed_at=push.at,
                    is_online=push.is_online,
                    is_repeated=push.is_repeated,
                    stamps=push.stamps or None,
                    named_rows=None if push.rows is None else _bytes(push.rows),
                )
            )

    def published(self, store: str, table: str, *, newest: int | None = None) -> Published:
        with self._database.read() as connection:
            rows = connection.execute(_newest_first(store, table).limit(newest)).all()
            span = connection.execute(select(tables.push_span).where(_of(tables.push_span, store, table))).first()
            pushes = (_pushes if newest is None else _first_and_last)(connection, store, table)
        runs = tuple(map(_publication, reversed(rows)))
        return Published(runs, None if span is None else PushSpan(span.first_at, span.last_at), pushes)

    def forget_after(self, store: str, table: str, moment: datetime) -> None:
        runs, pushes, spans = tables.publication, tables.push, tables.push_span
        of_span = _of(spans, store, table)
        with self._database.write(_lock(store, table)) as connection:
            connection.execute(delete(runs).where(_of(runs, store, table) & (runs.c.published_at > moment)))
            connection.execute(delete(pushes).where(_of(pushes, store, table) & (pushes.c.pushed_at > moment)))
            connection.execute(delete(spans).where(of_span & (spans.c.first_at > moment)))
            connection.execute(update(spans).where(of_span & (spans.c.last_at > moment)).values(last_at=moment))

    def forget(self, store: str, table: str) -> None:
        with self._database.write(_lock(store, table)) as connection:
            for kept in (tables.publication, tables.push, tables.push_span):
                connection.execute(delete(kept).where(_of(kept, store, table)))


def _newest_first(store: str, table: str) -> Select[Any]:
    of_table = select(tables.publication).where(_of(tables.publication, store, table))
    return of_table.order_by(tables.publication.c.number.desc())


def _publication(row: Row[Any]) -> Publication:
    return Publication(
        row.filled_to,
        row.began_at,
        row.published_at,
        row.version,
        row.row_count,
        row.is_full,
        row.copied_to,
        row.copied_from,
        row.filled_at,
    )


def _pushes(connection: Connection, store: str, table: str) -> tuple[Push, ...]:
    in_order = select(tables.push).where(_of(tables.push, store, table)).order_by(tables.push.c.number)
    return tuple(
        Push(
            row.pushed_at,
            row.stamps or (),
            None if row.named_rows is None else pa.ipc.open_stream(row.named_rows).read_all(),
            row.is_online,
            row.is_repeated,
        )
        for row in connection.execute(in_order)
    )


def _first_and_last(connection: Connection, store: str, table: str) -> tuple[Push, ...]:
    pushed_at = tables.push.c.pushed_at
    online = _of(tables.push, store, table) & tables.push.c.is_online
    first, last = connection.execute(select(func.min(pushed_at), func.max(pushed_at)).where(online)).one()
    return () if first is None else first_and_last(PushSpan(first, last))


def _bytes(rows: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(rows)
    return bytes(sink.getvalue())


def _lock(store: str, table: str) -> str:
    return f"publication:{store}:{table}"


def _of(kept: Table, store: str, table: str) -> ColumnElement[Any]:
    return (kept.c.store == store) & (kept.c.table_name == table)
