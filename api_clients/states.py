"""The states of a job, as the ledger, scripts and people know them."""

from __future__ import annotations

from enum import StrEnum


class JobState(StrEnum):
    """How far a job has come. Each one says what a crash at that moment leaves to do.

    ``PREPARED``: nothing was sent. ``SUBMITTING``: the submit is on its way. ``SUBMITTED``: the provider has
    it under ``request_id``, so it can be resumed. ``STORED``: the result is in the result store, but not yet
    where it was meant to go. ``COMPLETED``: the result was delivered. ``FAILED``: it ended without a result.
    ``CANCELLED``: given up by the user; if it has a ``request_id`` the provider may finish it all the same.
    ``UNKNOWN``: the submit was sent but never answered, so it may be charged.
    """

    PREPARED = "prepared"
    SUBMITTING = "submitting"
    SUBMITTED = "submitted"
    STORED = "stored"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "submission_unknown"


UNDER_WAY = (JobState.PREPARED, JobState.SUBMITTING, JobState.SUBMITTED, JobState.STORED)
"""States of jobs that some process drives, or drove when it ended."""

CHARGED = (JobState.SUBMITTING, JobState.STORED, JobState.COMPLETED, JobState.UNKNOWN)
"""States in which a job may have cost something, whether or not its request id is known."""
