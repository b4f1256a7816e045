"""The record of every job: written before anything is sent, so that a crash never loses a paid one."""

from .rows import JobRow, JobState
from .store import Ledger, LedgerMisuse

__all__ = ["JobRow", "JobState", "Ledger", "LedgerMisuse"]
