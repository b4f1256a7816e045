"""The one EXIF entry that changes what is seen: how the picture is turned."""

from __future__ import annotations

import struct

from ...errors import InvalidInput
from .structure import Source

_ORIENTATION = 0x0112
_SHORT = 3


def read_orientation(source: Source, start: int, stop: int) -> int:
    """The orientation, 1 to 8, of an EXIF block at ``start``; 1 where it says nothing readable.

    The block may begin with ``Exif`` and two zeros, as it does in JPEG and often in WebP.
    """
    try:
        if source.up_to(start, 6) == b"Exif\0\0":
            start += 6
        return _from_tiff(source, start, stop)
    except (InvalidInput, struct.error):
        # Readers ignore a broken EXIF block, so it turns nothing.
        return 1


def _from_tiff(source: Source, start: int, stop: int) -> int:
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(source.at(start, 4))
    if order is None:
        return 1
    directory = start + struct.unpack(f"{order}I", source.at(start + 4, 4))[0]
    count = struct.unpack(f"{order}H", source.at(directory, 2))[0]
    if directory + 2 + 12 * count > stop:
        return 1
    for tag, kind, number, value in struct.iter_unpack(
        f"{order}HHIH2x", source.at(directory + 2, 12 * count)
    ):
        if tag == _ORIENTATION and kind == _SHORT and number == 1:
            return value if 1 <= value <= 8 else 1
    return 1


def minimal_exif(orientation: int) -> bytes:
    """An EXIF block, from its TIFF header on, that holds the orientation and nothing else."""
    return struct.pack(">2sHIHHHIHHI", b"MM", 42, 8, 1, _ORIENTATION, _SHORT, 1, orientation, 0, 0)
