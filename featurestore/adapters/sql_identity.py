"""The project's identity in a SQL database."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select, update

from featurestore.adapters.sql_database import Database, reconnecting
from featurestore.adapters.sql_tables import project_identity
from featurestore.ports.identity import ProjectIdentity


@reconnecting
class SqlIdentity:
    def __init__(self, database: Database) -> None:
        self._database = database

    def identity(self, proposed: ProjectIdentity) -> ProjectIdentity:
        with self._database.read() as connection:
            if found := _identity(connection):
                return found
        with self._database.write("identity") as connection:
            if found := _identity(connection):
                return found
            connection.execute(
                insert(project_identity).values(number=1, id=proposed.id, name=proposed.name, home=proposed.home)
            )
        return proposed

    def move(self, home: str) -> None:
        with self._database.write("identity") as connection:
            connection.execute(update(project_identity).values(home=home))


def _identity(connection: Connection) -> ProjectIdentity | None:
    row = connection.execute(select(project_identity)).first()
    return None if row is None else ProjectIdentity(row.id, row.name, row.home)
