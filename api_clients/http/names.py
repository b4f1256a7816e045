"""Where names lead: only to public addresses, and to those of ranges that the user names.

Proxies with fake-IP DNS answer every name with an address of their own making, and carry what is sent to it.
What is uploaded goes to a configured root and passes, but the link to a result, which a provider hands back,
would be refused. So that is noticed before anything is ordered.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Collection, Iterable
from ipaddress import IPv4Network, IPv6Network

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from ..errors import Meaning, ProviderUnavailable
from .guard import Network, is_loopback, is_public, lies_in, loopback_origins, refused

_PATIENCE = 5.0
"""Seconds for a look-up that is made to see where names lead."""
_FAKE = "such as proxies with fake-IP DNS (Clash, Surge, sing-box) give to every name"
_KNOWN: tuple[tuple[Network, str], ...] = (
    (IPv4Network("198.18.0.0/15"), _FAKE),
    (IPv6Network("fc00::/18"), _FAKE),
    (IPv6Network("fdfe:dcba:9876::/64"), _FAKE),
    (IPv4Network("100.64.0.0/10"), "which belongs to the network of a carrier (NAT) or a VPN"),
)
_NEVER = (IPv4Network("100.100.100.200/32"),)
"""Where a cloud hands out credentials, in the middle of the range of the carriers."""
_MADE_UP = tuple(network for network, words in _KNOWN if words == _FAKE)


class PublicResolver(AbstractResolver):
    """Resolves names, and leaves out every address that is neither public nor in a range that is allowed.

    Under the loopback exception (host and port of a configured loopback root) it leaves out all but loopback
    ones. The connection is made to what is returned here, so there is no second look-up to be fooled by.

    Args:
        roots: the configured ones.
        ranges: of addresses that names may lead to although they are not public.
    """

    def __init__(self, roots: Iterable[str], ranges: Collection[Network] = ()) -> None:
        self._exempt = {(host, port) for _scheme, host, port in loopback_origins(roots)}
        self._ranges = ranges
        self._inner = aiohttp.DefaultResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        every = await self._inner.resolve(host, port, family)
        if (host.lower(), port) in self._exempt:
            found = [result for result in every if is_loopback(result["host"])]
        else:
            found = [result for result in every if _allowed(result["host"], self._ranges)]
        if not found:
            raise refused(host, f"its name leads to {_words(every[0]['host'] if every else 'nothing')}")
        return found

    async def close(self) -> None:
        await self._inner.close()


async def check_name(host: str, ranges: Collection[Network], *, public: bool) -> None:
    """See that a host's name leads to an address that links could be followed to.

    A name that cannot be looked up passes: whoever connects to it finds that out.

    Args:
        host: the host.
        ranges: of addresses that names may lead to although they are not public.
        public: whether it is known to be in the public internet; else only an address that is surely made up
            is an answer that cannot be right.

    Raises:
        ProviderUnavailable: it leads elsewhere; says what that seems to be, and which setting allows it.
    """
    resolver = aiohttp.DefaultResolver()
    try:
        async with asyncio.timeout(_PATIENCE):
            found = [result["host"] for result in await resolver.resolve(host, 443, socket.AF_UNSPEC)]
    except OSError:  # a timeout is one
        return
    finally:
        await resolver.close()
    if not found or any(_allowed(address, ranges) for address in found):
        return
    if not public and not lies_in(found[0], _MADE_UP):
        return
    allow = next((str(known) for known, _words in _KNOWN if lies_in(found[0], (known,))), None)
    raise ProviderUnavailable(
        f"{host} leads to {_words(found[0])}, so the link to a result would be refused.",
        hint=f'If all names do so here, set names_may_lead_to = ["{allow}"] under [network] in settings.toml.'
        if allow
        else "Check this machine's DNS server and its hosts file.",
        meaning=Meaning.NOT_SENT,
    )


def _allowed(address: str, ranges: Collection[Network]) -> bool:
    return is_public(address) or (lies_in(address, ranges) and not lies_in(address, _NEVER))


def _words(address: str) -> str:
    what = next((f", {words}" for known, words in _KNOWN if lies_in(address, (known,))), "")
    return f"an address that is not public ({address}{what})"
