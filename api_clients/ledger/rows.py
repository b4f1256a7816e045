"""A job as the ledger holds it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from ..protocol import Handle


class JobState(StrEnum):
    """How far a job has come. Each one says what a crash at that moment leaves to do.

    ``PREPARED``: nothing was sent. ``SUBMITTING``: the submit is on its way. ``SUBMITTED``: the provider has
    it under ``request_id``, so it can be resumed. ``COMPLETED``: the result is on disk. ``FAILED``: it ended
    without a result. ``CANCELLED``: given up by the user; if it has a ``request_id`` the provider may finish
    it all the same. ``UNKNOWN``: the submit was sent but never answered, so it may be charged.
    """

    PREPARED = "prepared"
    SUBMITTING = "submitting"
    SUBMITTED = "submitted"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "submission_unknown"


@dataclass(frozen=True, kw_only=True)
class JobRow:
    """One job.

    Attributes:
        id: our own id; ids sort by the time of their making.
        model: the model's id.
        digest: SHA-256 of the input's bytes, or of its URL.
        identity: SHA-256 of all that the result depends on.
        parameters: as sent.
        source: the input's file name, or its URL without query.
        destination: absolute path of the file that the result is for.
        sandbox: it went to the sandbox, not to a provider.
        state: how far it has come.
        request_id: the provider's id.
        handle: what is needed to ask the provider about it.
        cost: the estimate in US dollars; ``None`` when unknown.
        created: when it was prepared, UTC; likewise ``submitted`` and ``finished``.
        result_path: where the result was put; likewise its digest, length, width and height in pixels.
        error_kind: the kind of the last error; likewise its message.
        note: what else there is to know.
    """

    id: str
    model: str
    digest: str
    identity: str
    parameters: dict[str, Any]
    source: str
    destination: str
    sandbox: bool
    state: JobState
    request_id: str | None
    handle: Handle | None
    cost: Decimal | None
    created: datetime
    submitted: datetime | None
    finished: datetime | None
    result_path: str | None
    result_sha256: str | None
    result_bytes: int | None
    width: int | None
    height: int | None
    error_kind: str | None
    error_message: str | None
    note: str | None

    @property
    def may_cost(self) -> bool:
        """Whether the provider has it, or may have it. Where not, it certainly cost nothing."""
        return self.request_id is not None or self.state in (JobState.SUBMITTING, JobState.UNKNOWN)
