"""AVI: lists and chunks that hold metadata become JUNK chunks of the same size, so no offset changes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..spliced_file import SplicedFile
from .structure import Plan, Source

_INSIDE = {
    b"RIFF": frozenset({b"hdrl", b"movi", b"idx1"}),
    b"hdrl": frozenset({b"avih", b"strl", b"odml"}),
    b"strl": frozenset({b"strh", b"strf", b"indx", b"vprp"}),
}
"""What is kept in each list; everything else in it is blanked."""


@dataclass(frozen=True)
class Chunk:
    """A chunk: its name (a list's own name), where it starts, where its content starts, where it stops."""

    name: bytes
    start: int
    content: int
    stop: int


def chunks(source: Source, start: int, stop: int) -> Iterator[Chunk]:
    """The chunks between two offsets; fewer than 8 bytes that are left over belong to none.

    Raises:
        InvalidInput: one reaches beyond ``stop``.
    """
    while start + 8 <= stop:
        name, length = source.at(start, 4), source.number(start + 4, 4, little=True)
        content, end = start + 8, start + 8 + length
        if name in {b"LIST", b"RIFF"}:
            name, content = source.at(start + 8, 4), start + 12
        if end > stop or content > end:
            raise source.cut_off()
        end = min(end + length % 2, stop)
        yield Chunk(name, start, content, end)
        start = end


def strip(source: Source) -> SplicedFile:
    """Picture and sound alone, every byte of them where it was.

    Raises:
        InvalidInput: it is no AVI, or damaged.
    """
    if source.at(0, 4) != b"RIFF" or source.at(8, 4) != b"AVI ":
        raise source.broken("it does not begin like one")
    plan = Plan(source)
    start = 0
    # Beyond 1 GB an AVI is several RIFF lists, the later ones named AVIX. Anything behind them is left out.
    while source.up_to(start, 4) == b"RIFF" and source.at(start + 8, 4) == (b"AVIX" if start else b"AVI "):
        length = source.number(start + 4, 4, little=True)
        stop = start + 8 + length
        if length < 4 or stop > source.size:
            raise source.cut_off()
        plan.keep(start, start + 12)
        _level(source, plan, start + 12, stop, b"RIFF")
        start = stop + length % 2
        if stop < source.size:
            plan.zeros(start - stop)
    return plan.spliced_file()


def _level(source: Source, plan: Plan, start: int, stop: int, container: bytes) -> None:
    """The chunks inside one list. The table is a tree, so nesting ends however the file is made."""
    for chunk in chunks(source, start, stop):
        if chunk.name not in _INSIDE[container]:
            plan.put(b"JUNK")
            plan.keep(chunk.start + 4, chunk.start + 8)
            plan.zeros(chunk.stop - chunk.start - 8)
        elif chunk.name in _INSIDE:
            plan.keep(chunk.start, chunk.content)
            _level(source, plan, chunk.content, chunk.stop, chunk.name)
        else:
            plan.keep(chunk.start, chunk.stop)
        start = chunk.stop
    plan.zeros(stop - start)
