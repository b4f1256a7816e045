"""What a file is, from its content and not its name, and whether a model takes it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from ..errors import InvalidInput
from ..models import Media, Model
from .formats.structure import Source
from .headers import read_header
from .open_video import DAMAGED, OpenVideo, exact, open_video
from .sniff import IMAGE_FORMATS, MEDIA_TYPES, SUFFIXES, format_of
from .spliced_file import open_input

__all__ = ["MEDIA_TYPES", "SUFFIXES", "ImageInfo", "Info", "VideoInfo", "check_input", "probe"]

MAX_FRAME_PIXELS = 1 << 27
"""Largest frame of a clip that is decoded to look at it: 16384 x 8192."""


@dataclass(frozen=True)
class ImageInfo:
    """A picture.

    Attributes:
        format: ``png``, ``jpeg`` or ``webp``.
        width: in pixels, as displayed: EXIF orientation applied.
        height: likewise.
        alpha: whether it can be transparent.
        frames: more than one when it is animated.
        bytes: size of the file.
    """

    format: str
    width: int
    height: int
    alpha: bool
    frames: int
    bytes: int

    @property
    def size(self) -> tuple[int, int]:
        """As (width, height)."""
        return self.width, self.height


@dataclass(frozen=True)
class VideoInfo:
    """A clip.

    Attributes:
        format: ``mp4``, ``mov``, ``webm``, ``matroska`` or ``avi``.
        width: in pixels, as displayed: rotation applied, sample aspect not.
        height: likewise.
        frame_rate: average frames a second; ``None`` where nothing says it.
        frames: number of pictures; ``None`` where the file does not say it.
        seconds: announced length; ``None`` where nothing says it.
        audio: whether it has sound.
        codec: of the picture, as libav calls it, e.g. ``h264``.
        bytes: size of the file.
        rotation: degrees clockwise by which stored frames are turned for display: 0, 90, 180 or 270.
        sample_aspect: a pixel's width to its height.
    """

    format: str
    width: int
    height: int
    frame_rate: Fraction | None
    frames: int | None
    seconds: float | None
    audio: bool
    codec: str
    bytes: int
    rotation: int = 0
    sample_aspect: Fraction = Fraction(1)

    @property
    def size(self) -> tuple[int, int]:
        """As (width, height)."""
        return self.width, self.height


Info = ImageInfo | VideoInfo


def probe(path: Path, *, max_pixels: int = MAX_FRAME_PIXELS) -> Info:
    """What a file is. Blocking. Of a picture only the header is read, of a clip one frame decoded.

    Args:
        path: the file.
        max_pixels: the largest frame of a clip that is decoded; pictures of any size are fine.

    Raises:
        InvalidInput: it is missing, a folder, empty, unreadable, damaged, or no picture or clip that we know.
    """
    with open_input(path) as file:
        source = Source(path, file, "picture or clip")
        if not source.size:
            raise InvalidInput(f"{path} is empty.", hint="Give the path of a picture or clip.")
        source.format = format_of(source)
        if source.format in IMAGE_FORMATS:
            return _image(source)
    return _video(source, max_pixels)


def check_input(info: Info, model: Model) -> None:
    """Check that a model takes an input.

    Raises:
        InvalidInput: wrong medium or format, animated, or too many bytes; names the limit and the value.
    """
    clip = isinstance(info, VideoInfo)
    if clip != (model.media is Media.VIDEO):
        takes, given = ("pictures", "a clip") if clip else ("clips", "a picture")
        raise InvalidInput(
            f"{model.id} takes {takes}, but the input is {given} ({info.format}).",
            hint=f"Give it one of: {', '.join(model.limits.formats)}.",
        )
    if info.format not in model.limits.formats:
        raise InvalidInput(
            f"{model.id} does not take {info.format} files.",
            hint=f"Save the input as one of: {', '.join(model.limits.formats)}.",
        )
    if isinstance(info, ImageInfo) and info.frames > 1:
        raise InvalidInput(
            f"The input is an animated {info.format} of {info.frames} pictures; {model.id} takes still ones.",
            hint="Save its pictures one by one, or as a clip for a video model.",
        )
    limit = model.limits.max_bytes
    if limit is not None and info.bytes > limit:
        raise InvalidInput(
            f"The input has {info.bytes:,} bytes; {model.id} takes at most {limit:,}.",
            hint="Save it smaller, for example as JPEG or WebP of high quality."
            if not clip
            else "Save it smaller, or cut it into parts.",
        )


def _image(source: Source) -> ImageInfo:
    header = read_header(source)
    width, height = header.width, header.height
    if header.turned:
        width, height = height, width
    return ImageInfo(source.format, width, height, header.alpha, header.frames, source.size)


def _video(source: Source, max_pixels: int) -> VideoInfo:
    try:
        with open_video(source.path, source.format, max_pixels=max_pixels) as clip:
            return describe(clip, source.format, source.size)
    except DAMAGED:
        raise source.broken("it cannot be decoded") from None


def describe(clip: OpenVideo, format: str, size: int) -> VideoInfo:  # noqa: A002
    """What an open clip is; decodes its first frame.

    Args:
        clip: just opened.
        format: as the file's first bytes say.
        size: of the file in bytes.

    Raises:
        InvalidInput: not one frame can be had from it.
        FFmpegError, ValueError: it is damaged.
    """
    video = clip.video
    frame = next(clip.container.decode(video), None)
    if frame is None:
        raise InvalidInput("There is not one frame in the clip.", hint="Save it again.")
    width, height, rotation = frame.width, frame.height, -frame.rotation % 360
    if rotation in {90, 270}:
        width, height = height, width
    return VideoInfo(
        format=format,
        width=width,
        height=height,
        frame_rate=exact(video.average_rate) or exact(video.guessed_rate),
        frames=video.frames or None,
        seconds=clip.seconds,
        audio=bool(clip.container.streams.audio),
        codec=video.codec_context.name,
        bytes=size,
        rotation=rotation,
        sample_aspect=exact(video.sample_aspect_ratio) or Fraction(1),
    )
