"""How much there is to do in a job, so that the next one like it can say how long it takes."""

import sqlalchemy as sa
from alembic import op

revision = "v0004"
down_revision = "v0003"


def upgrade() -> None:
    """Add a column to ``jobs``, and an index to find the latest ones of a model."""
    op.add_column("jobs", sa.Column("pixels", sa.BigInteger))
    op.create_index("jobs_latest", "jobs", ["model", "sandbox", "state", "id"])
