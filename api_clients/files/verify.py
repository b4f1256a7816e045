"""Whether a result is whole and what was asked for, before it gets its final name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from av.packet import Packet

from ..errors import BadResponse, InvalidInput, Meaning
from ..models import Media
from ..sizes import Expected
from .decode import decode_image
from .open_video import DAMAGED, OpenVideo, TooManyPixels, open_video
from .probe import ImageInfo, Info, VideoInfo, probe
from .strip import without_metadata

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
        info = probe(path, max_pixels=max_pixels)
        _check_kind(info, media)
        _check_size(info, expected, max_pixels)
        kept = without_metadata(path, info.format)
        if isinstance(info, ImageInfo):
            decode_image(kept, info)
        else:
            _check_end(path, info, max_pixels)
    except TooManyPixels as error:
        raise BadResponse(f"The result is too large: {error.message}", hint="It was not decoded.") from None
    except InvalidInput as error:
        raise BadResponse(f"The result is not usable: {error.message}", meaning=Meaning.TRY_AGAIN) from None
    return info


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


def _check_end(path: Path, info: VideoInfo, max_pixels: int) -> None:
    try:
        with open_video(path, info.format, max_pixels=max_pixels) as clip:
            reached = _tail(clip)
    except DAMAGED:
        raise BadResponse(
            "The result is a damaged clip: its end cannot be decoded.", meaning=Meaning.TRY_AGAIN
        ) from None
    if info.seconds is not None and reached < info.seconds - max(0.5, 0.02 * info.seconds):
        raise BadResponse(
            f"The result is a clip that ends after {reached:.1f} of {info.seconds:.1f} seconds.",
            meaning=Meaning.TRY_AGAIN,
        )


def _tail(clip: OpenVideo) -> float:
    """Decode one frame near the end, then go through the packets behind it.

    Returns:
        Seconds from the beginning of the clip to the end of its last packet.
    """
    seconds = clip.seconds
    if seconds is not None and seconds > _TAIL_SECONDS:
        start = clip.container.start_time or 0
        clip.container.seek(start + int((seconds - _TAIL_SECONDS) * _MICROSECONDS))
    reached, decoded = 0.0, False
    for packet in clip.container.demux():
        reached = max(reached, _end_of(packet))
        if packet.stream is clip.video and not decoded:
            decoded = bool(packet.decode())
    if not decoded:
        raise BadResponse("The result is a clip without a frame near its end.", meaning=Meaning.TRY_AGAIN)
    return reached - (clip.container.start_time or 0) / _MICROSECONDS


def _end_of(packet: Packet[Any]) -> float:
    if packet.pts is None:
        return 0.0
    return float((packet.pts + (packet.duration or 0)) * packet.time_base)
