"""aiohttp under httpx: how requests reach the network."""

from __future__ import annotations

import base64
import socket
import ssl
from collections.abc import Callable, Iterable
from functools import partial
from urllib.parse import unquote
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx
from aiohttp.abc import AbstractResolver, ResolveResult
from httpx_aiohttp import AiohttpTransport

from ..errors import InvalidParameter
from ..text import clean
from .guard import is_loopback, is_loopback_host, is_public, loopback_origins, refused

# Servers commonly drop a connection that was idle for five seconds. Dropping it first keeps a submit from
# being written into a connection that is just being closed, which would leave open whether it was accepted.
_KEEP_ALIVE = 4.0
_READ = 1 << 18
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For connections without TLS. It trusts nobody, should there be TLS after all."""


def create_tls() -> ssl.SSLContext:
    """What https connections trust. It reads more than a hundred certificates, which takes a moment.

    Raises:
        InvalidParameter: those that the environment names cannot be read.
    """
    try:
        return httpx.create_ssl_context()
    except OSError as error:
        raise InvalidParameter(
            f"The certificates of the certification authorities cannot be read: {clean(error)}.",
            hint="Check the files that SSL_CERT_FILE and SSL_CERT_DIR name.",
        ) from None


class PublicResolver(AbstractResolver):
    """Resolves names, and leaves out every address that is not public.

    Under the loopback exception (host and port of a configured loopback root) it leaves out all but loopback
    ones. The connection is made to what is returned here, so there is no second look-up to be fooled by.
    """

    def __init__(self, roots: Iterable[str]) -> None:
        self._exempt = {(host, port) for _scheme, host, port in loopback_origins(roots)}
        self._inner = aiohttp.DefaultResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        allowed = is_loopback if (host.lower(), port) in self._exempt else is_public
        found = [
            result for result in await self._inner.resolve(host, port, family) if allowed(result["host"])
        ]
        if not found:
            raise refused(host, "its name leads to an address that is not public")
        return found

    async def close(self) -> None:
        await self._inner.close()


class Transport(httpx.AsyncBaseTransport):
    """A pool of connections for each scheme, and more for each proxy that the environment names.

    Args:
        tls: gives the context of every https connection; asked for it when the first one is needed.
        guard: the configured roots, when only public addresses may be connected to. Behind a proxy it is the
            proxy that resolves names and connects: links are then checked by their text alone
            (``check_link``), and which addresses can be reached is up to the proxy.

    Raises:
        InvalidParameter: the environment names a proxy of a kind that cannot be used.
    """

    def __init__(self, tls: Callable[[], ssl.SSLContext], *, guard: Iterable[str] | None = None) -> None:
        self._tls = tls
        self._guard = None if guard is None else tuple(guard)
        self._resolver: PublicResolver | None = None
        proxies = getproxies()
        self._proxies = {
            scheme: _proxy(proxies.get(scheme) or proxies.get("all")) for scheme in ("http", "https")
        }
        self._routes: dict[tuple[str, str], AiohttpTransport] = {}
        self._bypass: dict[str, bool] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._route(request.url).handle_async_request(request)
        # The bridge reads 16 KiB at a time; larger pieces make a large download 1.4 times as fast.
        response.stream.CHUNK_SIZE = _READ  # pyright: ignore[reportAttributeAccessIssue]
        return response

    async def aclose(self) -> None:
        for route in self._routes.values():
            await route.aclose()
        if self._resolver is not None:
            await self._resolver.close()

    def _route(self, url: httpx.URL) -> AiohttpTransport:
        proxy = self._proxies.get(url.scheme)
        if proxy is not None and self._direct(url.host):
            proxy = None
        key = url.scheme, str(proxy.url) if proxy else ""
        if key not in self._routes:
            secure = "https" in (url.scheme, proxy.url.scheme if proxy else "")
            tls = self._tls() if secure else _NO_TLS
            client = partial(self._session, tls, guarded=proxy is None)
            self._routes[key] = AiohttpTransport(verify=tls, proxy=proxy, client=client)
        return self._routes[key]

    def _direct(self, host: str) -> bool:
        if host not in self._bypass:
            self._bypass[host] = is_loopback_host(host) or bool(proxy_bypass(host))
        return self._bypass[host]

    def _session(self, tls: ssl.SSLContext, *, guarded: bool) -> aiohttp.ClientSession:
        """Made with the first request, because it belongs to the event loop that runs then."""
        if guarded and self._guard is not None and self._resolver is None:
            self._resolver = PublicResolver(self._guard)
        connector = aiohttp.TCPConnector(
            ssl=tls,
            limit=0,  # how many run at once is decided by those who ask
            keepalive_timeout=_KEEP_ALIVE,
            resolver=self._resolver if guarded else None,
        )
        # ``trust_env`` would also read passwords from a .netrc file and send them to any link's host.
        return aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False, read_bufsize=_READ
        )


def _proxy(address: str | None) -> httpx.Proxy | None:
    if not address:
        return None
    try:
        url = httpx.URL(address if "://" in address else f"http://{address}")
    except httpx.InvalidURL:
        url = httpx.URL()
    if url.scheme not in ("http", "https") or not url.host:
        raise InvalidParameter(
            "The proxy that the environment names cannot be used.",
            hint="HTTPS_PROXY and HTTP_PROXY must be http://host:port; SOCKS is not supported.",
        )
    headers: dict[str, str] = {}
    if url.userinfo:
        user = ":".join(unquote(part) for part in url.userinfo.decode("ascii").split(":", 1))
        headers["Proxy-Authorization"] = f"Basic {base64.b64encode(user.encode()).decode()}"
    return httpx.Proxy(url.copy_with(userinfo=b""), headers=headers)
