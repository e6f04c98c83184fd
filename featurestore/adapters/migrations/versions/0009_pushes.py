"""As of when runs copied rows that were pushed, and each push from now on.

Of runs before that only the moment up to which they filled the table is known, of pushes the first and the last.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.add_column("publication", sa.Column("copied_to", sa.BigInteger))
    op.add_column("publication", sa.Column("copied_from", sa.BigInteger))
    op.add_column("publication", sa.Column("filled_at", sa.BigInteger))
    op.create_table(
        "push",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("store", sa.String, nullable=False),
        sa.Column("table_name", sa.String, nullable=False),
        sa.Column("pushed_at", sa.BigInteger, nullable=False),
        sa.Column("is_online", sa.Boolean, nullable=False),
        sa.Column("is_repeated", sa.Boolean, nullable=False),
        sa.Column("stamps", sa.Text),
        sa.Column("named_rows", sa.LargeBinary),
    )
    op.create_index("push_by_table", "push", ["store", "table_name", "number"])
