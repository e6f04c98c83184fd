"""Models and their versions in the SQL database that also keeps the state. Aliases are in `sql_aliases.py`.

Whoever opens the database upgrades it with `REGISTRY_MIGRATIONS` first. Every write to a model takes that model's turn
(`Database.write`), so what it read is still true when it writes.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from featurestore.adapters.sql_database import Database, reconnecting
from registry.adapters.sql_tables import model_version, registered_model
from registry.errors import ModelNotFound, VersionNotFound
from registry.records import Artifact, ModelVersion, RegisteredModel, Registration

_MANY = 500
"""How many values go into one statement: databases cap its parameters."""


@reconnecting
class SqlModels:
    def __init__(self, database: Database) -> None:
        self._database = database

    def register(self, registration: Registration) -> ModelVersion:
        with self._database.write(turn_of(registration.model)) as connection:
            earlier = _registered_with_key(connection, registration)
            if earlier is not None:
                return earlier
            version = registration.numbered(_next_number(connection, registration))
            connection.execute(insert(model_version).values(_columns(version)))
        return version

    def models(self) -> tuple[RegisteredModel, ...]:
        with self._database.read() as connection:
            models = [_model(row) for row in connection.execute(select(registered_model))]
        # Sorted here, because databases sort text each in their own way.
        return tuple(sorted(models, key=lambda model: model.name))

    def versions(self, model: str) -> tuple[ModelVersion, ...]:
        by_number = select(model_version).where(model_version.c.model == model).order_by(model_version.c.version)
        with self._database.read() as connection:
            check_model_exists(connection, model)
            return tuple(_version(row) for row in connection.execute(by_number))

    def version(self, model: str, version: int) -> ModelVersion:
        wanted = (model_version.c.model == model) & (model_version.c.version == version)
        with self._database.read() as connection:
            check_version_exists(connection, model, version)
            return _version(connection.execute(select(model_version).where(wanted)).one())

    def trained_on(self, datasets: Collection[str]) -> tuple[ModelVersion, ...]:
        wanted = sorted(set(datasets))
        found: list[ModelVersion] = []
        with self._database.read() as connection:
            for start in range(0, len(wanted), _MANY):
                some = model_version.c.dataset.in_(wanted[start : start + _MANY])
                found.extend(_version(row) for row in connection.execute(select(model_version).where(some)))
        return tuple(sorted(found, key=lambda version: (version.model, version.version)))


def turn_of(model: str) -> str:
    """The subject of every transaction that changes this model."""
    return f"model:{model}"


def check_model_exists(connection: Connection, model: str) -> None:
    known = connection.execute(select(registered_model.c.name).where(registered_model.c.name == model)).first()
    if known is None:
        raise ModelNotFound(model, connection.execute(select(registered_model.c.name)).scalars())


def check_version_exists(connection: Connection, model: str, version: int) -> None:
    check_model_exists(connection, model)
    numbers = select(model_version.c.version).where(model_version.c.model == model)
    if connection.execute(numbers.where(model_version.c.version == version)).first() is None:
        raise VersionNotFound(model, version, connection.execute(numbers).scalars())


def _registered_with_key(connection: Connection, registration: Registration) -> ModelVersion | None:
    if registration.key is None:
        return None
    same = (model_version.c.model == registration.model) & (model_version.c.key == registration.key)
    row = connection.execute(select(model_version).where(same)).first()
    return None if row is None else _version(row)


def _next_number(connection: Connection, registration: Registration) -> int:
    counter = registered_model.c.last_version
    this_model = registered_model.c.name == registration.model
    count_on = update(registered_model).where(this_model).values(last_version=counter + 1).returning(counter)
    number: int | None = connection.execute(count_on).scalar_one_or_none()
    if number is None:
        _create_model(connection, registration, last_version=1)
        return 1
    return number


def _create_model(connection: Connection, registration: Registration, *, last_version: int) -> None:
    model = RegisteredModel(
        name=registration.model, created_at=registration.registered_at, owner=registration.registered_by
    )
    connection.execute(
        insert(registered_model).values(
            name=model.name,
            created_at=model.created_at,
            owner=model.owner,
            description=model.description,
            tags=model.tags,
            last_version=last_version,
        )
    )


def _columns(version: ModelVersion) -> dict[str, Any]:
    """The columns are named after the fields; only the artifact takes several."""
    columns = {field.name: getattr(version, field.name) for field in fields(ModelVersion) if field.name != "artifact"}
    artifact = {f"artifact_{field.name}": getattr(version.artifact, field.name) for field in fields(Artifact)}
    return {**columns, **artifact}


def _version(row: Row[Any]) -> ModelVersion:
    columns = dict(row._mapping)
    artifact = {field.name: columns.pop(f"artifact_{field.name}") for field in fields(Artifact)}
    return ModelVersion(artifact=Artifact(**artifact), **columns)


def _model(row: Row[Any]) -> RegisteredModel:
    return RegisteredModel(
        name=row.name, created_at=row.created_at, owner=row.owner, description=row.description, tags=row.tags
    )
