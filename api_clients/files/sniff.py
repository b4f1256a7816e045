"""Which format a file has, from its first bytes."""

from __future__ import annotations

from pathlib import Path

from ..errors import InvalidInput
from .formats import matroska
from .formats.structure import Source
from .spliced_file import open_input

IMAGE_FORMATS = ("png", "jpeg", "webp")
VIDEO_FORMATS = ("mp4", "mov", "webm", "matroska", "avi")

MEDIA_TYPES = {
    "png": "image/png",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "webm": "video/webm",
    "matroska": "video/x-matroska",
    "avi": "video/x-msvideo",
}
SUFFIXES = {
    "png": ".png",
    "jpeg": ".jpg",
    "webp": ".webp",
    "mp4": ".mp4",
    "mov": ".mov",
    "webm": ".webm",
    "matroska": ".mkv",
    "avi": ".avi",
}

_OTHERS = {
    b"GIF8": "a GIF picture",
    b"BM": "a BMP picture",
    b"II*\0": "a TIFF picture",
    b"MM\0*": "a TIFF picture",
    b"v/1\x01": "an OpenEXR picture",
    b"8BPS": "a Photoshop picture",
    b"\xff\x0a": "a JPEG XL picture",
    b"\0\0\0\x0cJXL ": "a JPEG XL picture",
    b"\0\0\0\x0cjP  ": "a JPEG 2000 picture",
    b"FLV": "an FLV clip",
    b"OggS": "an Ogg file",
    b"\x30\x26\xb2\x75": "a Windows Media file",
    b"\0\0\x01\xba": "an MPEG clip",
    b"ID3": "an MP3 file",
    b"fLaC": "a FLAC file",
    b"%PDF": "a PDF document",
}
_STILL_BRANDS = {
    b"avif": "AVIF",
    b"avis": "AVIF",
    b"heic": "HEIC",
    b"heix": "HEIC",
    b"mif1": "HEIF",
    b"msf1": "HEIF",
}
_FIRST_BOXES = frozenset(b"ftyp moov mdat wide free skip".split())


def format_of_file(path: Path) -> str:
    """The format of a file by its path. Blocking; raises as ``format_of``, or where it cannot be read."""
    with open_input(path) as file:
        return format_of(Source(path, file, "picture or clip"))


def format_of(source: Source) -> str:
    """One of ``IMAGE_FORMATS`` or ``VIDEO_FORMATS``.

    Raises:
        InvalidInput: it is something else; says what, where that can be told.
    """
    start = source.up_to(0, 16)
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if start.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if start[:4] == b"RIFF" and start[8:12] in {b"WEBP", b"AVI "}:
        return "webp" if start[8:12] == b"WEBP" else "avi"
    if start.startswith(matroska.EBML.to_bytes(4, "big")):
        return _doc_type(source)
    if start[4:8] in _FIRST_BOXES:
        return _brand(source, start)
    raise _not_usable(
        source, next((name for magic, name in _OTHERS.items() if start.startswith(magic)), None)
    )


def _brand(source: Source, start: bytes) -> str:
    # Files from before there were brands are QuickTime's own.
    if start[4:8] != b"ftyp" or start[8:12] == b"qt  ":
        return "mov"
    if start[8:12] in _STILL_BRANDS:
        raise _not_usable(source, f"a picture in {_STILL_BRANDS[start[8:12]]}")
    return "mp4"


def _doc_type(source: Source) -> str:
    header = matroska.element_at(source, 0, source.size)
    stop = source.size if header.stop is None else header.stop
    for element in matroska.elements(source, header.content, stop):
        if element.id == matroska.DOC_TYPE and element.stop is not None:
            if source.at(element.content, min(16, element.stop - element.content)).rstrip(b"\0") == b"webm":
                return "webm"
            break
    return "matroska"


def _not_usable(source: Source, name: str | None) -> InvalidInput:
    what = f"is {name}, which cannot be used" if name else "is not a picture or clip"
    return InvalidInput(
        f"{source.path} {what}.",
        hint="Save a picture as PNG, JPEG or WebP, or a clip as MP4, MOV, WebM or AVI.",
    )
