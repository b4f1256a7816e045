"""Exceptions of the HTTP libraries, read as errors of ours.

The bridge between httpx and aiohttp maps "the server hung up after the request was sent" to a connect
timeout, so httpx's exception types do not tell whether a request left this machine. aiohttp's own, which are
their causes, do.
"""

from __future__ import annotations

import errno
import ssl

import aiohttp
import httpx
from aiohttp.http_exceptions import HttpProcessingError

from ..errors import BadResponse, Meaning, ProviderUnavailable, RemoteUpscaleError, TimedOut
from ..text import clean


class ProxyRefused(aiohttp.ClientProxyConnectionError):
    """A SOCKS proxy that is there made no connection: to us, or to where we want."""


FOREIGN = (
    httpx.HTTPError,
    httpx.StreamError,
    httpx.InvalidURL,
    aiohttp.ClientError,
    HttpProcessingError,
    OSError,
    ValueError,
    EOFError,
)
"""Everything that sending a request or reading its reply may raise."""

# A connector's error is raised only while a connection is made; nothing of the request was written yet.
_NEVER_SENT = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.ServerFingerprintMismatch,
    aiohttp.ClientHttpProxyError,
    aiohttp.InvalidURL,
    httpx.InvalidURL,
    httpx.UnsupportedProtocol,
)


def translate(error: Exception, host: str, idle: float) -> RemoteUpscaleError:
    """The error of ours for one of ``FOREIGN``.

    Args:
        error: what was raised.
        host: who was talked to, for the message.
        idle: seconds after which a silent connection is given up, for the message.

    Returns:
        ``ProviderUnavailable`` (``TRY_AGAIN`` or ``NOT_SENT``) if the request certainly was never sent, else
        ``TimedOut``, ``BadResponse`` for what is not HTTP, or ``ProviderUnavailable`` for a lost reply.
    """
    cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
    if isinstance(cause, _NEVER_SENT):
        return _unreachable(cause, host)
    if isinstance(cause, TimeoutError):
        return TimedOut(
            f"{host} was silent for {idle:g} seconds.",
            hint="Try again later, or raise idle under [time] in settings.toml.",
            meaning=Meaning.UNKNOWN,
        )
    if isinstance(error, httpx.DecodingError) or isinstance(
        cause, (aiohttp.ClientResponseError, HttpProcessingError)
    ):
        return BadResponse(
            f"{host} answered with something that is not HTTP.",
            hint="A proxy in between may be the cause; try again later.",
            meaning=Meaning.UNKNOWN,
        )
    return ProviderUnavailable(
        f"The connection to {host} broke before the answer was complete.",
        hint="Check the network, then try again.",
        meaning=Meaning.UNKNOWN,
    )


def _unreachable(cause: Exception, host: str) -> ProviderUnavailable:
    why, hint, passes = "no connection", "Check the network, the proxy settings and the address.", True
    if isinstance(cause, aiohttp.ClientConnectorError) and cause.os_error.errno == errno.EMFILE:
        why = "this process has as many files open as it may"
        hint = "Raise the limit of open files (`ulimit -n`), or lower at_once in settings.toml."
    elif isinstance(cause, aiohttp.ClientConnectorDNSError):
        why = "its name cannot be resolved"
    elif isinstance(cause, (ssl.SSLError, aiohttp.ClientSSLError)):
        why, passes = "its certificate or encryption is not acceptable", False
        hint = "Check the clock of this machine; behind a proxy that inspects traffic, set SSL_CERT_FILE."
    elif isinstance(cause, aiohttp.ConnectionTimeoutError):
        why = "connecting takes too long"
    elif isinstance(cause, aiohttp.ClientHttpProxyError):
        why, passes = f"the proxy answered HTTP {cause.status}", cause.status >= 500
    elif isinstance(cause, ProxyRefused):
        why = f"the proxy says: {clean(cause.os_error.strerror or 'no')}"
    elif isinstance(cause, aiohttp.ClientProxyConnectionError):
        why = "the proxy cannot be reached"
    return ProviderUnavailable(
        f"{host} cannot be reached: {why}.",
        hint=hint,
        meaning=Meaning.TRY_AGAIN if passes else Meaning.NOT_SENT,
    )
