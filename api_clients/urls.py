"""Comparing addresses, in the one strict way that the handling of keys and links relies on."""

from __future__ import annotations

from urllib.parse import SplitResult, unquote, urlsplit

Origin = tuple[str, str, int]
"""Scheme, host and port."""


def split(url: str) -> SplitResult | None:
    """The parts of an http(s) URL, or ``None`` for anything that is not plainly one."""
    if not url.isascii() or not url.isprintable() or any(char in url for char in " \\"):
        return None
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 (raises for a port that is no number)
    except ValueError:
        return None
    return parts if parts.scheme in ("http", "https") and parts.hostname else None


def origin(url: str) -> Origin | None:
    """Scheme, host in lower case and port of a URL, defaults filled in."""
    parts = split(url)
    if parts is None or parts.hostname is None:
        return None
    default = 443 if parts.scheme == "https" else 80
    return parts.scheme, parts.hostname, default if parts.port is None else parts.port


def lies_under(root: str, url: str) -> bool:
    """Whether ``url`` has the root's origin and a path below the root's, without user info or ``..``."""
    parts, base = split(url), split(root)
    if parts is None or base is None or origin(url) != origin(root):
        return False
    if parts.username is not None or ".." in unquote(parts.path).split("/"):
        return False
    return parts.path.startswith(base.path.rstrip("/") + "/")
