"""How much there is to do in a job, so that the next one like it can say how long it takes."""

import sqlalchemy as sa
from alembic import op

revision = "v0004"
down_revision = "v0003"


def upgrade() -> None:
    """Add a column to ``jobs``."""
    op.add_column("jobs", sa.Column("pixels", sa.BigInteger))
