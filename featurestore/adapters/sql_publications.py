"""Publications in a SQL database."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, Table, delete, insert, select

from featurestore.adapters import sql_tables as tables
from featurestore.adapters.sql_database import Database, reconnecting
from featurestore.ports.publications import Publication, Published, PushSpan, stands_in_place


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
                )
            )

    def record_push(self, store: str, table: str, pushed_at: datetime) -> None:
        of_table = _of(tables.push_span, store, table)
        with self._database.write(_lock(store, table)) as connection:
            found = connection.execute(select(tables.push_span).where(of_table)).first()
            first = pushed_at if found is None else min(found.first_at, pushed_at)
            last = pushed_at if found is None else max(found.last_at, pushed_at)
            connection.execute(delete(tables.push_span).where(of_table))
            connection.execute(
                insert(tables.push_span).values(store=store, table_name=table, first_at=first, last_at=last)
            )

    def published(self, store: str, table: str, *, newest: int | None = None) -> Published:
        with self._database.read() as connection:
            rows = connection.execute(_newest_first(store, table).limit(newest)).all()
            span = connection.execute(select(tables.push_span).where(_of(tables.push_span, store, table))).first()
        runs = tuple(_publication(row) for row in reversed(rows))
        return Published(runs, None if span is None else PushSpan(span.first_at, span.last_at))

    def forget(self, store: str, table: str) -> None:
        with self._database.write(_lock(store, table)) as connection:
            for kept in (tables.publication, tables.push_span):
                connection.execute(delete(kept).where(_of(kept, store, table)))


def _newest_first(store: str, table: str) -> Select[Any]:
    of_table = select(tables.publication).where(_of(tables.publication, store, table))
    return of_table.order_by(tables.publication.c.number.desc())


def _publication(row: Row[Any]) -> Publication:
    return Publication(row.filled_to, row.began_at, row.published_at, row.version, row.row_count, row.is_full)


def _lock(store: str, table: str) -> str:
    return f"publication:{store}:{table}"


def _of(kept: Table, store: str, table: str) -> ColumnElement[Any]:
    return (kept.c.store == store) & (kept.c.table_name == table)
