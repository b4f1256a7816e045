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
    NotFound,
    ProviderUnavailable,
    RateLimited,
    RemoteUpscaleError,
    TimedOut,
)
from ..protocol import Provider, Reply
from ..settings import KEY_VARIABLES
from ..text import clean


@dataclass(frozen=True)
class _Meaning:
    """What a status says. ``accepted`` is for those that leave open whether there is a job."""

    error: type[RemoteUpscaleError]
    message: str
    hint: str
    transient: bool = False
    accepted: bool = False


_REFUSED = _Meaning(
    InvalidParameter,
    "{title} refused the request",
    "Change what it names and run it again.",
)
_GONE = _Meaning(
    NotFound,
    "{title} does not know this model or job",
    "It may have been removed there; `remote-upscale models` lists what this version offers.",
)
_NOT_THIS_FILE = _Meaning(
    InvalidInput,
    "{title} does not take this file",
    "Use a smaller file or another format.",
)
_MEANINGS = {
    400: _REFUSED,
    422: _REFUSED,
    401: _Meaning(
        AuthenticationFailed,
        "{title} does not accept the key",
        "Check {variable}.",
    ),
    402: _Meaning(
        InsufficientBalance,
        "The balance at {title} is empty",
        "Top it up at {top_up}.",
    ),
    403: _Meaning(
        Forbidden,
        "The key may not use this at {title}",
        "Look at {top_up} for what the account and the key may do.",
    ),
    404: _GONE,
    410: _GONE,
    408: _Meaning(TimedOut, "{title} gave up waiting", "Run it again.", transient=True, accepted=True),
    413: _NOT_THIS_FILE,
    415: _NOT_THIS_FILE,
    429: _Meaning(
        RateLimited,
        "{title} is getting too many requests from this key",
        "Wait a little, or run fewer at once (at_once in settings.toml).",
        transient=True,
    ),
    503: _Meaning(
        ProviderUnavailable,
        "{title} is not available at the moment",
        "Run it again later.",
        transient=True,
    ),
}
_SERVER_ERROR = _Meaning(
    ProviderUnavailable,
    "{title} answered with a server error, HTTP {status}",
    "Run it again later; if it stays, ask the provider.",
    transient=True,
    accepted=True,
)
_UNDOCUMENTED = _Meaning(
    BadResponse,
    "{title} answered HTTP {status}, which it does not document",
    "If it stays, ask the provider or report it to this project.",
    accepted=True,
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
    meaning = _MEANINGS.get(status, _SERVER_ERROR if status >= 500 else _UNDOCUMENTED)
    words = {
        "title": provider.title,
        "status": status,
        "top_up": provider.top_up,
        "variable": KEY_VARIABLES.get(provider.name, "the key"),
    }
    quoted = f": {clean(said)}" if said else "."
    return meaning.error(
        meaning.message.format_map(words) + quoted,
        hint=meaning.hint.format_map(words),
        transient=meaning.transient,
        retry_after=reply.retry_after,
        not_accepted=not meaning.accepted,
    )


def empty_balance(provider: Provider | type[Provider], said: object = "") -> RemoteUpscaleError:
    """The account has no money left, said in another way than by HTTP 402."""
    error = from_status(provider, Reply(402), said)
    assert error is not None
    return error
