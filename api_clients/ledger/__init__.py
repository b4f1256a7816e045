"""The record of every job: written before anything is sent, so that a crash never loses a paid one."""

from ..states import JobState
from .database import LedgerMisuse
from .rows import Intent, JobRow
from .spending import Budget, month_start
from .store import Ledger, link_digest

__all__ = ["Budget", "Intent", "JobRow", "JobState", "Ledger", "LedgerMisuse", "link_digest", "month_start"]
