"""What was found when nothing was to be filled or copied, so that nobody needs to look until something changes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("filled_interval", sa.Column("settled", sa.Text))
    op.add_column("materialization", sa.Column("unchanging", sa.Text))
