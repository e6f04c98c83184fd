"""The tables' commits in the SQL database that keeps the state: log entries whole, and a row for each data file."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from featurestore.adapters.sql_database import Database, reconnecting
from featurestore.adapters.sql_tables import data_file, table_commit
from featurestore.ports.commits import RecordedFile, TableChange, TableCommit

_MANY = 500
"""How many values go into one statement: databases cap its parameters."""


@reconnecting
class SqlCommits:
    """A CommitState and a CommitUpkeep."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def last(self, table: str) -> TableCommit | None:
        newest = select(table_commit).where(table_commit.c.table_name == table)
        with self._database.read() as connection:
            row = connection.execute(newest.order_by(table_commit.c.version.desc()).limit(1)).first()
        return None if row is None else _commit(row)

    def commits(self, table: str) -> tuple[TableCommit, ...]:
        of_table = select(table_commit).where(table_commit.c.table_name == table).order_by(table_commit.c.version)
        with self._database.read() as connection:
            return tuple(_commit(row) for row in connection.execute(of_table))

    def files(self, table: str) -> tuple[RecordedFile, ...]:
        of_table = select(data_file).where(data_file.c.table_name == table)
        with self._database.read() as connection:
            files = [_file(row) for row in connection.execute(of_table)]
        # Sorted here, because databases sort text each in their own way.
        return tuple(sorted(files, key=lambda file: file.path))

    def record(self, table: str, changes: Sequence[TableChange]) -> None:
        newest = select(func.max(table_commit.c.version)).where(table_commit.c.table_name == table)
        with self._database.write(f"commits:{table}") as connection:
            known: int | None = connection.execute(newest).scalar_one()
            for change in changes:
                if known is None or change.version > known:
                    _record(connection, table, change)

    def tables(self) -> tuple[str, ...]:
        with self._database.read() as connection:
            return tuple(sorted(connection.execute(select(table_commit.c.table_name).distinct()).scalars()))

    def take_digest(self, table: str, path: str, sha256: str) -> None:
        without = (data_file.c.table_name == table) & (data_file.c.path == path) & data_file.c.sha256.is_(None)
        with self._database.write(f"commits:{table}") as connection:
            connection.execute(update(data_file).where(without).values(sha256=sha256))

    def forget_files(self, table: str, paths: Collection[str]) -> None:
        listed = sorted(paths)
        with self._database.write(f"commits:{table}") as connection:
            for start in range(0, len(listed), _MANY):
                some = data_file.c.path.in_(listed[start : start + _MANY])
                connection.execute(delete(data_file).where((data_file.c.table_name == table) & some))

    def forget(self, table: str) -> None:
        with self._database.write(f"commits:{table}") as connection:
            connection.execute(delete(table_commit).where(table_commit.c.table_name == table))
            connection.execute(delete(data_file).where(data_file.c.table_name == table))


def _record(connection: Connection, table: str, change: TableChange) -> None:
    """In the order of the log: which files are left decides how many rows there are."""
    of_table = data_file.c.table_name == table
    for start in range(0, len(change.removed), _MANY):
        some = data_file.c.path.in_(change.removed[start : start + _MANY])
        connection.execute(update(data_file).where(of_table & some).values(removed_in=change.version))
    added = [
        {"table_name": table, "path": file.path, "size": file.size, "row_count": file.rows, "sha256": file.sha256,
         "added_in": change.version}
        for file in change.added
    ]  # fmt: skip
    if added:
        connection.execute(insert(data_file), added)
    rows = select(func.coalesce(func.sum(data_file.c.row_count), 0)).where(of_table & data_file.c.removed_in.is_(None))
    connection.execute(
        insert(table_commit).values(
            table_name=table,
            version=change.version,
            row_count=int(connection.execute(rows).scalar_one()),
            content=change.content,
        )
    )


def _commit(row: Row[Any]) -> TableCommit:
    return TableCommit(row.version, row.row_count, row.content)


def _file(row: Row[Any]) -> RecordedFile:
    return RecordedFile(row.path, row.size, row.row_count, row.sha256, row.added_in, row.removed_in)
