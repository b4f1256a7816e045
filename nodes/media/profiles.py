"""ICC profiles: finding them in a file, and converting pixels to sRGB."""

# Pillow's own annotations are incomplete.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
from __future__ import annotations

import io
from collections.abc import Callable

import cv2
import numpy as np
from PIL import Image, ImageCms

from ...api_clients.files.formats import jpeg, png, webp
from ...api_clients.files.formats.structure import Source
from .quantize import Bytes

_SPACE = slice(16, 20)
_ROWS_AT_ONCE = 1 << 16
_GRID = 17
_SAME = 1
"""Codes by which a profile may differ from sRGB and still be one: its makers round differently."""
_MODES = {b"RGB ": "RGB", b"GRAY": "L", b"CMYK": "CMYK"}


def read_profile(source: Source) -> bytes:
    """The ICC profile that a picture carries; empty where there is none, or none of sensible size.

    Raises:
        InvalidInput: the file's structure is damaged, up to where a profile can be.
    """
    return _READERS[source.format](source)


def profile_transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """The conversion to sRGB, relative colorimetric with black point compensation.

    Args:
        profile: an ICC profile, or nothing.
        mode: of the pixels: ``RGB``, ``L`` or ``CMYK``.

    Returns:
        ``None`` where there is nothing to convert: no profile, one for another kind of pixels, a damaged one
        (which is ignored, as browsers do), or sRGB itself.
    """
    if _MODES.get(profile[_SPACE]) != mode:
        return None
    try:
        transform = ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
    return None if mode == "RGB" and _changes_nothing(transform) else transform


def is_srgb(profile: bytes, *, gray: bool) -> bool:
    """Whether ``to_srgb`` has nothing to do: there is no usable profile, or it changes nothing."""
    return profile_transform(profile, "L" if gray else "RGB") is None


def to_srgb(pixels: Bytes, profile: bytes, *, gray: bool) -> None:
    """Convert pixels in place from the colours that a profile describes. Blocking.

    Args:
        pixels: [H,W,3] or [H,W,4], red first; alpha stays as it is.
        profile: an ICC profile, or nothing.
        gray: whether the file's pixels are gray; a profile for the other kind of pixels is not for them.
    """
    transform = profile_transform(profile, "L" if gray else "RGB")
    if transform is None:
        return
    if gray:
        ramp = np.arange(256, dtype=np.uint8).reshape(1, 256)
        table = apply_transform(transform, Image.fromarray(ramp)).reshape(1, 256, 3)
        pixels[..., :3] = cv2.LUT(np.ascontiguousarray(pixels[..., :3]), table)
        return
    rows = max(1, _ROWS_AT_ONCE // pixels.shape[1])
    for start in range(0, len(pixels), rows):
        part = pixels[start : start + rows, :, :3]
        part[...] = apply_transform(transform, Image.fromarray(np.ascontiguousarray(part)))


def apply_transform(transform: ImageCms.ImageCmsTransform, image: Image.Image) -> Bytes:
    """A picture in sRGB, [H,W,3]."""
    return np.asarray(transform.apply(image))


def _changes_nothing(transform: ImageCms.ImageCmsTransform) -> bool:
    steps = np.linspace(0, 255, _GRID).round().astype(np.uint8)
    colours = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(_GRID, -1, 3)
    converted = apply_transform(transform, Image.fromarray(colours))
    return int(cv2.absdiff(colours, converted).max()) <= _SAME


_READERS: dict[str, Callable[[Source], bytes]] = {
    "png": png.read_profile,
    "jpeg": jpeg.read_profile,
    "webp": webp.read_profile,
}
