"""Opening clips with libav so that nothing but the file itself is read, and memory stays small."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition
from av.video.stream import VideoStream

from ..errors import InvalidInput, RemoteUpscaleError
from .damage import TooManyPixels, damage_as

_DEMUXERS = {"mp4": "mov", "mov": "mov", "webm": "matroska", "matroska": "matroska", "avi": "avi"}
_MICROSECONDS = 1_000_000
_av_open: Any = av.open
_LENIENT = int(av.__version__.partition(".")[0]) >= 19
_open: Callable[..., InputContainer] = _av_open if _LENIENT else partial(_av_open, metadata_errors="ignore")
"""Opens a clip whose metadata need not be UTF-8; PyAV takes that as it comes from version 19 on."""

DAMAGED = (FFmpegError, ValueError, ArithmeticError, LookupError, EOFError)
"""What libav and its wrapper raise for files that make no sense."""


class Rational(Protocol):
    """What PyAV's numbers with a denominator have in common."""

    @property
    def numerator(self) -> int: ...
    @property
    def denominator(self) -> int: ...


def exact(number: Rational | None) -> Fraction | None:
    """PyAV's number as a fraction that counts exactly, which the type it has from version 19 on does not.

    ``None`` where it is not set, which PyAV says by ``None`` or 0, or has no value.
    """
    return Fraction(number.numerator, number.denominator) if number else None


@contextmanager
def libav_damage_as(error_of: Callable[[Exception], RemoteUpscaleError]) -> Generator[None]:
    """As ``damage_as``, for what libav raises, too.

    Its own kind of a lack of memory does not pass: it is libav's answer to sizes that make no sense.
    """
    with damage_as(error_of):
        try:
            yield
        except FFmpegError as error:
            raise error_of(error) from None


@dataclass(frozen=True)
class OpenVideo:
    """An open clip and the stream that is its picture."""

    container: InputContainer
    video: VideoStream

    @property
    def seconds(self) -> float | None:
        """Its announced length, where there is one."""
        duration = self.container.duration
        return duration / _MICROSECONDS if duration and duration > 0 else None


@contextmanager
def open_video(path: Path, format: str, *, max_pixels: int) -> Generator[OpenVideo, None, None]:  # noqa: A002
    """Open a clip.

    The demuxer is chosen by us, not guessed, so that a playlist under a clip's name cannot make libav open
    other files or addresses. Decoding is done in one thread: every further one keeps frames of its own.

    Args:
        path: the clip.
        format: one of ``VIDEO_FORMATS``.
        max_pixels: the largest frame that is decoded.

    Raises:
        TooManyPixels: its frames are larger than ``max_pixels``.
        InvalidInput: there is no picture in it, or its codec is not known.
        FFmpegError, ValueError: it is damaged.
    """
    options = {"max_pixels": str(max_pixels), "threads": "1"}
    with _open(str(path.resolve()), format=_DEMUXERS[format], options=options) as container:
        moving = [
            stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic
        ]
        if not moving:
            raise InvalidInput(f"There is no moving picture in {path}.", hint="Give a clip that has one.")
        video = moving[0]
        # The wrapper has no context for a codec that it has no decoder for, whatever its type hints say.
        if video.codec_context is None:  # pyright: ignore[reportUnnecessaryComparison]
            raise InvalidInput(f"The codec of {path} is not known.", hint="Save it as H.264 or VP9.")
        size = video.codec_context.width, video.codec_context.height
        if size[0] * size[1] > max_pixels:
            raise TooManyPixels(
                f"The frames of {path} are {size[0]} x {size[1]}, more than {max_pixels:,} pixels.",
                hint="Give a smaller clip.",
            )
        video.codec_context.thread_count = 1
        yield OpenVideo(container, video)
