"""Getting an input as a provider does: from the address in the submit, if it is what is supported."""

from __future__ import annotations

import asyncio
import base64
import binascii
import ipaddress
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

import aiohttp

from ..models import Limits
from .problems import InputRefused, Problem
from .spool import TooLong, spool

MOST_BYTES = 20 * 1024**3
"""Larger inputs are refused where the model documents no limit of its own."""

_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=60)


async def fetch(
    session: aiohttp.ClientSession, address: str, path: Path, limits: Limits, *, inline: bool
) -> str:
    """Put an input into a new file.

    Args:
        session: for the request.
        address: of the input; loopback only, so that the sandbox never touches the network.
        path: the file to make.
        limits: what the model takes.
        inline: whether data URIs are taken.

    Returns:
        The input's format, one of ``limits.formats``.

    Raises:
        InputRefused: it cannot be had, or is not what the model takes; no file remains.
    """
    most = limits.max_bytes or MOST_BYTES
    if address.startswith("data:") and inline:
        await asyncio.to_thread(_unpack, address, path, most)
    else:
        await _download(session, address, path, most)
    try:
        return await asyncio.to_thread(check_format, path, limits)
    except InputRefused:
        await asyncio.to_thread(path.unlink, missing_ok=True)
        raise


def check_format(path: Path, limits: Limits) -> str:
    """The format of a file, told from its first bytes.

    Raises:
        InputRefused: it is none of ``limits.formats``.
    """
    with path.open("rb") as file:
        found = sniff(file.read(4096))
    if found not in limits.formats:
        words = ", ".join(limits.formats)
        raise InputRefused(
            Problem.FORMAT, f"Unsupported input format: {found or 'unknown'}. Supported: {words}."
        )
    return found


def sniff(head: bytes) -> str | None:
    """``png``, ``jpeg``, ``webp``, ``mp4``, ``mov``, ``avi``, ``webm``, or ``None`` for anything else."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if head.startswith(b"RIFF"):
        return {b"WEBP": "webp", b"AVI ": "avi"}.get(head[8:12])
    if head[4:8] == b"ftyp":
        return "mov" if head[8:12] == b"qt  " else "mp4"
    if head.startswith(b"\x1a\x45\xdf\xa3"):  # EBML; Matroska has the same, so its document type decides
        return "webm" if b"webm" in head[:64] else None
    return None


def is_loopback(host: str | None) -> bool:
    """Whether a host is this machine by its literal address or as ``localhost``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


async def _download(session: aiohttp.ClientSession, address: str, path: Path, most: int) -> None:
    failed = "Failed to download the input file."
    try:
        parts = urlsplit(address)
        near = is_loopback(parts.hostname) and parts.scheme in ("http", "https")
    except ValueError:
        near = False
    if not near:
        raise InputRefused(Problem.DOWNLOAD, f"{failed} (The sandbox fetches from loopback addresses only.)")
    try:
        async with session.get(address, allow_redirects=False, timeout=_TIMEOUT) as reply:
            if reply.status != 200:
                raise InputRefused(Problem.DOWNLOAD, f"{failed} The server answered {reply.status}.")
            await spool(reply.content.iter_chunked(1 << 20), path, limit=most)
    except TooLong:
        raise InputRefused(Problem.BYTES, f"The input file is larger than {most} bytes.") from None
    except (aiohttp.ClientError, TimeoutError, ValueError):
        raise InputRefused(Problem.DOWNLOAD, failed) from None


def _unpack(address: str, path: Path, most: int) -> None:
    head, comma, rest = address.partition(",")
    try:
        content = (
            base64.b64decode(rest, validate=True) if head.endswith(";base64") else unquote_to_bytes(rest)
        )
    except (binascii.Error, ValueError):
        comma, content = "", b""
    if not comma:
        raise InputRefused(Problem.DOWNLOAD, "The input is not a readable data URI.")
    if len(content) > most:
        raise InputRefused(Problem.BYTES, f"The input file is larger than {most} bytes.")
    path.write_bytes(content)
