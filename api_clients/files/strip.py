"""Leaving embedded metadata, such as ComfyUI's workflow, out of an upload without re-encoding anything."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..errors import InvalidInput
from .formats import avi, jpeg, matroska, mp4, png, webp
from .formats.structure import Source
from .spliced_file import SplicedFile, open_input

_STRIPPERS: dict[str, Callable[[Source], SplicedFile]] = {
    "png": png.strip,
    "jpeg": jpeg.strip,
    "webp": webp.strip,
    "mp4": mp4.strip,
    "mov": mp4.strip,
    "webm": matroska.strip,
    "matroska": matroska.strip,
    "avi": avi.strip,
}


def without_metadata(path: Path, format: str) -> SplicedFile:  # noqa: A002
    """The file without what is not seen or heard, as a virtual file. Blocking; reads only the structure.

    What decodes from it is the same, bit for bit: pixels, sound, timing, colour profile, transparency,
    orientation. Clips keep their length and offsets; pictures become shorter.

    Args:
        path: a picture or clip.
        format: as ``probe`` tells it: ``png jpeg webp mp4 mov webm matroska avi``.

    Raises:
        InvalidInput: it cannot be read, or its structure is so damaged that nobody can tell what is in it.
    """
    if format not in _STRIPPERS:
        raise InvalidInput(
            f"Metadata cannot be left out of a {format} file.",
            hint=f"Save it in one of these formats: {', '.join(_STRIPPERS)}.",
        )
    with open_input(path) as file:
        return strip(Source(path, file, format))


def strip(source: Source) -> SplicedFile:
    """As ``without_metadata``, of an open file whose format is one of those."""
    return _STRIPPERS[source.format](source)
