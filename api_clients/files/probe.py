"""What a file is, from its content and not its name, and whether a model takes it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from av.video.frame import VideoFrame

from ..errors import InvalidInput
from ..models import Media, Model
from .damage import damage_as
from .formats.structure import Source
from .headers import read_header
from .open_video import OpenVideo, exact, open_video
from .packets import codec_of, decode_first
from .sniff import IMAGE_FORMATS, MEDIA_TYPES, SUFFIXES, format_of
from .spliced_file import open_input
from .turn import UPRIGHT, Turn

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
        turn: what is done to stored frames for display.
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
    turn: Turn = UPRIGHT
    sample_aspect: Fraction = Fraction(1)

    @property
    def size(self) -> tuple[int, int]:
        """As (width, height)."""
        return self.width, self.height

    @property
    def rotation(self) -> int:
        """Degrees clockwise by which stored frames are turned for display: 0, 90, 180 or 270."""
        return self.turn.degrees


Info = ImageInfo | VideoInfo


def probe(path: Path, *, max_pixels: int = MAX_FRAME_PIXELS) -> Info:
    """What a file is. Blocking. Of a picture only the header is read, of a clip one frame decoded.

    Args:
        path: the file.
        max_pixels: the largest frame of a clip that is decoded; pictures of any size are fine.

    Raises:
        InvalidInput: it is missing, a folder, empty, unreadable, damaged, or no picture or clip that we know.
    """
    with open_media(path) as source:
        return read_image(source) if source.format in IMAGE_FORMATS else _video(source, max_pixels)


@contextmanager
def open_media(path: Path) -> Generator[Source]:
    """Open a file to look at its structure; ``format`` of what is given says what it is.

    Raises:
        InvalidInput: it is missing, a folder, empty, unreadable, or no picture or clip that we know.
    """
    with open_input(path) as file:
        source = Source(path, file, "picture or clip")
        if not source.size:
            raise InvalidInput(f"{path} is empty.", hint="Give the path of a picture or clip.")
        source.format = format_of(source)
        yield source


def check_input(info: Info, model: Model) -> None:
    """Check that a model takes an input.

    Raises:
        InvalidInput: wrong medium or format, animated, or too many bytes; names the limit and the value.
    """
    video = isinstance(info, VideoInfo)
    if video != (model.media is Media.VIDEO):
        takes, given = ("pictures", "a clip") if video else ("clips", "a picture")
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
            if not video
            else "Save it smaller, or cut it into parts.",
        )


def read_image(source: Source) -> ImageInfo:
    """What a picture is, from its header.

    Raises:
        InvalidInput: it is damaged.
    """
    header = read_header(source)
    width, height = header.width, header.height
    if header.turned:
        width, height = height, width
    return ImageInfo(source.format, width, height, header.alpha, header.frames, source.size)


def _video(source: Source, max_pixels: int) -> VideoInfo:
    with (
        damage_as(lambda _: undecodable_video(source)),
        open_video(source.path, source.format, max_pixels=max_pixels) as video,
    ):
        return read_video(video, decode_first(video)[0], source)


def undecodable_video(source: Source) -> InvalidInput:
    """The error for a clip of which not even the first frame can be had."""
    return source.broken("it cannot be decoded")


def read_video(video: OpenVideo, first: VideoFrame, source: Source) -> VideoInfo:
    """What an open clip is.

    Args:
        video: the clip.
        first: its first frame.
        source: its file, whose format is known.

    Raises:
        FFmpegError, ValueError: it is damaged.
    """
    stream = video.video
    turn = Turn.of(first)
    width, height = turn.shown((first.width, first.height))
    return VideoInfo(
        format=source.format,
        width=width,
        height=height,
        frame_rate=exact(stream.average_rate) or exact(stream.guessed_rate),
        frames=stream.frames or None,
        seconds=video.seconds,
        audio=bool(video.container.streams.audio),
        codec=codec_of(stream),
        bytes=source.size,
        turn=turn,
        sample_aspect=exact(stream.sample_aspect_ratio) or Fraction(1),
    )
