"""The first tables: applied graphs, filled intervals, materializations and datasets."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "applied_graph",
        sa.Column("serial", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("graph", sa.Text, nullable=False),
        sa.Column("applied_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "filled_interval",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("table_name", sa.String, nullable=False),
        sa.Column("start_at", sa.BigInteger, nullable=False),
        sa.Column("end_at", sa.BigInteger, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("row_count", sa.BigInteger, nullable=False),
        sa.Column("source_versions", sa.Text, nullable=False),
        sa.Column("filled_at", sa.BigInteger, nullable=False),
    )
    op.create_index("filled_interval_by_table", "filled_interval", ["table_name", "start_at"])
    op.create_table(
        "materialization",
        sa.Column("store", sa.String, primary_key=True),
        sa.Column("table_name", sa.String, primary_key=True),
        sa.Column("filled_to", sa.BigInteger, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("row_count", sa.BigInteger, nullable=False),
        sa.Column("materialized_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "dataset",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("manifest", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    )
