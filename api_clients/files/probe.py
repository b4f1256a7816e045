"""What a file is, from its content and not its name, and whether a model takes it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from ..errors import InvalidInput
from ..models import Media, Model
from .formats.structure import Source
from .headers import read_header
from .info import ImageInfo, Info, VideoInfo
from .sniff import IMAGE_FORMATS, MEDIA_TYPES, SUFFIXES, format_of
from .spliced_file import open_input

__all__ = ["MEDIA_TYPES", "SUFFIXES", "ImageInfo", "Info", "VideoInfo", "check_input", "probe"]

MAX_FRAME_PIXELS = 1 << 27
"""Largest frame of a clip that is decoded to look at it: 16384 x 8192."""


def probe(path: Path, *, max_pixels: int = MAX_FRAME_PIXELS) -> Info:
    """What a file is. Blocking. Of a picture only the header is read, of a clip one frame decoded.

    Args:
        path: the file.
        max_pixels: the largest frame of a clip that is decoded; pictures of any size are fine.

    Raises:
        InvalidInput: it is missing, a folder, empty, unreadable, damaged, or no picture or clip that we know.
    """
    with open_media(path) as source:
        if source.format in IMAGE_FORMATS:
            return read_image(source)
        from .clip import probe_clip  # noqa: PLC0415 (its decoder takes long to import; pictures need none)

        return probe_clip(source, max_pixels)


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
    return ImageInfo(source.format, width, height, header.alpha, header.frames, source.size, header.depth)
