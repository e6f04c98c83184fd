"""Aliases in the SQL database, beside the versions they point at (`sql_models.py`)."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select

from featurestore.adapters.sql_database import Database, reconnecting
from registry.adapters.sql_models import check_model_exists, check_version_exists, turn_of
from registry.adapters.sql_tables import model_alias
from registry.errors import AliasNotFound
from registry.records import Alias


@reconnecting
class SqlAliases:
    def __init__(self, database: Database) -> None:
        self._database = database

    def aliases(self, model: str) -> tuple[Alias, ...]:
        with self._database.read() as connection:
            return _aliases(connection, model)

    def move(self, alias: Alias) -> None:
        present = (model_alias.c.model == alias.model) & (model_alias.c.name == alias.name)
        with self._database.write(turn_of(alias.model)) as connection:
            check_version_exists(connection, alias.model, alias.version)
            connection.execute(delete(model_alias).where(present))
            connection.execute(
                insert(model_alias).values(
                    model=alias.model,
                    name=alias.name,
                    version=alias.version,
                    moved_at=alias.moved_at,
                    moved_by=alias.moved_by,
                )
            )

    def remove(self, model: str, name: str) -> None:
        with self._database.write(turn_of(model)) as connection:
            known = [alias.name for alias in _aliases(connection, model)]
            if name not in known:
                raise AliasNotFound(model, name, known)
            connection.execute(delete(model_alias).where((model_alias.c.model == model) & (model_alias.c.name == name)))


def _aliases(connection: Connection, model: str) -> tuple[Alias, ...]:
    check_model_exists(connection, model)
    rows = connection.execute(select(model_alias).where(model_alias.c.model == model))
    aliases = [Alias(**row._mapping) for row in rows]
    return tuple(sorted(aliases, key=lambda alias: alias.name))
