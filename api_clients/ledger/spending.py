"""What was spent this month, and whether there is money for another job."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

from sqlalchemy import Connection, func, select

from ..errors import BudgetExceeded
from .money import from_nanos, to_nanos
from .rows import Intent
from .schema import jobs


def month_start() -> datetime:
    """When this month began, UTC."""
    return datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


@dataclass(frozen=True)
class Budget:
    """What may be spent.

    Attributes:
        dollars: the most in a calendar month (UTC), over all processes that share the ledger.
        unpriced: ids of models that may be used although nobody knows what they cost.
        since: jobs made from then on count, later ones too: a clock that is set back frees nothing.
    """

    dollars: Decimal
    unpriced: frozenset[str] = frozenset()
    since: datetime = field(default_factory=month_start)

    def check(self, intent: Intent, spent: Decimal) -> None:
        """See whether a job can be paid for.

        Raises:
            BudgetExceeded: it cannot, or nobody knows.
        """
        if intent.cost is None:
            if intent.model in self.unpriced:
                return
            raise BudgetExceeded(
                f"The price of {intent.model} is not known, so ${self.dollars} a month cannot be held to.",
                hint="Give its price under [prices] in settings.toml, or name the model in "
                "allow_unknown_price under [budget].",
            )
        cost = from_nanos(to_nanos(intent.cost))  # as it will be recorded
        if spent + cost > self.dollars:
            raise BudgetExceeded(
                f"This job would cost ${cost:f}; ${spent:f} of this month's "
                f"${self.dollars} is spent or reserved.",
                hint="Raise the budget (REMOTE_UPSCALE_BUDGET_USD, or usd under [budget] in settings.toml), "
                "or wait for the next month (UTC).",
            )


def spent(connection: Connection, since: datetime) -> Decimal:
    """Dollars of the jobs made since then that were or may have been charged, or are about to be sent.

    All others cost 0. The database adds them up, from one index alone.
    """
    total = select(func.sum(jobs.c.cost)).where(jobs.c.sandbox.is_(False), jobs.c.created >= since)
    return connection.scalar(total) or Decimal(0)
