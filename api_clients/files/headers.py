"""A picture's size and kind from its header, without decoding anything and whatever its size is."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

from .formats import jpeg, png, webp
from .formats.structure import Source

_PNG_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_START_OF_SCAN = 0xDA
_PALETTE = 3
_ALPHA_FLAG = 0x10


@dataclass(frozen=True)
class Header:
    """What a picture's header says.

    Attributes:
        width: in pixels, as stored.
        height: likewise.
        orientation: how it is turned, 1 to 8, as in EXIF.
        alpha: whether it can be transparent.
        frames: more than one when it is animated.
        gray: whether it has no colours.
        depth: bits of each colour, 1 to 16; of a palette's, 8.
    """

    width: int
    height: int
    orientation: int = 1
    alpha: bool = False
    frames: int = 1
    gray: bool = False
    depth: int = 8

    @property
    def turned(self) -> bool:
        """Whether width and height change places when it is shown."""
        return self.orientation >= 5


@dataclass(frozen=True)
class PngHeader:
    """The fields of IHDR that say how much data there is."""

    width: int
    height: int
    depth: int
    colour: int
    interlaced: bool


def read_png_header(source: Source) -> PngHeader:
    """A PNG's IHDR.

    Raises:
        InvalidInput: it has no valid one.
    """
    chunk = next(png.chunks(source))
    data = source.at(chunk.data[0], 13)
    width, height = int.from_bytes(data[:4], "big"), int.from_bytes(data[4:8], "big")
    depth, colour, compression, filtering, interlace = data[8:]
    if depth not in _PNG_DEPTHS.get(colour, ()) or compression or filtering or interlace > 1:
        raise source.broken("its header makes no sense")
    return PngHeader(width, height, depth, colour, interlace == 1)


def read_header(source: Source) -> Header:
    """The header of a PNG, JPEG or WebP.

    Raises:
        InvalidInput: it is damaged or cut off.
    """
    header = _READERS[source.format](source)
    if not header.width or not header.height:
        raise source.broken("its size is zero")
    return header


def _png(source: Source) -> Header:
    start = read_png_header(source)
    alpha, frames = start.colour in {4, 6}, 1
    for chunk in png.chunks(source):
        if chunk.name == b"tRNS":
            alpha = True
        elif chunk.name == b"acTL":
            frames = source.number(chunk.data[0], 4)
    return Header(
        start.width,
        start.height,
        orientation=png.read_orientation(source),
        alpha=alpha,
        frames=frames,
        gray=start.colour in {0, 4},
        depth=8 if start.colour == _PALETTE else start.depth,
    )


def _jpeg(source: Source) -> Header:
    for marker in jpeg.markers(source):
        if marker.code in _FRAME_MARKERS:
            depth, height, width, channels = struct.unpack(">BHHB", source.at(marker.start + 4, 6))
            orientation = jpeg.read_orientation(source)
            return Header(width, height, orientation, gray=channels == 1, depth=depth)
        if marker.code == _START_OF_SCAN:
            break
    raise source.broken("there is no picture in it")


def _webp(source: Source) -> Header:
    found = webp.chunks(source)
    first = next(found, None)
    if first is None or first.name not in _WEBP_READERS:
        raise source.broken("there is no picture in it")
    width, height, alpha = _WEBP_READERS[first.name](source, first.start)
    frames = sum(chunk.name == b"ANMF" for chunk in found)
    return Header(width, height, webp.read_orientation(source), alpha, max(1, frames))


def _webp_lossy(source: Source, start: int) -> tuple[int, int, bool]:
    data = source.at(start, 10)
    if data[3:6] != b"\x9d\x01\x2a":
        raise source.broken("its header makes no sense")
    return int.from_bytes(data[6:8], "little") & 0x3FFF, int.from_bytes(data[8:10], "little") & 0x3FFF, False


def _webp_lossless(source: Source, start: int) -> tuple[int, int, bool]:
    data = source.at(start, 5)
    if data[0] != 0x2F:
        raise source.broken("its header makes no sense")
    bits = int.from_bytes(data[1:], "little")
    return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, bool(bits >> 28 & 1)


def _webp_extended(source: Source, start: int) -> tuple[int, int, bool]:
    data = source.at(start, 10)
    width, height = int.from_bytes(data[4:7], "little") + 1, int.from_bytes(data[7:10], "little") + 1
    return width, height, bool(data[0] & _ALPHA_FLAG)


_WEBP_READERS: dict[bytes, Callable[[Source, int], tuple[int, int, bool]]] = {
    b"VP8 ": _webp_lossy,
    b"VP8L": _webp_lossless,
    b"VP8X": _webp_extended,
}
_READERS: dict[str, Callable[[Source], Header]] = {"png": _png, "jpeg": _jpeg, "webp": _webp}
