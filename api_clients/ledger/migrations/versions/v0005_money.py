"""Money in whole nano-dollars, places, results that stay in the store, and the leases of processes."""

from decimal import Decimal

import sqlalchemy as sa
from alembic import op

revision = "v0005"
down_revision = "v0004"

_NANOS = 1_000_000_000


def upgrade() -> None:
    """Change ``jobs``, and add a table."""
    op.add_column("jobs", sa.Column("nanos", sa.BigInteger))
    _convert(op.get_bind())
    op.drop_index("jobs_spending", "jobs")
    with op.batch_alter_table("jobs") as jobs:
        jobs.drop_column("cost")
        jobs.alter_column("nanos", new_column_name="cost", existing_type=sa.BigInteger())
        jobs.alter_column("destination", existing_type=sa.Text(), nullable=True)
        jobs.add_column(sa.Column("placed", sa.DateTime(timezone=True)))
    op.create_index("jobs_request", "jobs", ["request_id"])
    op.create_index("jobs_spending", "jobs", ["created", "sandbox", "cost"])
    op.create_table(
        "leases",
        sa.Column("name", sa.String(40), primary_key=True),
        sa.Column("server_started", sa.DateTime(timezone=True), nullable=False),
    )


def _convert(connection: sa.Connection) -> None:
    """Nothing for what was certainly never charged; else the text's amount, what is finer rounded up."""
    jobs = sa.table("jobs", *map(sa.column, ("id", "state", "request_id", "cost", "nanos")))
    never = jobs.c.request_id.is_(None) & jobs.c.state.in_(["failed", "cancelled"])
    amounts = connection.execute(sa.select(jobs.c.id, jobs.c.cost).where(jobs.c.cost.is_not(None))).all()
    change = sa.update(jobs).where(jobs.c.id == sa.bindparam("job")).values(nanos=sa.bindparam("amount"))
    if amounts:
        connection.execute(change, [{"job": job, "amount": _nanos(cost)} for job, cost in amounts])
    connection.execute(sa.update(jobs).where(never).values(nanos=0))


def _nanos(dollars: str) -> int:
    numerator, denominator = Decimal(dollars).as_integer_ratio()
    return -(-numerator * _NANOS // denominator)
