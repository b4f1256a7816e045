"""WebP: picture, alpha, animation and colour chunks are kept, all others left out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..spliced_file import SplicedFile
from .icc import public_profile
from .orientation import LARGEST, minimal_exif, shown_orientation
from .structure import Plan, Source

_KEPT = frozenset({b"VP8 ", b"VP8L", b"ALPH", b"ANIM"})
_IN_FRAME = frozenset({b"VP8 ", b"VP8L", b"ALPH"})
_IMAGE = frozenset({b"VP8 ", b"VP8L", b"ANMF"})
_FRAME_HEADER = 16
_PROFILE_FLAG, _EXIF_FLAG, _XMP_FLAG = 0x20, 0x08, 0x04
_LARGEST_PROFILE = 16 << 20
_MOST_CHUNKS = 200_000


@dataclass(frozen=True)
class Chunk:
    """A chunk: its name, and where its data start and stop, padding not included."""

    name: bytes
    start: int
    stop: int

    @property
    def size(self) -> int:
        """Bytes it takes with header and padding."""
        return 8 + _even(self.stop - self.start)


def chunks(source: Source) -> Iterator[Chunk]:
    """The chunks of the file; what lies behind its RIFF list is not looked at.

    Raises:
        InvalidInput: it is no WebP, or ends too early.
    """
    header = source.at(0, 12)
    if header[:4] != b"RIFF" or header[8:] != b"WEBP":
        raise source.broken("it does not begin like one")
    stop = 8 + int.from_bytes(header[4:8], "little")
    if stop > _even(source.size):
        raise source.cut_off()
    yield from inner(source, 12, min(stop, source.size))


def inner(source: Source, start: int, stop: int) -> Iterator[Chunk]:
    """The chunks between two offsets."""
    while start + 8 <= stop:
        name, length = source.at(start, 4), source.number(start + 4, 4, little=True)
        chunk = Chunk(name, start + 8, start + 8 + length)
        if chunk.stop > stop:
            raise source.cut_off()
        yield chunk
        start += chunk.size


def strip(source: Source) -> SplicedFile:
    """The picture alone.

    Raises:
        InvalidInput: it is no WebP, or damaged.
    """
    found: list[Chunk] = []
    for chunk in chunks(source):
        found.append(chunk)
        if len(found) > _MOST_CHUNKS:
            raise source.broken("it consists of far too many pieces")
    if not any(chunk.name in _IMAGE for chunk in found):
        raise source.broken("there is no picture in it")
    frames = {chunk: _frame(source, chunk) for chunk in found if chunk.name == b"ANMF"}
    profile, exif = _profile_chunk(source, found), _exif_chunk(source, found)
    size = 4 + sum(_size(chunk, frames) for chunk in found) + len(profile) + len(exif)
    plan = Plan(source)
    plan.put(b"RIFF" + size.to_bytes(4, "little") + b"WEBP")
    for chunk in found:
        if chunk.name == b"VP8X":
            plan.put(_extended_header(source, chunk, profile, exif))
        else:
            _emit(plan, chunk, frames)
    if exif:
        plan.put(exif)
    return plan.spliced_file()


def read_orientation(source: Source) -> int:
    """How the picture is turned, 1 to 8: as EXIF says, or else XMP.

    Raises:
        InvalidInput: it is no WebP, or ends too early.
    """
    return _orientation(source, list(chunks(source)))


def read_profile(source: Source) -> bytes:
    """The ICC profile; empty where there is none, or none of sensible size.

    Raises:
        InvalidInput: it is no WebP, or ends too early.
    """
    return _announced(source, list(chunks(source)), b"ICCP", _PROFILE_FLAG, _LARGEST_PROFILE)


def _announced(source: Source, found: list[Chunk], name: bytes, flag: int, largest: int) -> bytes:
    """The content of the first chunk of a name, which counts only where the header announces it."""
    if not found or found[0].name != b"VP8X" or not source.number(found[0].start, 1) & flag:
        return b""
    chunk = next((chunk for chunk in found if chunk.name == name), None)
    if chunk is None or chunk.stop - chunk.start > largest:
        return b""
    return source.at(chunk.start, chunk.stop - chunk.start)


def _orientation(source: Source, found: list[Chunk]) -> int:
    exif = _announced(source, found, b"EXIF", _EXIF_FLAG, LARGEST)
    return shown_orientation(exif, _announced(source, found, b"XMP ", _XMP_FLAG, LARGEST))


def _extended_header(source: Source, chunk: Chunk, profile: bytes, exif: bytes) -> bytes:
    """The chunk VP8X that announces what is written."""
    data = bytearray(source.at(chunk.start, 10))
    data[0] &= ~(_PROFILE_FLAG | _EXIF_FLAG | _XMP_FLAG)
    data[0] |= (_PROFILE_FLAG if profile else 0) | (_EXIF_FLAG if exif else 0)
    return b"VP8X" + (10).to_bytes(4, "little") + data + profile


def _emit(plan: Plan, chunk: Chunk, frames: dict[Chunk, list[Chunk]]) -> None:
    if chunk.name in _KEPT:
        _keep(plan, chunk)
    elif chunk in frames:
        plan.put(b"ANMF" + (_size(chunk, frames) - 8).to_bytes(4, "little"))
        plan.keep(chunk.start, chunk.start + _FRAME_HEADER)
        for part in frames[chunk]:
            _keep(plan, part)


def _keep(plan: Plan, chunk: Chunk) -> None:
    plan.keep(chunk.start - 8, chunk.stop)
    if (chunk.stop - chunk.start) % 2:
        plan.put(b"\0")


def _size(chunk: Chunk, frames: dict[Chunk, list[Chunk]]) -> int:
    """Bytes that are written for a chunk."""
    if chunk in frames:
        return 8 + _FRAME_HEADER + sum(part.size for part in frames[chunk])
    if chunk.name == b"VP8X":
        return 18
    return chunk.size if chunk.name in _KEPT else 0


def _frame(source: Source, chunk: Chunk) -> list[Chunk]:
    """What is kept inside a frame of an animation."""
    parts = inner(source, chunk.start + _FRAME_HEADER, chunk.stop)
    return [part for part in parts if part.name in _IN_FRAME]


def _profile_chunk(source: Source, found: list[Chunk]) -> bytes:
    """The chunk with the profile to write; empty where there is none."""
    profile = public_profile(_announced(source, found, b"ICCP", _PROFILE_FLAG, _LARGEST_PROFILE))
    return _chunk(b"ICCP", profile) if profile else b""


def _exif_chunk(source: Source, found: list[Chunk]) -> bytes:
    """The EXIF chunk to write: with the orientation where the picture is turned, else nothing."""
    orientation = _orientation(source, found)
    return b"" if orientation == 1 else _chunk(b"EXIF", minimal_exif(orientation))


def _chunk(name: bytes, data: bytes) -> bytes:
    return name + len(data).to_bytes(4, "little") + data + bytes(len(data) % 2)


def _even(length: int) -> int:
    return length + length % 2
