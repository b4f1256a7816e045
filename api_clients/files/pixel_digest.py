"""What a picture shows, independent of how it was encoded."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from PIL import Image, ImageFile
from PIL.PngImagePlugin import PngImageFile

from ..errors import InvalidInput
from .formats import png, webp
from .formats.structure import Source
from .headers import Header, read_header, read_png_header
from .spliced_file import SplicedFile

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Pixels = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

_FORM = "pixels 1"
"""Names the canonical form, so that it can change one day."""

_COLOUR = frozenset(b"iCCP cICP mDCV mDCv cLLI cLLi".split())
_OLD_COLOUR = frozenset(b"gAMA cHRM".split())
"""Left out of account where one of the others, or sRGB, says more."""
_GRAY, _RGB = 0, 2
_SHOWN_AS = {"1": "L", "L": "L", "LA": "RGBA", "RGB": "RGB", "RGBA": "RGBA"}
"""What Pillow's modes are brought to without changing a value; palettes are treated apart."""
_STRIP = 1 << 20
"""Bytes of pixels that are taken out of a picture at once."""
_SRGB_GAMMA = (45455).to_bytes(4, "big")


def content_digest(spliced: SplicedFile, format: str, *, max_pixels: int) -> str:  # noqa: A002
    """A digest of what a file shows: two files have the same one where no pixel and no colour differs.

    Lossless pictures are decoded for it; of others, and of those that cannot be decoded here, it is the
    digest of the bytes. Blocking; other threads go on meanwhile.

    Args:
        spliced: the file without its metadata.
        format: as ``probe`` tells it.
        max_pixels: larger pictures are not decoded.

    Returns:
        SHA-256, in hexadecimal.

    Raises:
        InvalidInput: it cannot be read.
    """
    decoded = None
    if format in ("png", "webp"):
        data = spliced.read(0, spliced.size)
        try:
            decoded = _decoded(data, Source.in_memory(data, spliced.path, format), max_pixels)
        except InvalidInput:
            decoded = None
    return decoded or spliced.sha256()


def pixels_digest(pixels: Pixels, colour: bytes = b"") -> str:
    """The digest of pixels in memory, which is that of a PNG with the same ones. Blocking.

    Args:
        pixels: uint8 or uint16, [H,W,C]: gray, gray and alpha, RGB, or RGB and alpha.
        colour: what else decides on how they look, such as a profile; empty for sRGB.

    Returns:
        SHA-256, in hexadecimal.
    """
    fixed = pixels.astype(pixels.dtype.newbyteorder("<"), copy=False)
    bits = fixed.dtype.itemsize * 8
    content = fixed.data if fixed.flags.c_contiguous else fixed.tobytes()
    return _digest(fixed.shape, bits, colour, [content])


def _digest(shape: tuple[int, ...], bits: int, colour: bytes, content: Iterable[bytes | memoryview]) -> str:
    """The canonical form's: ``content`` is row after row, little-endian."""
    height, width, channels = shape
    digest = hashlib.sha256(f"{_FORM}\n{width} {height} {channels} {bits} {len(colour)}\n".encode() + colour)
    for part in content:
        digest.update(part)
    return digest.hexdigest()


def _decoded(data: bytes, source: Source, max_pixels: int) -> str | None:
    header = read_header(source)
    if header.frames > 1 or header.width * header.height > max_pixels:
        return None
    colour = _png_colour(source) if source.format == "png" else _webp_colour(source)
    if colour is None:
        return None
    if header.orientation > 1:
        colour += b"turned %d" % header.orientation
    digest = _by_pillow(data, header, colour) if _is_plain_png(source) else None
    return digest or _by_libav(data, source.format, header, colour)


def _is_plain_png(source: Source) -> bool:
    """Whether it is a PNG of which Pillow and libav make the same; libav cannot read all interlaced ones."""
    if source.format != "png":
        return False
    start = read_png_header(source)
    return start.depth <= 8 and not start.interlaced


def _by_pillow(data: bytes, header: Header, colour: bytes) -> str | None:
    """The digest of a PNG of up to 8 bits; ``None`` where Pillow cannot tell."""
    if ImageFile.LOAD_TRUNCATED_IMAGES:  # somebody in this process wants damaged ones to be made up
        return None
    try:
        # The plugin's own class: Image.open would apply Pillow's pixel limit, which is the whole process's.
        with PngImageFile(io.BytesIO(data)) as image:
            image.load()
            shown = _shown(image, header)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 (their types are no interface, and differ by version)
        return None
    if shown is None or shown.size != (header.width, header.height):
        return None
    return _digest((header.height, header.width, len(shown.getbands())), 8, colour, _strips(shown))


def _shown(image: Image.Image, header: Header) -> Image.Image | None:
    """A loaded picture as gray, RGB, or RGB and alpha."""
    mode = ("RGBA" if header.alpha else "RGB") if image.mode == "P" else _SHOWN_AS.get(image.mode)
    if mode is None or mode == image.mode:
        return image if mode else None
    return image.convert(mode)


def _strips(image: Image.Image) -> Iterator[bytes]:
    """The bytes of its pixels, row after row, in pieces that need little memory."""
    rows = max(1, _STRIP // (image.width * len(image.getbands())))
    for top in range(0, image.height, rows):
        yield image.crop((0, top, image.width, min(image.height, top + rows))).tobytes()


def _by_libav(data: bytes, kind: str, header: Header, colour: bytes) -> str | None:
    """The digest of a PNG or a lossless WebP; ``None`` where it cannot be read."""
    from .libav_pictures import read_pixels  # noqa: PLC0415 (it takes long to import, and few need it)

    pixels = read_pixels(data, kind)
    if pixels is None or pixels.shape[:2] != (header.height, header.width):
        return None
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    elif pixels.shape[2] == 4 and not header.alpha:
        pixels = pixels[:, :, :3]  # of a palette or a WebP, whose decoders always give alpha
    return pixels_digest(pixels, colour)


def _png_colour(source: Source) -> bytes | None:
    """The chunks that decide on how pixels look; ``None`` where FFmpeg's decoder would add something."""
    found = list(png.chunks(source))
    names = {chunk.name for chunk in found}
    if b"tRNS" in names and read_png_header(source).colour in (_GRAY, _RGB):
        return None
    counted = _COLOUR if names & {b"sRGB", *_COLOUR} else _COLOUR | _OLD_COLOUR
    parts: list[bytes] = []
    for chunk in found:
        start, stop = chunk.data
        if chunk.name in counted and stop > start:
            content = source.at(start, stop - start)
            if (chunk.name, content) != (b"gAMA", _SRGB_GAMMA):
                parts.append(chunk.name + content)
    return b"".join(sorted(parts))


def _webp_colour(source: Source) -> bytes | None:
    """The colour profile of a lossless WebP; ``None`` for a lossy one."""
    found = {chunk.name: chunk for chunk in webp.chunks(source)}
    if b"VP8L" not in found:
        return None
    profile = found.get(b"ICCP")
    return b"" if profile is None else b"ICCP" + source.at(profile.start, profile.stop - profile.start)
