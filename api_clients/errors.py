"""Everything that can go wrong, as types.

Each error is one sentence of what happened (``message``), one of what to do (``hint``), and the provider's
``request_id`` where there is one. ``kind`` is the word that scripts branch on; the set of kinds is part of
the outside contract. No message, hint or attribute ever holds a key or a signed link.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar


class Kind(StrEnum):
    """The error kinds of the outside contract."""

    INVALID_PARAMETER = "invalid_parameter"
    INVALID_INPUT = "invalid_input"
    AUTHENTICATION = "authentication"
    INSUFFICIENT_BALANCE = "insufficient_balance"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    RATE_LIMITED = "rate_limited"
    CONTENT_REJECTED = "content_rejected"
    PROVIDER_FAILED = "provider_failed"
    PROVIDER_UNAVAILABLE = "provider_unavailable"
    TIMEOUT = "timeout"
    RESULT_LOST = "result_lost"
    BAD_RESPONSE = "bad_response"
    HOSTING = "hosting"
    BUDGET = "budget"
    CANCELLED = "cancelled"
    SUBMISSION_UNKNOWN = "submission_unknown"


class RemoteUpscaleError(Exception):
    """Base of all our errors; catch this one to catch them all.

    Args:
        message: what happened, one sentence, no trailing advice.
        hint: what the user can do about it, one sentence; may be empty.
        request_id: the provider's id of the job, for taking it up with the provider.
        transient: the same request may succeed a little later (a status read, a download, an upload).
        retry_after: seconds the other side asked us to wait before the next try.
        not_accepted: no job exists and none was charged *for certain*, so submitting again is safe.

    Attributes:
        job_over: the job has ended at the provider without a result, so there is nothing to resume.
    """

    kind: ClassVar[Kind]

    def __init_subclass__(cls) -> None:
        # ComfyUI shows an error's full name, which would have the path of the pack's folder in it.
        cls.__module__ = "remote_upscale"

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        request_id: str | None = None,
        transient: bool = False,
        retry_after: float | None = None,
        not_accepted: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.request_id = request_id
        self.transient = transient
        self.retry_after = retry_after
        self.not_accepted = not_accepted
        self.job_over = False

    def __str__(self) -> str:
        parts = [self.message, self.hint]
        if self.request_id:
            parts.append(f"(request {self.request_id})")
        return " ".join(part for part in parts if part)


class InvalidParameter(RemoteUpscaleError):
    """A parameter is unknown, out of range, or does not go with another one. Nothing was sent."""

    kind = Kind.INVALID_PARAMETER


class InvalidInput(RemoteUpscaleError):
    """The picture or clip cannot be used: missing, damaged, wrong format, too large."""

    kind = Kind.INVALID_INPUT


class AuthenticationFailed(RemoteUpscaleError):
    """There is no key, or the provider does not accept it."""

    kind = Kind.AUTHENTICATION


class InsufficientBalance(RemoteUpscaleError):
    """The provider's account is out of money. Nothing was charged."""

    kind = Kind.INSUFFICIENT_BALANCE


class Forbidden(RemoteUpscaleError):
    """The key is valid but may not use this model."""

    kind = Kind.FORBIDDEN


class NotFound(RemoteUpscaleError):
    """The provider does not know the model or the job."""

    kind = Kind.NOT_FOUND


class RateLimited(RemoteUpscaleError):
    """Too many requests or jobs at once, even after waiting."""

    kind = Kind.RATE_LIMITED


class ContentRejected(RemoteUpscaleError):
    """The provider's safety check refused the input or the result."""

    kind = Kind.CONTENT_REJECTED


class ProviderFailed(RemoteUpscaleError):
    """The provider took the job and failed at it."""

    kind = Kind.PROVIDER_FAILED


class ProviderUnavailable(RemoteUpscaleError):
    """The provider could not be reached, or answered with a server error."""

    kind = Kind.PROVIDER_UNAVAILABLE


class TimedOut(RemoteUpscaleError):
    """A time limit of ours or of the provider's ran out. The job may still be running."""

    kind = Kind.TIMEOUT


class ResultLost(RemoteUpscaleError):
    """The job was done but its result cannot be had (any more)."""

    kind = Kind.RESULT_LOST


class BadResponse(RemoteUpscaleError):
    """The provider answered with something that is not what it documents."""

    kind = Kind.BAD_RESPONSE


class HostingFailed(RemoteUpscaleError):
    """The input could not be put where the provider can fetch it."""

    kind = Kind.HOSTING


class BudgetExceeded(RemoteUpscaleError):
    """Submitting would pass the spending cap. Nothing was sent."""

    kind = Kind.BUDGET


class Cancelled(RemoteUpscaleError):
    """The job was cancelled, by the user or at the provider."""

    kind = Kind.CANCELLED


class SubmissionUnknown(RemoteUpscaleError):
    """The submit was sent, but no answer says whether the provider took it; it may be charged."""

    kind = Kind.SUBMISSION_UNKNOWN


class StoreFailed(RemoteUpscaleError):
    """The result store cannot be used."""

    kind = Kind.INVALID_PARAMETER
