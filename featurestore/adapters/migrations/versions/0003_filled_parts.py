"""What a fill saw of its sources: their parts, and the rows of each day where a lateness is declared."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("filled_interval", sa.Column("parts", sa.Text))
    op.add_column("filled_interval", sa.Column("day_rows", sa.Text))
