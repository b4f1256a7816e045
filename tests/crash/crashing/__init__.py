"""Kills the command at random moments, lets a user go on, and counts what was paid.

``crash_run`` is the whole of it; `long_run.py` and `test_crashes.py` call it.
"""

from .report import STAGES, Report
from .running import crash_run

__all__ = ["STAGES", "Report", "crash_run"]
