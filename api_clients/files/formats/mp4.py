"""MP4 and MOV: boxes that hold metadata become ``free`` boxes of the same size, so no offset changes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..spliced_file import SplicedFile
from .structure import Plan, Source

_INSIDE = {
    b"file": frozenset(b"ftyp styp moov moof mdat sidx ssix mfra pdin prft".split()),
    b"moov": frozenset(b"mvhd trak mvex iods pssh clip ctab".split()),
    b"trak": frozenset(b"tkhd edts mdia tref tapt load matt clip txas imap trgr".split()),
    b"mdia": frozenset(b"mdhd hdlr elng minf".split()),
    b"minf": frozenset(b"vmhd smhd hmhd nmhd sthd gmhd hdlr dinf stbl".split()),
    b"moof": frozenset(b"mfhd traf pssh".split()),
}
"""What is kept in each container; everything else in it is blanked."""


@dataclass(frozen=True)
class Box:
    """A box: its name, its start, its content's start, its stop, whether that is merely the file's end."""

    name: bytes
    start: int
    content: int
    stop: int
    open_ended: bool


def boxes(source: Source, start: int, stop: int) -> Iterator[Box]:
    """The boxes between two offsets; fewer than 8 bytes that are left over belong to none.

    Raises:
        InvalidInput: one is smaller than its header or reaches beyond ``stop``.
    """
    while start + 8 <= stop:
        header = source.at(start, 8)
        length, name, content = int.from_bytes(header[:4], "big"), header[4:], start + 8
        if length == 1:
            length, content = source.number(start + 8, 8), start + 16
        open_ended = length == 0
        end = stop if open_ended else start + length
        if end < content:
            raise source.broken("a box is smaller than its own header")
        if end > stop:
            raise source.cut_off()
        yield Box(name, start, content, end, open_ended)
        start = end


def strip(source: Source) -> SplicedFile:
    """Picture and sound alone, every byte of them where it was.

    Raises:
        InvalidInput: it is no MP4 or MOV, is damaged, or its index is compressed.
    """
    plan = Plan(source)
    stripper = _Stripper(source, plan)
    stripper.level(0, source.size, b"file")
    if not stripper.has_movie:
        raise source.broken("it has no index of its content (a recording that was not finished?)")
    return plan.spliced_file()


class _Stripper:
    def __init__(self, source: Source, plan: Plan) -> None:
        self.source = source
        self.plan = plan
        self.has_movie = False

    def level(self, start: int, stop: int, container: bytes) -> None:
        """The boxes inside one container. The table is a tree, so nesting ends however the file is made."""
        for box in boxes(self.source, start, stop):
            self.has_movie |= box.name == b"moov"
            if box.name == b"cmov":
                raise self.source.broken("its index is compressed")
            if box.name not in _INSIDE[container]:
                self._blank(box)
            elif box.name in _INSIDE:
                self.plan.keep(box.start, box.content)
                self.level(box.content, box.stop, box.name)
            else:
                self.plan.keep(box.start, box.stop)
            start = box.stop
        self.plan.zeros(stop - start)

    def _blank(self, box: Box) -> None:
        size = 0 if box.open_ended else box.stop - box.start
        if box.content - box.start == 16:
            self.plan.put(b"\0\0\0\1free" + size.to_bytes(8, "big"))
        else:
            self.plan.put(size.to_bytes(4, "big") + b"free")
        self.plan.zeros(box.stop - box.content)
