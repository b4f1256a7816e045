"""Stored results, digests of what inputs show, and what budgets and limits need to know of a job."""

import sqlalchemy as sa
from alembic import op

revision = "v0002"
down_revision = "v0001"


def upgrade() -> None:
    """Add columns to ``jobs``, and two tables."""
    op.add_column("jobs", sa.Column("account", sa.String(16)))
    op.add_column("jobs", sa.Column("link", sa.String(64)))
    op.add_column("jobs", sa.Column("sent", sa.DateTime(timezone=True)))
    op.add_column("jobs", sa.Column("stored", sa.DateTime(timezone=True)))
    op.create_index("jobs_created", "jobs", ["created"])
    op.create_table(
        "results",
        sa.Column("sha256", sa.String(64), primary_key=True),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("used", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("results_used", "results", ["used"])
    op.create_table(
        "contents",
        sa.Column("file", sa.String(64), primary_key=True),
        sa.Column("content", sa.String(64), nullable=False),
        sa.Column("seen", sa.DateTime(timezone=True), nullable=False),
    )
    op.execute("DROP TABLE IF EXISTS meta")  # the first release noted its version there
