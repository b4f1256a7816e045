"""aiohttp under httpx: how requests reach the network."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from typing import Any

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from .guard import Network
from .names import PublicResolver
from .proxies import Proxies, Proxy

# Servers commonly drop a connection that was idle for five seconds. Dropping it first keeps a submit from
# being written into a connection that is just being closed, which would leave open whether it was accepted.
_KEEP_ALIVE = 4.0
_READ = 1 << 18
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For connections without TLS. It trusts nobody, should there be TLS after all."""


class Transport(httpx.AsyncBaseTransport):
    """A pool of connections for each scheme, and more for each proxy that the environment names.

    Args:
        tls: gives the context of every https connection; asked for it when the first one is needed.
        guard: the configured roots, when only public addresses may be connected to. Behind a proxy it is the
            proxy that resolves names and connects: links are then checked by their text alone
            (``check_link``), and which addresses can be reached is up to the proxy.
        ranges: of addresses that names may lead to, too.
    """

    def __init__(
        self,
        tls: Callable[[], ssl.SSLContext],
        *,
        guard: Iterable[str] | None = None,
        ranges: Collection[Network] = (),
    ) -> None:
        self._tls = tls
        self._guard = None if guard is None else tuple(guard)
        self._ranges = ranges
        self._resolver: PublicResolver | None = None
        self._proxies = Proxies()
        self._routes: dict[tuple[str, Proxy | None], AiohttpTransport] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request.

        Raises:
            InvalidParameter: it needs a proxy of a kind that cannot be used.
        """
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
        proxy = self._proxies.of(url)
        key = url.scheme, proxy
        if key not in self._routes:
            secure = "https" in (url.scheme, proxy.url.scheme if proxy else "")
            tls = self._tls() if secure else _NO_TLS
            self._routes[key] = AiohttpTransport(
                verify=tls,
                proxy=proxy.over_http() if proxy is not None and proxy.socks is None else None,
                client=partial(self._session, tls, proxy),
            )
        return self._routes[key]

    def _session(self, tls: ssl.SSLContext, proxy: Proxy | None) -> aiohttp.ClientSession:
        """Made with the first request, because it belongs to the event loop that runs then."""
        options: dict[str, Any] = {
            "ssl": tls,
            "limit": 0,  # how many run at once is decided by those who ask
            "keepalive_timeout": _KEEP_ALIVE,
        }
        if proxy is None and self._guard is not None:
            self._resolver = self._resolver or PublicResolver(self._guard, self._ranges)
            options["resolver"] = self._resolver
        connector = _through_socks(proxy, options) if proxy is not None and proxy.socks else None
        # ``trust_env`` would also read passwords from a .netrc file and send them to any link's host.
        return aiohttp.ClientSession(
            connector=connector or aiohttp.TCPConnector(**options),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            read_bufsize=_READ,
        )


def _through_socks(proxy: Proxy, options: Mapping[str, Any]) -> aiohttp.TCPConnector:
    from .socks import SocksConnector  # noqa: PLC0415 (few have such a proxy)

    return SocksConnector.to(proxy, options)
