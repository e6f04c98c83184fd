"""When online tables were brought up to date, run by run, and between which moments rows were pushed into them.

Of runs before this only the last of each table is known, and when it began: it is the first of the table's history.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    publication = op.create_table(
        "publication",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("store", sa.String, nullable=False),
        sa.Column("table_name", sa.String, nullable=False),
        sa.Column("filled_to", sa.BigInteger, nullable=False),
        sa.Column("began_at", sa.BigInteger, nullable=False),
        sa.Column("published_at", sa.BigInteger, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("row_count", sa.BigInteger, nullable=False),
        sa.Column("is_full", sa.Boolean, nullable=False),
    )
    op.create_index("publication_by_table", "publication", ["store", "table_name", "number"])
    op.create_table(
        "push_span",
        sa.Column("store", sa.String, primary_key=True),
        sa.Column("table_name", sa.String, primary_key=True),
        sa.Column("first_at", sa.BigInteger, nullable=False),
        sa.Column("last_at", sa.BigInteger, nullable=False),
    )
    last = sa.table(
        "materialization",
        *(sa.column(name) for name in ("store", "table_name", "filled_to", "materialized_at", "version", "row_count")),
    )
    known = sa.select(
        last.c.store,
        last.c.table_name,
        last.c.filled_to,
        last.c.materialized_at,
        last.c.materialized_at.label("published_at"),
        last.c.version,
        last.c.row_count,
        sa.false(),
    )
    columns = [column.name for column in publication.columns if column.name != "number"]
    op.execute(publication.insert().from_select(columns, known))
