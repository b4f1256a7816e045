"""PNG: the chunks that make the picture are kept, all others left out."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from ..spliced_file import SplicedFile
from .icc import public_profile
from .orientation import LARGEST, minimal_exif, shown_orientation
from .png_texts import RAW_EXIF, XMP, read_raw_exif, read_text
from .structure import Plan, Source

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_KEPT = frozenset(
    b"IHDR PLTE IDAT IEND tRNS cHRM gAMA sBIT sRGB cICP mDCV mDCv cLLI cLLi bKGD hIST pHYs sTER "
    b"acTL fcTL fdAT".split()
)
_TEXTS = frozenset(b"tEXt zTXt iTXt".split())
_PROFILE = b"ICC profile"
_LARGEST_PROFILE = 16 << 20


@dataclass(frozen=True)
class Chunk:
    """A chunk from its length field at ``start`` to behind its checksum at ``stop``."""

    name: bytes
    start: int
    stop: int

    @property
    def data(self) -> tuple[int, int]:
        """Where its data start and stop."""
        return self.start + 8, self.stop - 4


def chunks(source: Source) -> Iterator[Chunk]:
    """All chunks from IHDR up to and with IEND.

    Raises:
        InvalidInput: it is no PNG, or ends before IEND.
    """
    if source.at(0, len(SIGNATURE)) != SIGNATURE:
        raise source.broken("it does not begin like one")
    offset = len(SIGNATURE)
    while True:
        header = source.at(offset, 8)
        length, name = int.from_bytes(header[:4], "big"), header[4:]
        stop = offset + length + 12
        if (name == b"IHDR") != (offset == len(SIGNATURE)) or not name.isalpha():
            raise source.broken("its chunks are in disorder")
        if stop > source.size:
            raise source.cut_off()
        yield Chunk(name, offset, stop)
        if name == b"IEND":
            return
        offset = stop


def strip(source: Source) -> SplicedFile:
    """The picture alone.

    Raises:
        InvalidInput: it is no PNG, is damaged, or needs a chunk that is not in the standard.
    """
    plan = Plan(source)
    plan.keep(0, len(SIGNATURE))
    orientation = read_orientation(source)
    profile = public_profile(read_profile(source))
    for chunk in chunks(source):
        if chunk.name in _KEPT:
            plan.keep(chunk.start, chunk.stop)
        elif chunk.name == b"iCCP" and profile:
            plan.put(_chunk(b"iCCP", _PROFILE + b"\0\0" + zlib.compress(profile)))
            profile = None
        elif chunk.name[:1].isupper():
            raise source.broken(f"it needs the unknown chunk {chunk.name.decode()}")
        if chunk.name == b"IHDR" and orientation != 1:
            plan.put(_chunk(b"eXIf", minimal_exif(orientation)))
    return plan.spliced_file()


def read_orientation(source: Source) -> int:
    """How the picture is turned, 1 to 8: as EXIF says, in its own chunk or as text, or else XMP.

    Raises:
        InvalidInput: it is no PNG, or ends before IEND.
    """
    exif: bytes | None = None
    texts = {XMP: b"", RAW_EXIF: b""}
    for chunk in chunks(source):
        start, stop = chunk.data
        if stop - start > LARGEST:
            continue
        if chunk.name == b"eXIf":
            exif = source.at(start, stop - start)
        elif chunk.name in _TEXTS and source.up_to(start, 4) in {XMP[:4], RAW_EXIF[:4]}:
            keyword, text = read_text(chunk.name, source.at(start, stop - start))
            if keyword in texts and text:
                texts[keyword] = text
    return shown_orientation(read_raw_exif(texts[RAW_EXIF]) if exif is None else exif, texts[XMP])


def read_profile(source: Source) -> bytes:
    """The ICC profile; empty where there is none, or it is damaged or of no sensible size.

    Raises:
        InvalidInput: it is no PNG, or ends before its picture begins.
    """
    for chunk in chunks(source):
        if chunk.name == b"IDAT":  # a profile comes before it; there can be thousands of these
            break
        if chunk.name == b"iCCP":
            start, stop = chunk.data
            packed = source.at(start, min(stop - start, _LARGEST_PROFILE)).partition(b"\0")[2][1:]
            try:
                return zlib.decompressobj().decompress(packed, _LARGEST_PROFILE)
            except zlib.error:
                return b""
    return b""


def _chunk(name: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + name + data + zlib.crc32(name + data).to_bytes(4, "big")
