"""JPEG: coding tables, scans and colour information are kept, all other segments left out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ..spliced_file import SplicedFile
from .exif import minimal_exif, read_orientation
from .structure import Plan, Source

_SOI, _EOI, _SOS, _APP1 = 0xD8, 0xD9, 0xDA, 0xE1
_APPLICATION = {0xE0: b"JFIF\0", 0xE2: b"ICC_PROFILE\0", 0xEE: b"Adobe"}
_DROPPED = frozenset(range(0xE0, 0x100))
_CODING = frozenset(range(0xC0, 0xE0)) - {0xC8, *range(0xD0, 0xDA)} | {_SOS}
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Marker:
    """A marker segment from its FF at ``start`` to its end at ``stop``, without scan data behind it."""

    code: int
    start: int
    stop: int


def markers(source: Source) -> Iterator[Marker]:
    """All marker segments behind SOI, the last one being EOI.

    Raises:
        InvalidInput: it is no JPEG, or ends before EOI.
    """
    if source.at(0, 3) != b"\xff\xd8\xff":
        raise source.broken("it does not begin like one")
    offset = 2
    while True:
        start = _next_marker(source, offset)
        code = source.number(start + 1, 1)
        if code == _EOI:
            yield Marker(code, start, start + 2)
            return
        if code in {0x01, _SOI}:
            raise source.broken("its segments are in disorder")
        length = source.number(start + 2, 2)
        offset = start + 2 + length
        if length < 2:
            raise source.broken("a segment has no length")
        if offset > source.size:
            raise source.cut_off()
        yield Marker(code, start, offset)


def strip(source: Source) -> SplicedFile:
    """The picture alone; further pictures behind its end are left out.

    Raises:
        InvalidInput: it is no JPEG, or damaged.
    """
    plan = Plan(source)
    plan.keep(0, 2)
    in_scan, turned = None, False
    for marker in markers(source):
        if in_scan is not None:
            plan.keep(in_scan, marker.start)
        in_scan = marker.stop if marker.code == _SOS else None
        if marker.code in _CODING or marker.code == _EOI or _is_kept(source, marker):
            plan.keep(marker.start, marker.stop)
        elif marker.code == _APP1 and not turned:
            turned = _turn(source, marker, plan)
        elif marker.code not in _DROPPED:
            raise source.broken(f"it has the unknown segment {marker.code:02X}")
    return plan.spliced_file()


def _is_kept(source: Source, marker: Marker) -> bool:
    start = _APPLICATION.get(marker.code)
    return start is not None and source.up_to(marker.start + 4, len(start)) == start


def _turn(source: Source, marker: Marker, plan: Plan) -> bool:
    if source.up_to(marker.start + 4, 6) != b"Exif\0\0":
        return False
    orientation = read_orientation(source, marker.start + 4, marker.stop)
    if orientation == 1:
        return True
    exif = b"Exif\0\0" + minimal_exif(orientation)
    plan.put(b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif)
    return True


def _next_marker(source: Source, offset: int) -> int:
    """Where the next marker is that is not part of scan data; anything before it is scan data or padding."""
    if _MARKER.match(source.up_to(offset, 2)):
        return offset
    while block := source.up_to(offset, _BLOCK):
        found = _MARKER.search(block)
        if found:
            return offset + found.start()
        if len(block) < _BLOCK:
            break
        offset += len(block) - 1
    raise source.cut_off()
