"""The short-lived token that uploads to fal's storage are made with."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ..errors import BadResponse
from ..http.guard import check_link
from ..http.progress import Progress
from ..http_messages import Reply
from ..json_values import as_text
from ..redaction import hide
from .single_flight import SingleFlight

_MARGIN = 60  # seconds before its end at which a token is renewed
_UNKNOWN_LIFE = 300


@dataclass(frozen=True)
class Token:
    """A token and where it may be sent.

    Attributes:
        base_url: the only place to send it to, besides the configured upload root. No trailing slash.
        expires: Unix time.
    """

    header: Mapping[str, str] = field(repr=False)
    base_url: str
    expires: float

    @classmethod
    def read(cls, reply: Reply, roots: tuple[str, ...]) -> Token:
        """Read fal's reply.

        Raises:
            BadResponse: it holds no token, or names a place that a token must not be sent to.
        """
        body = reply.object()
        token, base_url = as_text(body.get("token")), as_text(body.get("base_url"))
        if token is None or base_url is None or not (token.isascii() and token.isprintable()):
            raise BadResponse("fal's storage gave no upload token.", hint="Try again later.")
        hide(token, passing=True)
        check_link(base_url, roots)
        kind = as_text(body.get("token_type")) or "Bearer"
        header = {"Authorization": f"{kind if kind.isalpha() else 'Bearer'} {token}"}
        return cls(header, base_url.rstrip("/"), _time(body.get("expires_at")))


class Tokens:
    """Keeps one token until it is about to end, and asks for the next one once for all who wait.

    Args:
        ask: gets one, and tries again while that may help. Its failure is that of all who wait: none of them
            asks once more by itself.
    """

    def __init__(self, ask: Callable[[], Awaitable[Token]]) -> None:
        self._ask = ask
        self._asking: SingleFlight[Token] = SingleFlight()
        self._token: Token | None = None

    async def get(self) -> Token:
        """A token that works for a while; raises what asking for it raises."""
        if self._token is None or self._token.expires - _MARGIN < time.time():
            self._token = await self._asking.run("token", self._renew)
        return self._token

    async def _renew(self, _progress: Progress) -> Token:
        return await self._ask()


def _time(value: object) -> float:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        moment = None
    if moment is None:
        return time.time() + _UNKNOWN_LIFE
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
