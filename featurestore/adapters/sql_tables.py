"""The tables that state is kept in, and the migrations that make them."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, MetaData, String, Table, Text

from featurestore.adapters.sql_database import Migrations
from featurestore.adapters.sql_values import Json, Moment
from featurestore.graph.resolved import Graph
from featurestore.ports.state import DayRows, FilledPart, HeldDay, Manifest, Settled, Unchanging

STATE_MIGRATIONS = Migrations(Path(__file__).parent / "migrations", "featurestore_version", head="0009")

state_metadata = MetaData()

project_identity = Table(
    "project_identity",
    state_metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("id", String, nullable=False),
    Column("name", String, nullable=False),
    Column("home", String, nullable=False),
)

applied_graph = Table(
    "applied_graph",
    state_metadata,
    Column("serial", Integer, primary_key=True, autoincrement=False),
    Column("graph", Json(Graph), nullable=False),
    Column("applied_at", Moment, nullable=False),
)

filled_interval = Table(
    "filled_interval",
    state_metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("table_name", String, nullable=False),
    Column("start_at", Moment, nullable=False),
    Column("end_at", Moment, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("row_count", BigInteger, nullable=False),
    Column("source_versions", Json(tuple[tuple[str, str], ...]), nullable=False),
    Column("filled_at", Moment, nullable=False),
    # None where an interval was filled before its sources' parts were remembered.
    Column("parts", Json(tuple[FilledPart, ...])),
    Column("day_rows", Json(tuple[DayRows, ...])),
    # None where an interval was filled before gone rows were held.
    Column("held", Json(tuple[HeldDay, ...])),
    Column("settled", Json(Settled)),
    Index("filled_interval_by_table", "table_name", "start_at"),
)

materialization = Table(
    "materialization",
    state_metadata,
    Column("store", String, primary_key=True),
    Column("table_name", String, primary_key=True),
    Column("filled_to", Moment, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("row_count", BigInteger, nullable=False),
    Column("materialized_at", Moment, nullable=False),
    # False where rows of windowed views still bear the moment of the run that copied them.
    Column("is_dated_by_data", Boolean, nullable=False),
    Column("unchanging", Json(Unchanging)),
)

publication = Table(
    "publication",
    state_metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("store", String, nullable=False),
    Column("table_name", String, nullable=False),
    Column("filled_to", Moment, nullable=False),
    Column("began_at", Moment, nullable=False),
    Column("published_at", Moment, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("row_count", BigInteger, nullable=False),
    Column("is_full", Boolean, nullable=False),
    # None where a run was recorded before that was kept.
    Column("copied_to", Moment),
    Column("copied_from", Moment),
    Column("filled_at", Moment),
    Index("publication_by_table", "store", "table_name", "number"),
)

push = Table(
    "push",
    state_metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("store", String, nullable=False),
    Column("table_name", String, nullable=False),
    Column("pushed_at", Moment, nullable=False),
    Column("is_online", Boolean, nullable=False),
    Column("is_repeated", Boolean, nullable=False),
    # None where rows are named one by one.
    Column("stamps", Json(tuple[datetime, ...])),
    Column("named_rows", LargeBinary),
    Index("push_by_table", "store", "table_name", "number"),
)

# Of pushes that were recorded before each was.
push_span = Table(
    "push_span",
    state_metadata,
    Column("store", String, primary_key=True),
    Column("table_name", String, primary_key=True),
    Column("first_at", Moment, nullable=False),
    Column("last_at", Moment, nullable=False),
)

dataset = Table(
    "dataset",
    state_metadata,
    Column("id", String, primary_key=True),
    Column("manifest", Json(Manifest), nullable=False),
    Column("created_at", Moment, nullable=False),
)

table_commit = Table(
    "table_commit",
    state_metadata,
    Column("table_name", String, primary_key=True),
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("row_count", BigInteger, nullable=False),
    Column("content", Text, nullable=False),
)

data_file = Table(
    "data_file",
    state_metadata,
    Column("table_name", String, primary_key=True),
    Column("path", String, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("row_count", BigInteger, nullable=False),
    # None where a table was filled before digests were kept.
    Column("sha256", String),
    Column("added_in", BigInteger, nullable=False),
    Column("removed_in", BigInteger),
)
