"""What the tables' logs and files should be: each commit's log entry, and each data file with its digest.

Tables that were filled before have no record yet: it is made when they are next opened.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "table_commit",
        sa.Column("table_name", sa.String, primary_key=True),
        sa.Column("version", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("row_count", sa.BigInteger, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
    )
    op.create_table(
        "data_file",
        sa.Column("table_name", sa.String, primary_key=True),
        sa.Column("path", sa.String, primary_key=True),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("row_count", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.String),
        sa.Column("added_in", sa.BigInteger, nullable=False),
        sa.Column("removed_in", sa.BigInteger),
    )
