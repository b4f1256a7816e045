"""What may be fetched from, or sent to, a link that someone else handed us. Pure functions, no sockets.

A link must be https and lead to a public address. The one exception serves the sandbox and the tests: a link
on exactly the scheme, host and port of a configured root that is itself a loopback address.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import (
    AddressValueError,
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from ..errors import BadResponse
from ..urls import Origin, origin, split

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# One spelling that every URL parser reads alike, so that what is checked here is what is connected to.
_AUTHORITY = re.compile(
    r"https?://(?:[a-z0-9._-]{1,253}|\[[0-9a-f:.]{2,45}\])(?::[1-9]\d{0,4})?(?=[/?#]|$)", re.IGNORECASE
)
_ENDS_IN_NUMBER = re.compile(r"(?:.*\.)?(?:\d+|0x[0-9a-f]*)", re.IGNORECASE)
_LONGEST = 16_384
_LOCAL_NAMES = ("localhost", "local", "internal", "intranet", "lan", "home", "corp", "private")

_NOT_PUBLIC_4 = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's own services, seen from inside a virtual machine
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/3",
    )
)
_PUBLIC_6 = IPv6Network("2000::/3")
_NOT_PUBLIC_6 = tuple(IPv6Network(text) for text in ("2001::/23", "2001:db8::/32", "3fff::/20"))
# IPv6 ranges that carry an IPv4 address, and how many bits stand after it.
_CARRIES_4 = (
    (IPv6Network("::ffff:0:0/96"), 0),
    (IPv6Network("64:ff9b::/96"), 0),
    (IPv6Network("2002::/16"), 80),
)


def is_public(address: str | Address) -> bool:
    """Whether an IP address is one of the public internet. Anything that is no address is not.

    IPv4 addresses inside IPv6 ones (mapped, 6to4, NAT64) count as what they carry.
    """
    found = _parse(address)
    if isinstance(found, IPv6Address):
        inner = _carried(found)
        if inner is None:
            return found in _PUBLIC_6 and not any(found in network for network in _NOT_PUBLIC_6)
        found = inner
    return found is not None and not any(found in network for network in _NOT_PUBLIC_4)


def lies_in(address: str | Address, networks: Iterable[Network]) -> bool:
    """Whether an IP address, or the IPv4 address that it carries, is in one of these networks."""
    found = _parse(address)
    if found is None:
        return False
    inner = _carried(found) if isinstance(found, IPv6Address) else None
    return any(one in network for network in networks for one in (found, inner) if one is not None)


def is_loopback(address: str | Address) -> bool:
    """Whether an IP address is this very machine."""
    found = _parse(address)
    return found is not None and found.is_loopback


def is_loopback_host(host: str) -> bool:
    """Whether a URL's host names this very machine: ``localhost``, or a loopback address."""
    return host == "localhost" or is_loopback(host)


def loopback_origins(roots: Iterable[str]) -> frozenset[Origin]:
    """The origins of those roots that are loopback ones: the only loopback links that are allowed."""
    found = (origin(root) for root in roots)
    return frozenset(place for place in found if place is not None and is_loopback_host(place[1]))


def check_link(url: str, roots: Iterable[str]) -> None:
    """Refuse a link that may not be followed, by its text alone.

    Names are checked a second time when they are resolved, by the address that is connected to.

    Args:
        url: the link.
        roots: the configured roots, for the loopback exception.

    Raises:
        BadResponse: it is refused; says why, and names the host but never the whole link.
    """
    place = _usable(url)
    if place in loopback_origins(roots):
        return
    scheme, host, _port = place
    if scheme != "https":
        raise refused(host, "it is not https")
    if ":" in host or _ENDS_IN_NUMBER.fullmatch(host.rstrip(".")):
        if not is_public(host):
            raise refused(host, "it is not a public address")
    elif "." not in host.strip(".") or host.rstrip(".").rpartition(".")[2] in _LOCAL_NAMES:
        raise refused(host, "it is not a public name")


def refused(host: str, why: str) -> BadResponse:
    """The error for a link to ``host`` that is not followed."""
    return BadResponse(
        f"A link to {host} is refused: {why}.",
        hint="Only https links to public addresses are followed; if it happens again, ask the provider.",
    )


def _usable(url: str) -> Origin:
    parts = split(url) if len(url) <= _LONGEST else None
    place = origin(url)
    if parts is None or place is None or not _AUTHORITY.match(url) or place[2] > 65_535:
        raise BadResponse(
            "A link is refused: it is not a plain https address.", hint="Ask the provider about it."
        )
    return place


def _parse(address: str | Address) -> Address | None:
    """An address in its one canonical spelling; octal, hexadecimal and short forms of IPv4 are none."""
    try:
        return ip_address(address)
    except (AddressValueError, ValueError):
        return None


def _carried(address: IPv6Address) -> IPv4Address | None:
    for network, after in _CARRIES_4:
        if address in network:
            return IPv4Address(int(address) >> after & 0xFFFF_FFFF)
    return None
