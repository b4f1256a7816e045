"""PNG in true colour to floats, in threads: one inflates, one packs, one undoes the filters and converts.

Inflating is most of the work and cannot be divided, so nothing else waits for it. The filters are undone by
OpenCV: it is given the inflated rows as small files that are not compressed, with the row above in front.
"""

# OpenCV's own annotations are incomplete.
# pyright: reportUnknownMemberType=false
from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch

from ...api_clients.files.formats import png
from ...api_clients.files.formats.png import SIGNATURE
from ...api_clients.files.formats.structure import Source
from ...api_clients.files.headers import read_png_header
from .alpha import with_channels
from .parallel import in_order
from .png import STREAM_HEADER, chunk, combine_adler, isal
from .quantize import to_float

STRIP = 1 << 19
"""Bytes of rows that are worked on together."""
_READ = 1 << 18
"""Compressed bytes that are inflated together; what is not used up is copied each time."""
_CHANNELS = {2: 3, 6: 4}
_HIGHEST_FILTER = 4
_LONGEST = 0xFFFF
"""Bytes of a block of deflate that is not compressed."""
_END = chunk(b"IEND", b"")


@dataclass(frozen=True)
class Layout:
    """Where a PNG's rows are and how long they are."""

    width: int
    height: int
    depth: int
    colour: int
    data: tuple[png.Chunk, ...]

    @property
    def stride(self) -> int:
        """Bytes of a row, the one that names its filter included."""
        return 1 + self.width * _CHANNELS[self.colour] * self.depth // 8

    @property
    def rows(self) -> int:
        """Rows that are worked on together."""
        return min(self.height, max(1, STRIP // self.stride))


@dataclass(frozen=True)
class _Rows:
    """Rows as a PNG's data without compression.

    Attributes:
        length: in bytes.
        data: IDAT chunk; the stream ends with it but for its checksum.
        adler: checksum of the rows.
    """

    length: int
    data: bytes
    adler: int


def read_layout(source: Source) -> Layout | None:
    """The layout of a PNG that ``read_rows`` can read: RGB or RGBA, not interlaced, no transparent colour.

    Raises:
        InvalidInput: its structure is damaged.
    """
    header = read_png_header(source)
    if header.colour not in _CHANNELS or header.interlaced:
        return None
    data: list[png.Chunk] = []
    for part in png.chunks(source):
        if part.name == b"tRNS":
            return None
        if part.name == b"IDAT":
            data.append(part)
    return Layout(header.width, header.height, header.depth, header.colour, tuple(data))


def read_rows(source: Source, layout: Layout, out: torch.Tensor) -> None:
    """Decode a PNG. Blocking.

    Args:
        source: the file.
        layout: its own.
        out: [H,W,3] or [H,W,4], contiguous float32: becomes exactly v / 255 or v / 65535. Alpha is left out,
            or is 1, where the file has it otherwise.

    Raises:
        InvalidInput: it is damaged.
    """
    unfilter = _Unfilter(source, layout, out)
    with (
        closing(in_order(_pack, _inflated(source, layout), threads=1, ahead=2)) as packed,
        closing(in_order(unfilter.add, packed, threads=1, ahead=2)) as added,
    ):
        for _ in added:
            pass


def _inflated(source: Source, layout: Layout) -> Iterator[bytes]:
    """The rows as the file has them, filtered, as many at a time as are worked on together."""
    inflate: Any = (isal or zlib).decompressobj()
    missing = layout.height * layout.stride
    pieces: list[bytes] = []
    wanted = layout.rows * layout.stride
    try:
        for block in _blocks(source, layout):
            data = block
            while wanted and (piece := inflate.decompress(data, wanted)):
                data = inflate.unconsumed_tail
                pieces.append(piece)
                wanted -= len(piece)
                if not wanted:
                    rows = b"".join(pieces)
                    pieces.clear()
                    missing -= len(rows)
                    wanted = min(missing, layout.rows * layout.stride)
                    if max(rows[:: layout.stride]) > _HIGHEST_FILTER:
                        raise source.broken("its rows are damaged")
                    yield rows
    except (isal or zlib).error:
        raise source.broken("its compressed data are damaged") from None
    if missing:
        raise source.broken("rows of it are missing")


def _blocks(source: Source, layout: Layout) -> Iterator[bytes]:
    """The compressed data; short chunks are joined, and checksums compared behind each chunk."""
    crc32 = (isal or zlib).crc32
    parts: list[bytes] = []
    size = 0
    for part in layout.data:
        checksum = crc32(part.name)
        start, stop = part.data
        for offset in range(start, stop, _READ):
            data = source.at(offset, min(_READ, stop - offset))
            checksum = crc32(data, checksum)
            parts.append(data)
            size += len(data)
            if size >= _READ:
                yield b"".join(parts)
                parts.clear()
                size = 0
        if checksum != source.number(stop, 4):
            raise source.broken("a checksum of IDAT is wrong")
    yield b"".join(parts)


def _stored(data: bytes, *, last: bool) -> bytes:
    """Data as deflate has them without compression."""
    view = memoryview(data)
    parts: list[bytes | memoryview] = []
    for start in range(0, len(data), _LONGEST):
        block = view[start : start + _LONGEST]
        final = last and start + _LONGEST >= len(data)
        parts += struct.pack("<?HH", final, len(block), len(block) ^ _LONGEST), block
    return b"".join(parts)


def _pack(rows: bytes) -> _Rows:
    return _Rows(len(rows), chunk(b"IDAT", _stored(rows, last=True)), (isal or zlib).adler32(rows))


class _Unfilter:
    """Undoes the filters of rows that follow one another, and puts them where they belong as floats."""

    def __init__(self, source: Source, layout: Layout, out: torch.Tensor) -> None:
        self._source = source
        self._layout = layout
        self._out = out
        self._done = 0
        # What PNG takes to be above the first row; the leading zero says that it is not filtered.
        self._above = bytes(layout.stride)

    def add(self, rows: _Rows) -> None:
        """The rows below those that were added before."""
        count = rows.length // self._layout.stride
        pixels = cv2.imdecode(np.frombuffer(self._file(rows, count), np.uint8), cv2.IMREAD_UNCHANGED)
        if pixels is None:  # pyright: ignore[reportUnnecessaryComparison]
            raise self._source.broken("its rows are damaged")
        code = cv2.COLOR_BGR2RGB if pixels.shape[2] == 3 else cv2.COLOR_BGRA2RGBA
        pixels = cv2.cvtColor(pixels, code, dst=pixels)
        self._above = b"\0" + pixels[-1].astype(f">u{pixels.itemsize}").tobytes()
        place = self._out[self._done : self._done + count]
        to_float(with_channels(pixels[1:], place.shape[2]), place)
        self._done += count

    def _file(self, rows: _Rows, count: int) -> bytes:
        layout = self._layout
        header = struct.pack(">IIBBBBB", layout.width, 1 + count, layout.depth, layout.colour, 0, 0, 0)
        above = chunk(b"IDAT", STREAM_HEADER + _stored(self._above, last=False))
        adler = combine_adler(zlib.adler32(self._above), rows.adler, rows.length)
        checksum = chunk(b"IDAT", adler.to_bytes(4, "big"))
        return b"".join((SIGNATURE, chunk(b"IHDR", header), above, rows.data, checksum, _END))
