"""Whether the rows of a table that is online are dated by the data. Those of windowed views that are there already bear
the moment of the run that copied them: the next run copies every key."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column(
        "materialization", sa.Column("is_dated_by_data", sa.Boolean, nullable=False, server_default=sa.false())
    )
