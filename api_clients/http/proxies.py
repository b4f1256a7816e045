"""The proxies that the environment names."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote
from urllib.request import getproxies, proxy_bypass

import httpx

from ..environment import unquoted
from ..errors import InvalidParameter
from .guard import is_loopback_host

_SOCKS = {"socks": 5, "socks5": 5, "socks5h": 5, "socks4": 4, "socks4a": 4}
_PORT = 1080


@dataclass(frozen=True)
class Proxy:
    """A proxy.

    Attributes:
        url: its address, without what opens it.
        socks: the version of SOCKS that it speaks; ``None`` for HTTP.
        user: name and password, where it wants them.
    """

    url: httpx.URL
    socks: int | None
    user: tuple[str, str] | None = field(default=None, repr=False)

    @property
    def port(self) -> int:
        """Where a SOCKS proxy listens."""
        return self.url.port or _PORT

    def over_http(self) -> httpx.Proxy:
        """The same for the HTTP client."""
        headers: dict[str, str] = {}
        if self.user is not None:
            login = base64.b64encode(":".join(self.user).encode()).decode()
            headers["Proxy-Authorization"] = f"Basic {login}"
        return httpx.Proxy(self.url, headers=headers)


class Proxies:
    """Which proxy a request goes through. A proxy that no request needs is not judged.

    ``HTTPS_PROXY`` and ``HTTP_PROXY`` count for their kind of address, ``ALL_PROXY`` for both. Loopback
    addresses, and what ``NO_PROXY`` names, are reached directly.
    """

    def __init__(self) -> None:
        self._named: Mapping[str, str] = getproxies()
        self._found: dict[str, Proxy | None] = {}
        self._bypass: dict[str, bool] = {}

    def of(self, url: httpx.URL) -> Proxy | None:
        """The proxy for a request; ``None`` where it goes directly.

        Raises:
            InvalidParameter: it would be one of a kind that cannot be used; names the variable.
        """
        named = self._named.get(url.scheme) or self._named.get("all")
        if not named or self._direct(url.host):
            return None
        if url.scheme not in self._found:
            variable = f"{url.scheme.upper()}_PROXY" if self._named.get(url.scheme) else "ALL_PROXY"
            self._found[url.scheme] = _read(variable, named)
        return self._found[url.scheme]

    def _direct(self, host: str) -> bool:
        if host not in self._bypass:
            self._bypass[host] = is_loopback_host(host) or bool(proxy_bypass(host))
        return self._bypass[host]


def _read(variable: str, address: str) -> Proxy | None:
    address = unquoted(variable, address).strip()
    if not address:
        return None
    try:
        url = httpx.URL(address if "://" in address else f"http://{address}")
    except httpx.InvalidURL:
        url = httpx.URL()
    if url.scheme not in ("http", "https", *_SOCKS) or not url.host:
        raise InvalidParameter(
            f"The proxy of {variable} cannot be used.",
            hint="It must be http://host:port, or socks5://host:port for SOCKS.",
        )
    user = None
    if url.userinfo:
        name, _, password = url.userinfo.decode("ascii").partition(":")
        user = unquote(name), unquote(password)
    return Proxy(url.copy_with(userinfo=b""), _SOCKS.get(url.scheme), user)
