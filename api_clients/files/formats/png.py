"""PNG: the chunks that make the picture are kept, all others left out."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from ..spliced_file import SplicedFile
from .exif import minimal_exif, read_orientation
from .structure import Plan, Source

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_KEPT = frozenset(
    b"IHDR PLTE IDAT IEND tRNS cHRM gAMA iCCP sBIT sRGB cICP mDCV mDCv cLLI cLLi bKGD hIST pHYs sTER "
    b"acTL fcTL fdAT".split()
)


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
    turned = False
    for chunk in chunks(source):
        if chunk.name in _KEPT:
            plan.keep(chunk.start, chunk.stop)
        elif chunk.name == b"eXIf":
            orientation = read_orientation(source, *chunk.data)
            if orientation != 1 and not turned:
                plan.put(_chunk(b"eXIf", minimal_exif(orientation)))
                turned = True
        elif chunk.name[:1].isupper():
            raise source.broken(f"it needs the unknown chunk {chunk.name.decode()}")
    return plan.spliced_file()


def _chunk(name: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + name + data + zlib.crc32(name + data).to_bytes(4, "big")
