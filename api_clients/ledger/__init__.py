"""The record of every job: written before anything is sent, so that a crash never loses a paid one."""

from ..states import JobState
from .errors import LedgerMisuse, OwnershipLost
from .links import link_digest
from .rows import Intent, JobRow
from .spending import Budget, month_start
from .store import Claim, Ledger

__all__ = [
    "Budget",
    "Claim",
    "Intent",
    "JobRow",
    "JobState",
    "Ledger",
    "LedgerMisuse",
    "OwnershipLost",
    "link_digest",
    "month_start",
]
