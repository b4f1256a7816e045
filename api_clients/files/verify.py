"""Whether a result is whole and what was asked for, before it gets its final name."""

from __future__ import annotations

from pathlib import Path

from ..errors import BadResponse, InvalidInput, Meaning
from ..models import Media
from ..sizes import Expected
from .damage import TooManyPixels
from .decode import decode_image
from .formats.structure import Source
from .info import ImageInfo, Info, VideoInfo
from .probe import open_media, read_image
from .sniff import IMAGE_FORMATS
from .strip import strip


def verify_result(path: Path, *, media: Media, expected: Expected | None, max_pixels: int) -> Info:
    """Check a result. Blocking. Memory stays far below the decoded size, except for WebP.

    In this order: header, pixel limit, size, structure, then decoding: a picture wholly; of a clip the first
    frame, one near the end, and whether the packets reach the announced length.

    Args:
        path: the downloaded file.
        media: what the model gives.
        expected: its size, where it can be told.
        max_pixels: the most pixels, of a picture or of each frame, that are decoded.

    Returns:
        What the result is; ``audio`` of a clip says whether it kept its sound.

    Raises:
        BadResponse: ``TRY_AGAIN`` when it is damaged or cut off, so that a second download may help; not when
            it is whole but not what was asked for.
    """
    try:
        with open_media(path) as source:
            if source.format in IMAGE_FORMATS:
                return _image(source, media, expected, max_pixels)
            return _video(source, media, expected, max_pixels)
    except TooManyPixels as error:
        raise BadResponse(f"The result is too large: {error.message}", hint="It was not decoded.") from None
    except InvalidInput as error:
        raise BadResponse(f"The result is not usable: {error.message}", meaning=Meaning.TRY_AGAIN) from None


def _image(source: Source, media: Media, expected: Expected | None, max_pixels: int) -> ImageInfo:
    info = read_image(source)
    _check_kind(info, media)
    _check_size(info, expected, max_pixels)
    decode_image(source)
    return info


def _video(source: Source, media: Media, expected: Expected | None, max_pixels: int) -> VideoInfo:
    from .clip import read_clip  # noqa: PLC0415 (its decoder takes long to import; pictures need none)

    with read_clip(source, max_pixels) as clip:
        _check_kind(clip.info, media)
        _check_size(clip.info, expected, max_pixels)
        strip(source)  # its structure is whole
        clip.check_end()
    return clip.info


def _check_kind(info: Info, media: Media) -> None:
    if isinstance(info, VideoInfo) != (media is Media.VIDEO):
        raise BadResponse(f"The result is a file of the wrong kind: {info.format} instead of {media.value}.")
    if isinstance(info, ImageInfo) and info.frames > 1:
        raise BadResponse(f"The result is an animation of {info.frames} pictures instead of one.")


def _check_size(info: Info, expected: Expected | None, max_pixels: int) -> None:
    width, height = info.size
    if width * height > max_pixels:
        raise BadResponse(
            f"The result is {width} x {height} pixels, more than the limit of {max_pixels:,} pixels.",
            hint="It was not decoded.",
        )
    if expected is not None and not expected.plausible(info.size):
        wanted = f"{'' if expected.exact else 'about '}{expected.width} x {expected.height}"
        raise BadResponse(
            f"The result is {width} x {height} pixels instead of {wanted}.",
            hint="The provider did something else than it was asked for; take it up with it.",
        )
