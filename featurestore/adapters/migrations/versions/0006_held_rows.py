"""What a fill left in its table although it is gone from the sources, by day."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("filled_interval", sa.Column("held", sa.Text))
