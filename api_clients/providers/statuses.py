"""HTTP statuses that mean the same at every provider."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import (
    AuthenticationFailed,
    BadResponse,
    Forbidden,
    InsufficientBalance,
    InvalidInput,
    InvalidParameter,
    Meaning,
    NotFound,
    ProviderUnavailable,
    RateLimited,
    RemoteUpscaleError,
    TimedOut,
)
from ..http_messages import Reply
from ..text import in_their_words
from .base import Provider


@dataclass(frozen=True)
class _Status:
    """What a status says."""

    error: type[RemoteUpscaleError]
    message: str
    hint: str
    meaning: Meaning = Meaning.REFUSED


_REFUSED = _Status(
    InvalidParameter,
    "{title} refused the request",
    "Change what it names and run it again.",
)
_GONE = _Status(
    NotFound,
    "{title} does not know this model or job",
    "It may have been removed there, or belong to another key.",
)
_NOT_THIS_FILE = _Status(
    InvalidInput,
    "{title} does not take this file",
    "Use a smaller file or another format.",
)
_STATUSES = {
    400: _REFUSED,
    422: _REFUSED,
    401: _Status(
        AuthenticationFailed,
        "{title} does not accept the key",
        "Check {variable}.",
    ),
    402: _Status(
        InsufficientBalance,
        "The balance at {title} is empty",
        "Top it up at {top_up}.",
    ),
    403: _Status(
        Forbidden,
        "The key may not use this at {title}",
        "Look at {top_up} for what the account and the key may do.",
    ),
    404: _GONE,
    410: _GONE,
    408: _Status(TimedOut, "{title} gave up waiting", "Run it again.", Meaning.UNKNOWN),
    413: _NOT_THIS_FILE,
    415: _NOT_THIS_FILE,
    429: _Status(
        RateLimited,
        "{title} is getting too many requests from this key",
        "Wait a little, or run fewer at once (at_once in settings.toml).",
        Meaning.TRY_AGAIN,
    ),
    503: _Status(
        ProviderUnavailable,
        "{title} is not available at the moment",
        "Run it again later.",
        Meaning.TRY_AGAIN,
    ),
}
_SERVER_ERROR = _Status(
    ProviderUnavailable,
    "{title} answered with a server error, HTTP {status}",
    "Run it again later; if it stays, ask the provider.",
    Meaning.UNKNOWN,
)
_UNDOCUMENTED = _Status(
    BadResponse,
    "{title} answered HTTP {status}, which it does not document",
    "If it stays, ask the provider or report it to this project.",
    Meaning.UNKNOWN,
)


def from_status(
    provider: Provider | type[Provider], reply: Reply, said: object = "", status: int | None = None
) -> RemoteUpscaleError | None:
    """The error that a reply's status stands for, or ``None`` for 2xx.

    Args:
        provider: who answered.
        reply: the answer.
        said: the provider's own words, whatever they are.
        status: instead of the reply's own, for envelopes that use the same numbers.
    """
    status = reply.status if status is None else status
    if 200 <= status < 300:
        return None
    found = _STATUSES.get(status, _SERVER_ERROR if status >= 500 else _UNDOCUMENTED)
    words = {
        "title": provider.title,
        "status": status,
        "top_up": provider.top_up,
        "variable": provider.key_variable,
    }
    return found.error(
        found.message.format_map(words) + in_their_words(said),
        hint=found.hint.format_map(words),
        meaning=found.meaning,
        retry_after=reply.retry_after,
    )


def empty_balance(provider: Provider | type[Provider], said: object = "") -> RemoteUpscaleError:
    """The account has no money left, said in another way than by HTTP 402."""
    error = from_status(provider, Reply(402), said)
    assert error is not None
    return error
