"""The one object that talks HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from types import TracebackType
from typing import Self

import httpx

from ..errors import AuthenticationFailed, BadResponse, Meaning, RemoteUpscaleError
from ..files.spliced_file import SplicedFile
from ..http_messages import Reply, Request
from ..redaction import get_logger
from ..settings import Settings
from ..urls import lies_under, origin
from .download import Download, Downloaded
from .failures import FOREIGN, translate
from .guard import check_link, is_loopback_host
from .logs import our_request, silence_httpx
from .names import check_name
from .partial_file import PartialFile
from .progress import Progress, harmless
from .proxies import Proxies
from .retry import RetryBudget
from .tls import tls_context
from .transport import Transport

_log = get_logger(__name__)
_PIECE = 1 << 16
_UPLOAD_REPLY = 1 << 20
_LARGE_REPLY = 1 << 20
# Only what can be decompressed within bounds is asked for and accepted; never one coding inside another.
_CODINGS = {"gzip", "deflate", "identity", "aws-chunked"}


class Http:
    """Every request of the process: one pool for the configured roots, one guarded pool for links.

    The guarded pool connects to public addresses only (see ``guard``); it is used for every URL that is not
    under a configured root, whoever gave it. Redirects are followed by ``download`` alone, each hop checked,
    and never with a key. Cookies are not kept. Proxies of the environment (``HTTPS_PROXY``, ``NO_PROXY``) are
    used; see ``Transport`` for what that means for the guard.

    Everything that goes wrong is raised as one of our errors. Use it from one event loop.

    Args:
        settings: roots, ``time.idle`` and ``size`` are used.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._roots = settings.roots.all()
        silence_httpx()
        self._tls = cache(tls_context)
        self._api = self._client(Transport(self._tls))
        self._links = self._client(Transport(self._tls, guard=self._roots, ranges=settings.names_may_lead_to))
        self._proxies = Proxies()
        self._names: set[str] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def check_certificates(self) -> None:
        """Read what https connections are checked against, which the first of them does otherwise.

        Raises:
            InvalidParameter: a variable names certificates that cannot be used.
        """
        self._tls()

    async def aclose(self) -> None:
        """Close every connection."""
        await self._api.aclose()
        await self._links.aclose()

    def proxy_of(self, url: str) -> str | None:
        """The address of the proxy that requests to a URL go through, if any.

        Raises:
            InvalidParameter: it is one of a kind that cannot be used.
        """
        proxy = self._proxies.of(httpx.URL(url))
        return str(proxy.url) if proxy else None

    async def check_name(self, url: str, *, public: bool) -> None:
        """See that a host's name leads to where a link could be followed to. A proxy looks up its own.

        Args:
            url: of the host.
            public: whether it is known to be in the public internet; else it may be in a private network.

        Raises:
            ProviderUnavailable: it does not; nothing was sent.
            InvalidParameter: the proxy on the way there cannot be used.
        """
        host = httpx.URL(url).host
        if host in self._names or is_loopback_host(host) or self.proxy_of(url) is not None:
            return
        await check_name(host, self._settings.names_may_lead_to, public=public)
        self._names.add(host)

    async def call(
        self, request: Request, *, root: str, auth: Mapping[str, str], limit: int | None = None
    ) -> Reply:
        """Make one API request. Does not judge the reply's status, and does not follow redirects.

        Args:
            request: what to send.
            root: the only place that ``auth`` may be sent to. One that is not configured (a provider's reply
                named it) must pass the guard.
            auth: headers with the key.
            limit: the largest reply in bytes, after decompression; the settings' ``reply_bytes`` by default.

        Raises:
            ProviderUnavailable: ``TRY_AGAIN`` if the request certainly was never sent; else
                ``UNKNOWN``.
            TimedOut: nothing came, or nothing was taken, for ``time.idle`` seconds.
            BadResponse: the URL is not under ``root``, the reply is too large or is not HTTP.
            AuthenticationFailed: the key cannot be one. Nothing was sent.
        """
        if not lies_under(root, request.url):
            raise BadResponse(
                "The provider named an address outside its own; no key is sent there.",
                meaning=Meaning.NOT_SENT,
            )
        for value in auth.values():
            if not (value.isascii() and value.isprintable()):
                raise AuthenticationFailed(
                    "The key holds characters that no key has.",
                    hint="Set it again, without quotes and line breaks.",
                    meaning=Meaning.NOT_SENT,
                )
        headers = {"Accept-Encoding": "gzip, deflate", **request.headers, **auth}
        body = request.body if len(request.body) <= _PIECE else _pieces(request.body)
        if request.body:
            headers["Content-Length"] = str(len(request.body))
        request = replace(request, headers=headers)
        async with self._open(self._pool(root), request, body) as response:
            reply = await _read(response, self._settings.size.reply_bytes if limit is None else limit)
        if len(reply.body) > _LARGE_REPLY:
            await asyncio.to_thread(reply.parse)
        return reply

    async def download(
        self,
        url: str,
        partial: PartialFile,
        *,
        max_bytes: int,
        progress: Progress | None = None,
        budget: RetryBudget | None = None,
    ) -> Downloaded:
        """Fetch a provider's result link. One attempt, no key.

        It goes on where ``partial`` ends, if the server allows that and has the same version still; else it
        begins anew. After a failure ``partial`` has what came, for the next attempt.

        Args:
            url: the link. It and every redirect (five at most) must be https to a public address.
            partial: where it goes, and what is there of it.
            max_bytes: the largest result.
            progress: called in the event loop, about once for each MiB; what it raises is logged.
            budget: of the attempts at this file; told of what comes.

        Raises:
            ResultLost: the link is not valid any more.
            StorageFailed: the file cannot be written.
            ProviderUnavailable: the server has trouble, or the connection broke; ``retryable``.
            TimedOut: nothing came for ``time.idle`` seconds; ``retryable``.
            BadResponse: a refused link, too large, or not a picture or clip.
        """
        download = Download(
            self._get, partial, max_bytes, _quiet(progress), budget.transfer() if budget else _nobody
        )
        return await download.fetch(url)

    async def upload(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        source: SplicedFile,
        offset: int = 0,
        length: int | None = None,
        progress: Progress | None = None,
        budget: RetryBudget | None = None,
    ) -> Reply:
        """Send a file, or a part of it, in flat memory. Does not judge the reply's status.

        Args:
            method: ``PUT`` or ``POST``.
            url: a link that a provider gave for this, or one under a root; must pass the guard.
            headers: all that the receiver needs; what is in here goes to ``url``.
            source: the file.
            offset: where in it to begin.
            length: how many bytes of it; ``None`` for all that follow.
            progress: called with the bytes handed to the network so far, and how many there are; what it
                raises is logged.
            budget: of the attempts at this upload; told of what goes out.

        Raises:
            InvalidInput: the file cannot be read or has changed.
            ProviderUnavailable, TimedOut, BadResponse: as ``call`` does.
        """
        count = source.size - offset if length is None else length
        headers = {"Accept-Encoding": "identity", **headers, "Content-Length": str(count)}
        tell, reached = _quiet(progress), budget.transfer() if budget else _nobody

        def report(done: int) -> None:
            reached(done)
            tell(done, count)

        body = source.stream(offset, count)
        request = Request(method, url, headers)
        async with self._open(self._pool(url), request, body, report) as response:
            return await _read(response, _UPLOAD_REPLY)

    def _pool(self, url: str) -> httpx.AsyncClient:
        """The pool for a root, or for what is under one; the guarded one for everything else."""
        if any(url == root or lies_under(root, url) for root in self._roots):
            return self._api
        check_link(url, self._roots)
        return self._links

    def _get(self, url: str, headers: Mapping[str, str]) -> AbstractAsyncContextManager[httpx.Response]:
        check_link(url, self._roots)
        return self._open(self._links, Request("GET", url, headers), b"")

    @asynccontextmanager
    async def _open(
        self,
        client: httpx.AsyncClient,
        request: Request,
        content: bytes | AsyncIterable[bytes],
        report: Callable[[int], None] | None = None,
    ) -> AsyncGenerator[httpx.Response]:
        """Send a request, ``content`` instead of its body; give the reply, its body still to be read.

        Reading it inside this context raises our errors too.
        """
        idle, host = self._settings.time.idle, (origin(request.url) or ("", "the provider", 0))[1]
        method, url, headers = request.method, request.url, dict(request.headers)
        body: _Body | bytes = b""
        try:
            with our_request():
                async with asyncio.timeout(None) as patience:
                    body = content if isinstance(content, bytes) else _Body(content, patience, idle, report)
                    async with client.stream(method, url, headers=headers, content=body) as response:
                        _log.debug("%s %s %s", method, host, response.status_code)
                        _check_coding(response)
                        yield response
        except FOREIGN as error:
            if isinstance(body, _Body) and body.failure is not None:
                raise body.failure from None
            raise translate(error, host, idle) from None

    def _client(self, transport: Transport) -> httpx.AsyncClient:
        idle = self._settings.time.idle
        return httpx.AsyncClient(
            transport=transport,
            timeout=httpx.Timeout(idle),
            headers={"User-Agent": "remote-upscale"},
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
            follow_redirects=False,
            trust_env=False,
        )


class _Body:
    """A request body on its way out.

    aiohttp watches how long a read takes but not how long a write does: a receiver that stops taking bytes is
    found out here, by the time between two pieces.
    """

    def __init__(
        self,
        pieces: AsyncIterable[bytes],
        patience: asyncio.Timeout,
        idle: float,
        report: Callable[[int], None] | None,
    ) -> None:
        self._pieces = pieces
        self._patience = patience
        self._idle = idle
        self._report = report
        self.failure: RemoteUpscaleError | None = None

    async def __aiter__(self) -> AsyncGenerator[bytes]:
        clock = asyncio.get_running_loop().time
        done = 0
        try:
            async for piece in self._pieces:
                self._patience.reschedule(clock() + self._idle)
                yield piece
                done += len(piece)
                if self._report is not None:
                    self._report(done)
        except RemoteUpscaleError as error:
            self.failure = error  # aiohttp would make a network error of it
            raise
        self._patience.reschedule(None)


async def _pieces(body: bytes) -> AsyncGenerator[bytes]:
    for start in range(0, len(body), _PIECE):
        yield body[start : start + _PIECE]


def _quiet(progress: Progress | None) -> Progress:
    return harmless(progress) if progress else _nobody


def _nobody(*_position: int | None) -> None:
    """Told of a position that nobody wants to know."""


def _check_coding(response: httpx.Response) -> None:
    coding = response.headers.get("content-encoding", "identity").strip().lower()
    if coding not in _CODINGS:
        raise BadResponse(
            f"{response.url.host} answered in a compression that was not asked for.", meaning=Meaning.UNKNOWN
        )


async def _read(response: httpx.Response, limit: int) -> Reply:
    """The whole reply, its body in memory and bounded after decompression."""
    pieces: list[bytes] = []
    size = 0
    async for piece in response.aiter_bytes():
        size += len(piece)
        if size > limit:
            raise BadResponse(
                f"{response.url.host} answered with more than {limit:,} bytes.",
                hint="Raise reply_bytes under [size] in settings.toml if that is right.",
            )
        pieces.append(piece)
    return Reply(response.status_code, dict(response.headers), b"".join(pieces))
