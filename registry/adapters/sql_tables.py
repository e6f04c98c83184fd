"""The tables that the registry is kept in, and the migrations that make them. They live beside the state's tables."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

from featurestore.adapters.sql_database import Migrations
from featurestore.adapters.sql_values import Json, Moment
from registry.records import Signature, UsedFeature, UsedTable

REGISTRY_MIGRATIONS = Migrations(Path(__file__).parent / "migrations", "registry_version", head="0001")

registry_metadata = MetaData()

_Pairs = tuple[tuple[str, str], ...]

registered_model = Table(
    "registered_model",
    registry_metadata,
    Column("name", String, primary_key=True),
    Column("created_at", Moment, nullable=False),
    Column("owner", String, nullable=False),
    Column("description", Text, nullable=False),
    Column("tags", Json(_Pairs), nullable=False),
    # The counter that numbers are taken from. It only grows, so no number is ever used twice.
    Column("last_version", Integer, nullable=False),
)

model_version = Table(
    "model_version",
    registry_metadata,
    Column("model", String, ForeignKey("registered_model.name"), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("key", String),
    Column("dataset", String),
    Column("no_dataset_reason", Text),
    Column("artifact_sha256", String, nullable=False),
    Column("artifact_size", BigInteger, nullable=False),
    Column("artifact_file_name", String, nullable=False),
    Column("params", Json(_Pairs), nullable=False),
    # As text: SQLite's own numbers turn NaN into null.
    Column("metrics", Json(tuple[tuple[str, float], ...]), nullable=False),
    Column("environment", Json(_Pairs), nullable=False),
    Column("code_commit", String),
    Column("run_id", String),
    Column("features", Json(tuple[UsedFeature, ...]), nullable=False),
    Column("tables", Json(tuple[UsedTable, ...]), nullable=False),
    Column("signature", Json(Signature)),
    Column("description", Text, nullable=False),
    Column("tags", Json(_Pairs), nullable=False),
    Column("registered_by", String, nullable=False),
    Column("registered_at", Moment, nullable=False),
    Index("model_version_by_key", "model", "key", unique=True),
    Index("model_version_by_dataset", "dataset"),
)

model_alias = Table(
    "model_alias",
    registry_metadata,
    Column("model", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("moved_at", Moment, nullable=False),
    Column("moved_by", String, nullable=False),
    ForeignKeyConstraint(["model", "version"], ["model_version.model", "model_version.version"]),
)
