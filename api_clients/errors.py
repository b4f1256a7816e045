"""Everything that can go wrong, as types.

Each error is one sentence of what happened (``message``), one of what to do (``hint``), and the provider's
``request_id`` where there is one. ``kind`` is the word that scripts branch on; the set of kinds is part of
the outside contract. ``meaning`` is what our own code branches on. An error is complete when it is made:
whoever catches one and knows more raises another. No message, hint or attribute ever holds a signed link, and
what is registered as a secret (``redaction``) is taken out of messages and hints when an error is made.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar, Self

from .redaction import redact


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
    STORAGE = "storage"


class Meaning(StrEnum):
    """What an error means for the job, or for the request, that it happened to.

    ``NOT_SENT``: nothing was sent, so there is no job. ``REFUSED``: the other side said no to this very
    request; of a submit that means that there is no job. ``TRY_AGAIN``: the request certainly was not
    accepted, and may succeed a little later. ``UNKNOWN``: nobody knows whether the request was accepted; a
    question may be asked again, a submit may not. ``OVER``: the job has ended at the provider without a
    result. ``RESUMABLE``: the job is there, and its result can still be fetched.
    """

    NOT_SENT = "not_sent"
    REFUSED = "refused"
    TRY_AGAIN = "try_again"
    UNKNOWN = "unknown"
    OVER = "over"
    RESUMABLE = "resumable"

    @property
    def retryable(self) -> bool:
        """Whether a question, an upload or a download may be tried again as it is."""
        return self in (Meaning.TRY_AGAIN, Meaning.UNKNOWN)

    @property
    def not_accepted(self) -> bool:
        """Whether a submit that raised it certainly made no job, so that nothing was charged."""
        return self in (Meaning.NOT_SENT, Meaning.REFUSED, Meaning.TRY_AGAIN)


class RemoteUpscaleError(Exception):
    """Base of all our errors; catch this one to catch them all.

    Args:
        message: what happened, one sentence, no trailing advice.
        hint: what the user can do about it, one sentence; may be empty.
        request_id: the provider's id of the job, for taking it up with the provider.
        meaning: what it means for the job; each type has its usual one.
        retry_after: seconds the other side asked us to wait before the next try.
    """

    kind: ClassVar[Kind]
    usual_meaning: ClassVar[Meaning]

    def __init_subclass__(cls) -> None:
        # ComfyUI shows an error's full name, which would have the path of the pack's folder in it.
        cls.__module__ = "remote_upscale"

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        request_id: str | None = None,
        meaning: Meaning | None = None,
        retry_after: float | None = None,
    ) -> None:
        self.message = redact(message)
        self.hint = redact(hint)
        super().__init__(self.message)
        self.request_id = request_id
        self.meaning = meaning or self.usual_meaning
        self.retry_after = retry_after

    def __str__(self) -> str:
        parts = [self.message, self.hint]
        if self.request_id:
            parts.append(f"(request {self.request_id})")
        return " ".join(part for part in parts if part)

    def but(
        self,
        *,
        message: str | None = None,
        hint: str | None = None,
        request_id: str | None = None,
        meaning: Meaning | None = None,
    ) -> Self:
        """The same error, told with more knowledge; this one stays as it is.

        Args:
            message: instead of the message.
            hint: instead of the hint.
            request_id: the job's id, where the error has none yet.
            meaning: instead of the meaning.
        """
        return type(self)(
            self.message if message is None else message,
            hint=self.hint if hint is None else hint,
            request_id=self.request_id or request_id,
            meaning=meaning or self.meaning,
            retry_after=self.retry_after,
        )


class InvalidParameter(RemoteUpscaleError):
    """A parameter is unknown, out of range, or does not go with another one. Nothing was sent."""

    kind = Kind.INVALID_PARAMETER
    usual_meaning = Meaning.NOT_SENT


class InvalidInput(RemoteUpscaleError):
    """The picture or clip cannot be used: missing, damaged, wrong format, too large."""

    kind = Kind.INVALID_INPUT
    usual_meaning = Meaning.NOT_SENT


class AuthenticationFailed(RemoteUpscaleError):
    """There is no key, or the provider does not accept it."""

    kind = Kind.AUTHENTICATION
    usual_meaning = Meaning.REFUSED


class InsufficientBalance(RemoteUpscaleError):
    """The provider's account is out of money. Nothing was charged."""

    kind = Kind.INSUFFICIENT_BALANCE
    usual_meaning = Meaning.REFUSED


class Forbidden(RemoteUpscaleError):
    """The key is valid but may not use this model."""

    kind = Kind.FORBIDDEN
    usual_meaning = Meaning.REFUSED


class NotFound(RemoteUpscaleError):
    """The provider does not know the model or the job."""

    kind = Kind.NOT_FOUND
    usual_meaning = Meaning.REFUSED


class RateLimited(RemoteUpscaleError):
    """Too many requests or jobs at once, even after waiting."""

    kind = Kind.RATE_LIMITED
    usual_meaning = Meaning.TRY_AGAIN


class ContentRejected(RemoteUpscaleError):
    """The provider's safety check refused the input or the result."""

    kind = Kind.CONTENT_REJECTED
    usual_meaning = Meaning.OVER


class ProviderFailed(RemoteUpscaleError):
    """The provider took the job and failed at it."""

    kind = Kind.PROVIDER_FAILED
    usual_meaning = Meaning.OVER


class ProviderUnavailable(RemoteUpscaleError):
    """The provider could not be reached, or answered with a server error."""

    kind = Kind.PROVIDER_UNAVAILABLE
    usual_meaning = Meaning.UNKNOWN


class TimedOut(RemoteUpscaleError):
    """A time limit of ours or of the provider's ran out. The job may still be running."""

    kind = Kind.TIMEOUT
    usual_meaning = Meaning.RESUMABLE


class ResultLost(RemoteUpscaleError):
    """The job was done but its result cannot be had (any more)."""

    kind = Kind.RESULT_LOST
    usual_meaning = Meaning.RESUMABLE


class BadResponse(RemoteUpscaleError):
    """The provider answered with something that is not what it documents."""

    kind = Kind.BAD_RESPONSE
    usual_meaning = Meaning.RESUMABLE


class HostingFailed(RemoteUpscaleError):
    """The input could not be put where the provider can fetch it."""

    kind = Kind.HOSTING
    usual_meaning = Meaning.NOT_SENT


class BudgetExceeded(RemoteUpscaleError):
    """Submitting would pass the spending cap. Nothing was sent."""

    kind = Kind.BUDGET
    usual_meaning = Meaning.NOT_SENT


class Cancelled(RemoteUpscaleError):
    """The job was cancelled, by the user or at the provider."""

    kind = Kind.CANCELLED
    usual_meaning = Meaning.OVER


class SubmissionUnknown(RemoteUpscaleError):
    """The submit was sent, but no answer says whether the provider took it; it may be charged."""

    kind = Kind.SUBMISSION_UNKNOWN
    usual_meaning = Meaning.UNKNOWN


class StorageFailed(RemoteUpscaleError):
    """The ledger, the result store or the result's place cannot be used."""

    kind = Kind.STORAGE
    usual_meaning = Meaning.RESUMABLE
