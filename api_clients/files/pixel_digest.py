"""What a picture shows, independent of how it was encoded."""

from __future__ import annotations

import hashlib
import io
from typing import cast

import av
import numpy as np
import numpy.typing as npt
from av.error import FFmpegError

from ..errors import InvalidInput
from .formats import png, webp
from .formats.structure import Source
from .headers import Header, read_header, read_png_header
from .spliced_file import SplicedFile

Pixels = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

_FORM = "pixels 1"
"""Names the canonical form, so that it can change one day."""

_COLOUR = frozenset(b"iCCP cICP mDCV mDCv cLLI cLLi".split())
_OLD_COLOUR = frozenset(b"gAMA cHRM".split())
"""Left out of account where one of the others, or sRGB, says more."""
_GRAY, _RGB = 0, 2
_PLAIN = {"monob": "gray", "ya8": "rgba", "ya16be": "rgba64be", "pal8": "rgba", "argb": "rgba"}
"""How FFmpeg's forms of pixels are brought to gray, RGB, or RGB and alpha, without changing a value."""
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
    height, width, channels = pixels.shape
    bits = pixels.dtype.itemsize * 8
    digest = hashlib.sha256(f"{_FORM}\n{width} {height} {channels} {bits} {len(colour)}\n".encode() + colour)
    fixed = pixels.astype(pixels.dtype.newbyteorder("<"), copy=False)
    digest.update(np.ascontiguousarray(fixed).data)
    return digest.hexdigest()


def _decoded(data: bytes, source: Source, max_pixels: int) -> str | None:
    header = read_header(source)
    if header.frames > 1 or header.width * header.height > max_pixels:
        return None
    colour = _png_colour(source) if source.format == "png" else _webp_colour(source)
    if colour is None:
        return None
    pixels = _pixels(data, source.format, header)
    if pixels is None:
        return None
    turned = b"turned %d" % header.orientation if header.orientation > 1 else b""
    return pixels_digest(pixels, colour + turned)


def _pixels(data: bytes, kind: str, header: Header) -> Pixels | None:
    """Pixels [H,W,C] as they are in the file, a palette's in colour; ``None`` where they cannot be read."""
    try:
        with av.open(io.BytesIO(data), mode="r", format=f"{kind}_pipe") as container:
            frame = next(container.decode(video=0))
            form = _PLAIN.get(frame.format.name)
            pixels = (frame.reformat(format=form) if form else frame).to_ndarray()
    except (FFmpegError, StopIteration, ValueError, MemoryError):
        return None
    if pixels.shape[:2] != (header.height, header.width) or str(pixels.dtype) not in ("uint8", "uint16"):
        return None
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    elif pixels.shape[2] == 4 and not header.alpha:
        pixels = pixels[:, :, :3]  # of a palette or a WebP, whose decoders always give alpha
    return cast("Pixels", pixels)


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
