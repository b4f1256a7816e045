"""JPEG: coding tables, scans and colour information are kept, all other segments left out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ..spliced_file import SplicedFile
from .icc import public_profile
from .orientation import LARGEST, minimal_exif, shown_orientation
from .structure import Plan, Source

_SOI, _EOI, _SOS = 0xD8, 0xD9, 0xDA
_APP0, _APP1, _APP2, _APP14 = 0xE0, 0xE1, 0xE2, 0xEE
_EXIF, _XMP, _ICC = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0", b"ICC_PROFILE\0"
_HEADERS = {_APP0: (b"JFIF\0", 12, b"\0\0"), _APP14: (b"Adobe", 12, b"")}
"""How segments begin that tell about colours, how much of them does, and what follows it: no thumbnail."""
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
    found = list(_headers(source))
    turn = _turn(source, found)
    profile = _profile(source, found)
    in_scan = None
    for marker in markers(source):
        if in_scan is not None:
            plan.keep(in_scan, marker.start)
        in_scan = marker.stop if marker.code == _SOS else None
        if marker.code in _CODING or marker.code == _EOI:
            plan.keep(marker.start, marker.stop)
        elif marker.code in _HEADERS:
            _header(source, marker, plan)
        elif marker in profile:
            plan.put(profile[marker])
        elif marker.code == _APP1 and turn and _begins(source, marker, _EXIF, _XMP):
            plan.put(turn)
            turn = b""
        elif marker.code not in _DROPPED:
            raise source.broken(f"it has the unknown segment {marker.code:02X}")
    return plan.spliced_file()


def read_orientation(source: Source) -> int:
    """How the picture is turned, 1 to 8: as EXIF says, or else XMP.

    Raises:
        InvalidInput: it is no JPEG, or ends before its picture begins.
    """
    return _orientation(source, list(_headers(source)))


def read_profile(source: Source) -> bytes:
    """The ICC profile that is spread over segments; empty where there is none.

    Raises:
        InvalidInput: it is no JPEG, or ends before its picture begins.
    """
    return b"".join(data for _, data in _profile_parts(source, list(_headers(source))))


def _headers(source: Source) -> Iterator[Marker]:
    """The marker segments before the first scan."""
    for marker in markers(source):
        if marker.code == _SOS:
            return
        yield marker


def _begins(source: Source, marker: Marker, *starts: bytes) -> bool:
    """Whether a segment's content begins with one of these."""
    length = min(max(map(len, starts)), marker.stop - marker.start - 4)
    return source.up_to(marker.start + 4, length).startswith(starts)


def _content(source: Source, marker: Marker, skipped: int) -> bytes:
    start = marker.start + 4 + skipped
    return source.at(start, max(0, marker.stop - start))


def _orientation(source: Source, found: list[Marker]) -> int:
    exif, xmp = b"", b""
    for marker in found:
        if marker.code != _APP1:
            continue
        if _begins(source, marker, _EXIF) and len(exif) < LARGEST:  # a long block goes on in the next segment
            exif += _content(source, marker, len(_EXIF))
        elif _begins(source, marker, _XMP):
            xmp = _content(source, marker, len(_XMP))
    return shown_orientation(exif, xmp)


def _turn(source: Source, found: list[Marker]) -> bytes:
    """The segment that says how the picture is turned; empty where it is not."""
    orientation = _orientation(source, found)
    if orientation == 1:
        return b""
    return _segment(_APP1, _EXIF + minimal_exif(orientation))


def _segment(code: int, content: bytes) -> bytes:
    return bytes([0xFF, code]) + (len(content) + 2).to_bytes(2, "big") + content


def _header(source: Source, marker: Marker, plan: Plan) -> None:
    """Keep of a segment what tells about colours and density."""
    start, length, rest = _HEADERS[marker.code]
    if not _begins(source, marker, start):
        return
    content = _content(source, marker, 0)
    short = content[:length] + rest if len(content) >= length + len(rest) else content
    if short == content:
        plan.keep(marker.start, marker.stop)
    else:
        plan.put(_segment(marker.code, short))


def _profile_parts(source: Source, found: list[Marker]) -> list[tuple[Marker, bytes]]:
    """The parts of the ICC profile in their order, and the segments in which they are."""
    parts: dict[int, tuple[Marker, bytes]] = {}
    for marker in found:
        if marker.code == _APP2 and _begins(source, marker, _ICC):
            content = _content(source, marker, len(_ICC))
            if len(content) > 2:
                parts.setdefault(content[0], (marker, content[2:]))
    return [parts[number] for number in sorted(parts)]


def _profile(source: Source, found: list[Marker]) -> dict[Marker, bytes]:
    """What is written instead of the segments with the ICC profile."""
    parts = _profile_parts(source, found)
    public = public_profile(b"".join(data for _, data in parts))
    segments: dict[Marker, bytes] = {}
    at = 0
    for marker, data in parts if public is not None else []:
        numbers = source.at(marker.start + 4 + len(_ICC), 2)
        segments[marker] = _segment(_APP2, _ICC + numbers + (public or b"")[at : at + len(data)])
        at += len(data)
    return segments


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
