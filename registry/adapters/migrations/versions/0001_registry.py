"""The first tables: registered models, their versions and aliases."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "registered_model",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("tags", sa.Text, nullable=False),
        sa.Column("last_version", sa.Integer, nullable=False),
    )
    op.create_table(
        "model_version",
        sa.Column("model", sa.String, sa.ForeignKey("registered_model.name"), primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("key", sa.String),
        sa.Column("dataset", sa.String),
        sa.Column("no_dataset_reason", sa.Text),
        sa.Column("artifact_sha256", sa.String, nullable=False),
        sa.Column("artifact_size", sa.BigInteger, nullable=False),
        sa.Column("artifact_file_name", sa.String, nullable=False),
        sa.Column("params", sa.Text, nullable=False),
        sa.Column("metrics", sa.Text, nullable=False),
        sa.Column("environment", sa.Text, nullable=False),
        sa.Column("code_commit", sa.String),
        sa.Column("run_id", sa.String),
        sa.Column("features", sa.Text, nullable=False),
        sa.Column("tables", sa.Text, nullable=False),
        sa.Column("signature", sa.Text),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("tags", sa.Text, nullable=False),
        sa.Column("registered_by", sa.String, nullable=False),
        sa.Column("registered_at", sa.BigInteger, nullable=False),
    )
    op.create_index("model_version_by_key", "model_version", ["model", "key"], unique=True)
    op.create_index("model_version_by_dataset", "model_version", ["dataset"])
    op.create_table(
        "model_alias",
        sa.Column("model", sa.String, primary_key=True),
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("moved_at", sa.BigInteger, nullable=False),
        sa.Column("moved_by", sa.String, nullable=False),
        sa.ForeignKeyConstraint(["model", "version"], ["model_version.model", "model_version.version"]),
    )
