"""WebP: picture, alpha, animation and colour chunks are kept, all others left out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..spliced_file import SplicedFile
from .exif import minimal_exif, read_orientation
from .structure import Plan, Source

_KEPT = frozenset({b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ICCP"})
_IN_FRAME = frozenset({b"VP8 ", b"VP8L", b"ALPH"})
_IMAGE = frozenset({b"VP8 ", b"VP8L", b"ANMF"})
_FRAME_HEADER = 16
_EXIF_FLAG, _XMP_FLAG = 0x08, 0x04
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
    exif = _exif(source, found)
    size = 4 + sum(_size(chunk, frames) for chunk in found) + len(exif)
    plan = Plan(source)
    plan.put(b"RIFF" + size.to_bytes(4, "little") + b"WEBP")
    for chunk in found:
        _emit(source, plan, chunk, frames, turned=bool(exif))
    if exif:
        plan.put(exif)
    return plan.spliced_file()


def _emit(
    source: Source, plan: Plan, chunk: Chunk, frames: dict[Chunk, list[Chunk]], *, turned: bool
) -> None:
    if chunk.name in _KEPT:
        _keep(plan, chunk)
    elif chunk.name == b"VP8X":
        data = bytearray(source.at(chunk.start, 10))
        data[0] = data[0] & ~(_EXIF_FLAG | _XMP_FLAG) | (_EXIF_FLAG if turned else 0)
        plan.put(b"VP8X" + (10).to_bytes(4, "little") + data)
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


def _exif(source: Source, found: list[Chunk]) -> bytes:
    """The EXIF chunk to write: with the orientation where the picture is turned, else nothing."""
    blocks = [chunk for chunk in found if chunk.name == b"EXIF"]
    if not blocks or found[0].name != b"VP8X":
        return b""
    orientation = read_orientation(source, blocks[0].start, blocks[0].stop)
    if orientation == 1:
        return b""
    data = minimal_exif(orientation)
    return b"EXIF" + len(data).to_bytes(4, "little") + data


def _even(length: int) -> int:
    return length + length % 2
