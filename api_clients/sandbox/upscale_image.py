"""Pictures, enlarged by Lanczos resampling with Pillow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PIL import ExifTags, Image, PngImagePlugin

from ..sizes import Size
from .problems import InputRefused, Problem

MARK = "Made by the Remote Upscale sandbox (Lanczos), not by a provider"
"""Stands in every result that was made here."""

MOST_PIXELS = 200_000_000
"""Of an input and of a result; larger ones do not fit into an ordinary machine's memory."""

_LONGEST_SIDE = {"webp": 16383, "jpeg": 65535, "png": 2**31 - 1}
_KEPT_MODES = ("L", "LA", "RGB", "RGBA", "I;16")


def upscale(source: Path, target: Path, file_format: str, target_size: Callable[[Size], Size]) -> Size:
    """Enlarge a picture.

    The ICC profile and the orientation tag are kept; other metadata is not.

    Args:
        source: PNG, JPEG or WebP; of an animation, the first frame counts.
        target: the file to write.
        file_format: ``png``, ``jpeg`` or ``webp``.
        target_size: tells the result's size from the input's, both (width, height) in pixels.

    Returns:
        The result's size.

    Raises:
        InputRefused: it does not decode, or it or the result is too large.
    """
    try:
        with Image.open(source) as picture:
            size = target_size(picture.size)
            _check(picture.size, size, file_format)
            pixels = _convert(picture, file_format)
            profile = picture.info.get("icc_profile") if picture.mode != "CMYK" else None
            orientation = picture.getexif().get(ExifTags.Base.Orientation)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise InputRefused(Problem.PIXELS, f"The picture has more than {MOST_PIXELS} pixels.") from None
    except (OSError, ValueError, SyntaxError, EOFError):  # Pillow's decoders raise all of these
        raise InputRefused(Problem.DAMAGED, "The picture could not be decoded.") from None
    enlarged = pixels.resize(size, Image.Resampling.LANCZOS)
    enlarged.info.clear()  # Pillow would write some of the input's metadata
    _save(enlarged, target, file_format, profile=profile, orientation=orientation)
    return size


def _check(before: Size, after: Size, file_format: str) -> None:
    if before[0] * before[1] > MOST_PIXELS or after[0] * after[1] > MOST_PIXELS:
        raise InputRefused(
            Problem.PIXELS,
            f"{before[0]}x{before[1]} to {after[0]}x{after[1]} is more than {MOST_PIXELS} pixels.",
        )
    if max(after) > _LONGEST_SIDE[file_format]:
        raise InputRefused(Problem.PIXELS, f"{file_format} cannot hold {after[0]}x{after[1]} pixels.")


def _convert(picture: Image.Image, file_format: str) -> Image.Image:
    """The pixels, loaded, in a mode that resamples without loss and that the format can hold."""
    mode = picture.mode
    if picture.has_transparency_data and mode not in ("LA", "RGBA"):
        mode = "RGBA"
    elif mode not in _KEPT_MODES:
        mode = {"1": "L", "I": "I;16"}.get(mode, "RGB")
    if file_format == "jpeg":
        mode = "L" if mode in ("L", "LA", "I;16") else "RGB"
    elif file_format == "webp":
        mode = "RGBA" if mode in ("LA", "RGBA") else "RGB"
    if picture.mode.startswith("I") and mode != "I;16":
        # Pillow clips sixteen bits to eight instead of scaling them.
        return picture.convert("I").point(lambda value: value / 257).convert("L").convert(mode)
    return picture.convert(mode) if mode != picture.mode else picture.copy()


def _save(
    picture: Image.Image, target: Path, file_format: str, *, profile: bytes | None, orientation: int | None
) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Software] = MARK
    if orientation is not None:
        exif[ExifTags.Base.Orientation] = orientation
    extra: dict[str, object] = {"icc_profile": profile} if profile else {}
    match file_format:
        case "jpeg":
            picture.save(target, "JPEG", quality=95, subsampling=0, exif=exif, **extra)
        case "webp":
            picture.save(target, "WEBP", lossless=True, method=0, quality=0, exif=exif, **extra)
        case _:
            text = PngImagePlugin.PngInfo()
            text.add_text("Software", MARK)
            picture.save(target, "PNG", compress_level=1, pnginfo=text, exif=exif, **extra)
