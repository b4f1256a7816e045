"""Whether a result is whole and what was asked for, before it gets its final name."""

from __future__ import annotations

from pathlib import Path

from ..errors import BadResponse, InvalidInput, Meaning
from ..models import Media
from ..sizes import Expected
from .damage import damage_as
from .decode import decode_image
from .formats.structure import Source
from .open_video import OpenVideo, TooManyPixels, open_video
from .packets import decode_first, end_of
from .probe import ImageInfo, Info, VideoInfo, open_media, read_image, read_video, undecodable_video
from .sniff import IMAGE_FORMATS
from .strip import strip

_TAIL_SECONDS = 1.0
_MICROSECONDS = 1_000_000


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
    with (
        damage_as(lambda _: undecodable_video(source)),
        open_video(source.path, source.format, max_pixels=max_pixels) as video,
    ):
        first, reached = decode_first(video)
        info = read_video(video, first, source)
        del first  # a large frame's memory
        _check_kind(info, media)
        _check_size(info, expected, max_pixels)
        strip(source)  # its structure is whole
        with damage_as(lambda _: _damaged_end()):
            _check_end(video, reached)
    return info


def _damaged_end() -> BadResponse:
    return BadResponse("The result is a damaged clip: its end cannot be decoded.", meaning=Meaning.TRY_AGAIN)


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


def _check_end(video: OpenVideo, reached: float) -> None:
    """Decode one frame near the end, and see that the packets reach the announced length.

    Args:
        video: an open clip whose first frame was decoded.
        reached: how far the packets reach that were read for it.
    """
    seconds = video.seconds
    start = video.container.start_time or 0
    if "matroska" in video.container.format.name:
        start = 0  # its length counts from 0, whenever its first frame is shown
    decoded = True
    if seconds is not None and seconds > _TAIL_SECONDS:
        video.container.seek(start + int((seconds - _TAIL_SECONDS) * _MICROSECONDS))
        reached, decoded = 0.0, False
    for packet in video.container.demux():
        reached = max(reached, end_of(packet))
        if packet.stream is video.video and not decoded:
            decoded = bool(packet.decode())
    if not decoded:
        raise BadResponse("The result is a clip without a frame near its end.", meaning=Meaning.TRY_AGAIN)
    reached -= start / _MICROSECONDS
    if seconds is not None and reached < seconds - max(0.5, 0.02 * seconds):
        raise BadResponse(
            f"The result is a clip that ends after {reached:.1f} of {seconds:.1f} seconds.",
            meaning=Meaning.TRY_AGAIN,
        )
