"""From the bytes of a picture to a tensor."""

# torch's and OpenCV's own annotations are incomplete.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
from __future__ import annotations

import io
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL.JpegImagePlugin import JpegImageFile

from ...api_clients.errors import BadResponse, InvalidInput
from ...api_clients.files.formats import jpeg, png
from ...api_clients.files.formats.structure import Source
from ...api_clients.files.headers import Header, read_header, read_png_header
from ...api_clients.files.sniff import IMAGE_FORMATS, format_of
from ...api_clients.files.spliced_file import unreadable
from .alpha import with_channels
from .png import isal
from .png_read import read_layout, read_rows
from .profiles import apply_transform, is_srgb, profile_transform, read_profile, to_srgb
from .quantize import Bytes, Pixels, new_floats, prefault, to_float

_HINT = "Fetch it again; if that does not help, the provider delivered a damaged file."
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_COLOUR = cv2.IMREAD_IGNORE_ORIENTATION | cv2.IMREAD_ANYDEPTH
_READS_RGB = hasattr(cv2, "IMREAD_COLOR_RGB")
_GRAY = 0

Allocate = Callable[[int, int], torch.Tensor]
"""Gives memory for a picture of a height and a width: float32 [H,W,C], contiguous."""


def decode_image(
    source: bytes | Path, *, alpha: bool, max_pixels: int, allocate: Allocate | None = None
) -> torch.Tensor:
    """A PNG, JPEG or WebP as ComfyUI holds pictures. Blocking; other threads go on meanwhile.

    It is turned upright as EXIF says, and converted to sRGB where an ICC profile says that it is something
    else. 16 bits stay 16 bits, unless a profile has to be applied, which is done at 8 bits.

    Args:
        source: the file's content or path.
        alpha: whether four channels are wanted. Without, a picture's alpha is left out and its colours stay
            as they are; with, one without alpha is opaque.
        max_pixels: how large it may be; checked before anything is decoded.
        allocate: gives the memory for the result, of as many channels as are wanted; ``None`` for new memory.

    Returns:
        float32, [H,W,3] or [H,W,4], exactly v / 255 or v / 65535.

    Raises:
        BadResponse: it is damaged, cut off, animated, too large, or none of the three formats.
        InvalidInput: the path cannot be read.
    """
    channels = 4 if alpha else 3

    def new(height: int, width: int) -> torch.Tensor:
        return new_floats(height, width, channels)

    return _decode(*_content(source), channels, max_pixels, allocate or new)


def _content(source: bytes | Path) -> tuple[bytes, Path]:
    if isinstance(source, bytes):
        return source, Path("The picture")
    try:
        return source.read_bytes(), source
    except (OSError, ValueError) as error:
        raise unreadable(source, error) from None


def _decode(data: bytes, path: Path, channels: int, max_pixels: int, allocate: Allocate) -> torch.Tensor:
    try:
        source = Source.in_memory(data, path, "picture")
        header = _check(source, max_pixels)
        profile = read_profile(source)
        # Without isal, inflating takes so long that the threads gain nothing over OpenCV's own way.
        layout = read_layout(source) if isal and source.format == "png" else None
        if layout and header.orientation == 1 and is_srgb(profile, gray=header.gray):
            values = allocate(header.height, header.width)
            read_rows(source, layout, values)
            return values
        size = (header.height, header.width) if header.orientation < 5 else (header.width, header.height)
        values = allocate(*size)
        # The codecs work in one thread; meanwhile another has the system provide the memory.
        with ThreadPoolExecutor(1) as beside:
            beside.submit(prefault, values)
            pixels = _pixels(data, source, header, profile, alpha=channels == 4)
    except InvalidInput as error:
        raise BadResponse(error.message, hint=_HINT) from None
    return to_float(with_channels(pixels, channels), values)


def _pixels(data: bytes, source: Source, header: Header, profile: bytes, *, alpha: bool) -> Pixels:
    """[H,W,3] or [H,W,4], red first, upright, in sRGB."""
    if source.format == "jpeg" and _is_cmyk(source):
        pixels = _cmyk(data, source, profile)
    else:
        pixels = _without_profile(_opencv(data, source, header, alpha=alpha), profile, header)
    if pixels.shape[:2] != (header.height, header.width):
        raise _undecodable(source.path)
    return _upright(pixels, header.orientation)


def _check(source: Source, max_pixels: int) -> Header:
    source.format = format_of(source) if source.size else ""
    if source.format not in IMAGE_FORMATS:
        raise InvalidInput(f"{source.path} is not a PNG, JPEG or WebP.")
    header = read_header(source)
    if header.width * header.height > max_pixels:
        raise InvalidInput(
            f"{source.path} has {header.width} x {header.height} pixels; at most {max_pixels:,} are allowed."
        )
    if header.frames > 1:
        raise InvalidInput(f"{source.path} is animated: it has {header.frames} pictures.")
    return header


def _opencv(data: bytes, source: Source, header: Header, *, alpha: bool) -> Pixels:
    transparent = alpha and header.alpha
    colour = _COLOUR | (cv2.IMREAD_COLOR_RGB if _READS_RGB else cv2.IMREAD_COLOR)
    flags = cv2.IMREAD_UNCHANGED if transparent else colour
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except (cv2.error, MemoryError):
        pixels = None
    if pixels is None:  # pyright: ignore[reportUnnecessaryComparison]
        raise _undecodable(source.path)
    if not transparent:
        return pixels if _READS_RGB else cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB, dst=pixels)
    if pixels.ndim == 3 and pixels.shape[2] == 4:
        return cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGBA, dst=pixels)
    if pixels.ndim == 3:
        return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB, dst=pixels)
    return _gray_with_key(pixels, source)


def _gray_with_key(gray: Pixels, source: Source) -> Pixels:
    """A gray PNG of which one value is transparent; OpenCV leaves that out."""
    pixels = cv2.cvtColor(gray, cv2.COLOR_GRAY2RGBA)
    start = read_png_header(source)
    for chunk in png.chunks(source):
        if chunk.name == b"tRNS" and start.colour == _GRAY and chunk.data[1] - chunk.data[0] == 2:
            highest = (1 << start.depth) - 1
            key = (source.number(chunk.data[0], 2) & highest) * int(np.iinfo(gray.dtype).max) // highest
            pixels[..., 3][gray == key] = 0
    return pixels


def _is_cmyk(source: Source) -> bool:
    for marker in jpeg.markers(source):
        if marker.code in _FRAME_HEADERS:
            return source.number(marker.start + 9, 1) == 4
    return False


def _cmyk(data: bytes, source: Source, profile: bytes) -> Bytes:
    # Pillow, which knows Adobe's inverted inks and hands the four inks to the profile.
    try:
        with JpegImageFile(io.BytesIO(data)) as image:
            image.load()
            transform = profile_transform(profile, "CMYK")
            return np.array(image.convert("RGB")) if transform is None else apply_transform(transform, image)
    except (OSError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, struct.error):
        raise _undecodable(source.path) from None


def _without_profile(pixels: Pixels, profile: bytes, header: Header) -> Pixels:
    if is_srgb(profile, gray=header.gray):
        return pixels
    if pixels.dtype == np.uint16:
        pixels = cv2.convertScaleAbs(pixels, alpha=1 / 257)
    to_srgb(pixels, profile, gray=header.gray)
    return pixels


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    """Turned as an EXIF orientation of 1 to 8 says."""
    if orientation >= 5:
        pixels = cv2.transpose(pixels)
    flip = _FLIPS.get(orientation)
    return pixels if flip is None else cv2.flip(pixels, flip)


_FLIPS = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}
"""What is flipped, behind the transposition for 5 and up: 1 left and right, 0 top and bottom, -1 both."""


def _undecodable(path: Path) -> BadResponse:
    return BadResponse(f"{path} cannot be decoded: it is damaged.", hint=_HINT)
