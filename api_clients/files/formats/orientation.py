"""How a picture is turned: all in EXIF and XMP that changes what is seen. Read as Pillow reads it."""

from __future__ import annotations

import re
import struct

LARGEST = 1 << 20
"""Bytes of EXIF or XMP beyond which nothing is read."""
_ORIENTATION = 0x0112
_SHORT = 3
_WHOLE_NUMBERS = {_SHORT: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I"}
_OTHERS = {1: 1, 2: 1, 5: 8, 7: 1, 10: 8, 11: 4, 12: 8, 16: 8}
"""Sizes in bytes of the other types of values."""
_ORDERS = {b"II*\0": "<", b"II\0*": "<", b"MM\0*": ">", b"MM*\0": ">"}
_EXIF = re.compile(rb"(?:Exif\0\0){0,2}")
_XMP = re.compile(rb'tiff:Orientation(?:="|>)([0-9])')


def shown_orientation(exif: bytes, xmp: bytes) -> int:
    """The orientation, 1 to 8, in which a picture is shown: EXIF's, or where it has none XMP's.

    Args:
        exif: a TIFF block, with or without ``Exif`` and two zeros before it; empty where there is none.
        xmp: likewise; both may be damaged, which means that they say nothing.
    """
    orientation = _in_exif(exif)
    if orientation is None:
        found = _XMP.search(xmp)
        orientation = int(found[1]) if found else 1
    return orientation if 1 <= orientation <= 8 else 1


def _in_exif(exif: bytes) -> int | None:
    """What EXIF says, 0 where that is no number; ``None`` where it says nothing."""
    start = _EXIF.match(exif)
    tiff = exif[start.end() :] if start else exif
    order = _ORDERS.get(tiff[:4])
    if order is None or len(tiff) < 8:
        return None
    directory = struct.unpack_from(f"{order}I", tiff, 4)[0]
    if directory + 2 > len(tiff):
        return None
    count = struct.unpack_from(f"{order}H", tiff, directory)[0]
    found = None
    for at in range(directory + 2, min(directory + 2 + 12 * count, len(tiff) - 11), 12):
        tag, kind, number = struct.unpack_from(f"{order}HHI", tiff, at)
        form = _WHOLE_NUMBERS.get(kind)
        size = struct.calcsize(form) if form else _OTHERS.get(kind, 0)
        if tag != _ORIENTATION or not size * number:
            continue
        if size * number > 4:
            at = struct.unpack_from(f"{order}I", tiff, at + 8)[0] - 8  # noqa: PLW2901
            if at + 8 + size * number > len(tiff):
                continue
        found = struct.unpack_from(f"{order}{form}", tiff, at + 8)[0] if form else 0
    return found


def minimal_exif(orientation: int) -> bytes:
    """An EXIF block, from its TIFF header on, that holds the orientation and nothing else."""
    return struct.pack(">2sHIHHHIHHI", b"MM", 42, 8, 1, _ORIENTATION, _SHORT, 1, orientation, 0, 0)
