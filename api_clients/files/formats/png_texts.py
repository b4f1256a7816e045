"""PNG: the two texts that can say how the picture is turned."""

from __future__ import annotations

import zlib

from .orientation import LARGEST

XMP = b"XML:com.adobe.xmp"
RAW_EXIF = b"Raw profile type exif"
"""EXIF in hexadecimal digits, as ImageMagick writes it."""


def read_text(name: bytes, data: bytes) -> tuple[bytes, bytes]:
    """The keyword of a text chunk and what it says; nothing where it is damaged or too long.

    Args:
        name: of the chunk: ``tEXt``, ``zTXt`` or ``iTXt``.
        data: its data.
    """
    keyword, _, rest = data.partition(b"\0")
    if name == b"zTXt":
        return keyword, _inflated(rest[1:]) if rest[:1] == b"\0" else b""
    if name == b"tEXt":
        return keyword, rest
    packed, method, rest = rest[:1], rest[1:2], rest[2:]
    text = rest.partition(b"\0")[2].partition(b"\0")[2]
    if packed not in {b"", b"\0"}:
        text = _inflated(text) if method == b"\0" else b""
    try:
        text.decode()
    except UnicodeDecodeError:
        return keyword, b""
    return keyword, text


def read_raw_exif(text: bytes) -> bytes:
    """The EXIF block that ``RAW_EXIF`` holds; empty where it is damaged."""
    try:
        return bytes.fromhex(b"".join(text.split(b"\n")[3:]).decode("ascii"))
    except ValueError:
        return b""


def _inflated(data: bytes) -> bytes:
    inflate = zlib.decompressobj()
    try:
        text = inflate.decompress(data, LARGEST)
    except zlib.error:
        return b""
    return b"" if inflate.unconsumed_tail else text
