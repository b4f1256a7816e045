"""Lossless PNG at the speed of the machine: strips of rows in threads, joined to one stream.

The filter is always "average" and the rows are, as a rule, only Huffman coded: on photographs with grain a
search for repetitions takes most of an encoder's time and finds next to nothing.
"""

# OpenCV's own annotations are incomplete.
# pyright: reportUnknownMemberType=false
from __future__ import annotations

import importlib
import io
import struct
import zlib
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch

from ...api_clients.errors import InvalidInput
from ...api_clients.files.formats.png import SIGNATURE
from .parallel import available_threads, in_order
from .quantize import Bytes, to_uint8

STRIP = 1 << 21
"""Most bytes of 8-bit picture that are worked on together: few calls, and still about a core's cache."""
_FEWEST_STRIPS = 16
"""Whatever the number of threads, so that none has nothing to do for long, and the file depends on none."""
_LEVEL = 2
"""Of isal's levels the one that is both fastest and smallest on what the filter leaves of photographs."""
STREAM_HEADER = b"\x78\x01"
_COLOUR_TYPES = {3: 2, 4: 6}
_AVERAGE = 3
_ADLER = 65521
_SAMPLED_ROWS = 8
_FLAT = 0.5
"""Share of zeros behind the filter from which on a search for repetitions pays."""


def _accelerator() -> Any:
    """The optional package ``isal``: zlib's interface and format, two to three times as fast."""
    try:
        return importlib.import_module("isal.isal_zlib")
    except ImportError:
        return None


isal = _accelerator()


@dataclass(frozen=True)
class _Strip:
    """A compressed strip.

    Attributes:
        chunk: the whole IDAT chunk.
        adler: checksum of the filtered rows.
        length: how many bytes the filtered rows have.
    """

    chunk: bytes
    adler: int
    length: int


def encode_png(image: torch.Tensor, *, threads: int | None = None) -> bytes:
    """A picture as PNG of 8 bits a channel. Blocking; the work is done in threads without Python's lock.

    Args:
        image: [H,W,C] of 0..1, C = 3 or 4; any floating-point type, strides and device.
        threads: how many at once; ``None`` for one a core, up to 8.

    Returns:
        The file.

    Raises:
        InvalidInput: it is not of that shape, or empty.
    """
    height, width, channels = check_image(image)
    rows = max(1, min(STRIP // (width * channels), height // _FEWEST_STRIPS))
    starts = range(0, height, rows)
    workers = min(len(starts), threads or available_threads())
    file = io.BytesIO()
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPES[channels], 0, 0, 0)
    file.write(SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", STREAM_HEADER))
    adler = 1
    ahead = 0 if workers == 1 else 2 * workers
    for strip in in_order(lambda start: _encode(image, start, rows), starts, threads=workers, ahead=ahead):
        file.write(strip.chunk)
        adler = combine_adler(adler, strip.adler, strip.length)
    file.write(chunk(b"IDAT", adler.to_bytes(4, "big")) + chunk(b"IEND", b""))
    return file.getvalue()


def check_image(image: torch.Tensor) -> tuple[int, int, int]:
    """Height, width and channels of a picture [H,W,C].

    Raises:
        InvalidInput: it has another shape, or no pixels.
    """
    if image.ndim != 3 or image.shape[2] not in _COLOUR_TYPES or not image.numel():
        raise InvalidInput(
            f"The picture has the shape {tuple(image.shape)} instead of [H, W, 3] or [H, W, 4].",
            hint="Connect an IMAGE with three or four channels.",
        )
    return image.shape[0], image.shape[1], image.shape[2]


def combine_adler(first: int, second: int, length: int) -> int:
    """The Adler-32 checksum of two byte strings one after the other.

    Args:
        first: checksum of the first.
        second: checksum of the second.
        length: of the second in bytes.
    """
    low = ((first & 0xFFFF) + (second & 0xFFFF) - 1) % _ADLER
    high = ((first >> 16) + (second >> 16) + (length % _ADLER) * ((first & 0xFFFF) - 1)) % _ADLER
    return high << 16 | low


def _encode(image: torch.Tensor, start: int, rows: int) -> _Strip:
    height, width, channels = image.shape
    above = min(start, 1)
    stop = min(height, start + rows)
    pixels = np.empty((1 + stop - start, width * channels), np.uint8)
    pixels[0] = 0
    to_uint8(image[start - above : stop], pixels[1 - above :].reshape(-1, width, channels))
    filtered = average_filter(pixels, channels)
    data = _deflate(filtered, last=stop == height)
    return _Strip(chunk(b"IDAT", data), (isal or zlib).adler32(filtered.data), filtered.size)


def average_filter(pixels: Bytes, channels: int) -> Bytes:
    """PNG's average filter.

    Args:
        pixels: the row above, then the rows.
        channels: bytes by which the left neighbour is away.

    Returns:
        The rows, each behind a byte that names the filter.
    """
    rows, above = pixels[1:], pixels[:-1]
    filtered = np.empty((len(rows), 1 + rows.shape[1]), np.uint8)
    filtered[:, 0] = _AVERAGE
    np.subtract(rows[:, :channels], above[:, :channels] >> 1, out=filtered[:, 1 : 1 + channels])
    if rows.shape[1] > channels:
        # A quarter less, rounded to the nearest, is the mean rounded down.
        mean = cv2.addWeighted(rows[:, :-channels], 0.5, above[:, channels:], 0.5, -0.25)
        np.subtract(rows[:, channels:], mean, out=filtered[:, 1 + channels :])
    return filtered


def _deflate(filtered: Bytes, *, last: bool) -> bytes:
    if isal is not None:
        packer = isal.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS, 9)
    else:
        strategy = zlib.Z_DEFAULT_STRATEGY if _is_flat(filtered) else zlib.Z_HUFFMAN_ONLY
        packer = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, strategy)
    # A flush to a byte boundary lets the next strip's stream follow; only the last one ends it.
    return packer.compress(filtered.data) + packer.flush(zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH)


def _is_flat(filtered: Bytes) -> bool:
    sample = filtered[:: max(1, len(filtered) // _SAMPLED_ROWS)]
    return int(np.count_nonzero(sample)) < (1 - _FLAT) * sample.size


def chunk(name: bytes, data: bytes) -> bytes:
    """A chunk with its length and checksum."""
    crc = (isal or zlib).crc32(data, zlib.crc32(name))
    return b"".join((len(data).to_bytes(4, "big"), name, data, crc.to_bytes(4, "big")))
