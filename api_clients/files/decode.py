"""Decoding a picture only to see whether it can be: with as little memory as the format allows."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from PIL.JpegImagePlugin import JpegImageFile

from ..errors import InvalidInput
from ..text import clean
from .damage import damage_as
from .formats import png
from .formats.structure import Source
from .headers import PngHeader, read_png_header
from .spliced_file import SplicedFile
from .strip import strip

_BLOCK = 1 << 20
_LOADED = 32 << 20
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_HIGHEST_FILTER = 4
_CRITICAL = frozenset({b"IHDR", b"PLTE", b"IDAT"})


def decode_image(source: Source) -> None:
    """Decode the whole of a still picture and throw the pixels away. Blocking.

    PNG takes a few MiB of memory, JPEG a 64th of the pixels (progressive ones the coefficients) and at most
    32 MiB of the file, WebP all of both. The file is read once, a JPEG that is larger than that twice.

    Args:
        source: it, open, of a known format; the caller has checked that it is not too large.

    Raises:
        InvalidInput: its structure is damaged, or it cannot be decoded to the end.
    """
    if source.format == "webp" or (source.format == "jpeg" and source.size <= _LOADED):
        source = source.loaded()
    kept = strip(source)  # without metadata, so that they can do no harm
    with damage_as(partial(_undecodable, source.path)):
        if source.format == "png":
            _png(source)
        elif source.format == "jpeg":
            _jpeg(kept, source)
        else:
            _webp(kept, source)


def _png(source: Source) -> None:
    header = read_png_header(source)
    rows = _Rows(source, header)
    palette = False
    for chunk in png.chunks(source):
        palette |= chunk.name == b"PLTE"
        if chunk.name in _CRITICAL:
            for data in _checked(source, chunk):
                if chunk.name == b"IDAT":
                    rows.feed(data)
    if rows.missing:
        raise source.broken("rows of it are missing")
    if header.colour == 3 and not palette:
        raise source.broken("it has no palette")


class _Rows:
    """Inflates a PNG's rows and counts their bytes, keeping none."""

    def __init__(self, source: Source, header: PngHeader) -> None:
        lengths = _row_lengths(header)
        self._source = source
        self._stride = None if header.interlaced else lengths[0][1]
        self._inflate = zlib.decompressobj()
        self._inflated = 0
        self.missing = sum(count * length for count, length in lengths)

    def feed(self, data: bytes) -> None:
        """Take compressed data; what is left over behind the last row is not looked at."""
        try:
            while self.missing:
                rows = self._inflate.decompress(data, min(_BLOCK, self.missing))
                if not rows:
                    return
                data = self._inflate.unconsumed_tail
                self._check_filters(rows)
                self._inflated += len(rows)
                self.missing -= len(rows)
        except zlib.error:
            raise self._source.broken("its compressed data are damaged") from None

    def _check_filters(self, rows: bytes) -> None:
        if self._stride is not None:
            first = -self._inflated % self._stride
            if max(rows[first :: self._stride], default=0) > _HIGHEST_FILTER:
                raise self._source.broken("its rows are damaged")


def _checked(source: Source, chunk: png.Chunk) -> Iterator[bytes]:
    """A chunk's data in blocks; the checksum is compared behind the last one."""
    start, stop = chunk.data
    checksum = zlib.crc32(chunk.name)
    for offset in range(start, stop, _BLOCK):
        data = source.at(offset, min(_BLOCK, stop - offset))
        checksum = zlib.crc32(data, checksum)
        yield data
    if checksum != source.number(stop, 4):
        raise source.broken(f"a checksum of {chunk.name.decode()} is wrong")


def _row_lengths(header: PngHeader) -> list[tuple[int, int]]:
    """For each pass of interlacing, how many rows it has and how many bytes each of them."""
    bits = header.depth * _CHANNELS[header.colour]
    passes = _PASSES if header.interlaced else ((0, 0, 1, 1),)
    sizes = [
        (-(-(header.height - y) // down), -(-(header.width - x) // across)) for x, y, across, down in passes
    ]
    return [(rows, 1 + (columns * bits + 7) // 8) for rows, columns in sizes if rows > 0 and columns > 0]


def _jpeg(image: SplicedFile, source: Source) -> None:
    # The plugin's own class: Image.open would apply Pillow's pixel limit, which is the whole process's.
    with image.reader(source.file) as file, JpegImageFile(file) as decoder:
        decoder.draft(None, (max(1, decoder.width // 8), max(1, decoder.height // 8)))
        decoder.load()


def _webp(image: SplicedFile, source: Source) -> None:
    from .libav_pictures import decode_webp  # noqa: PLC0415 (it takes long to import; other pictures need none)

    with image.reader(source.file) as file:
        decode_webp(file.read(), partial(_undecodable, source.path))


def _undecodable(path: Path, error: Exception) -> InvalidInput:
    return InvalidInput(f"{path} cannot be decoded: {clean(error)}.", hint="Save it again.")
