"""The boxes that MP4 and MOV are made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .structure import Source


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


def first_box(source: Source, parent: Box, *path: bytes) -> Box | None:
    """The first box of a name inside the first of the name before it, and so on; ``None`` if there is none.

    Raises:
        InvalidInput: as ``boxes`` does.
    """
    found: Box | None = parent
    for name in path:
        if found is None:
            return None
        found = next((box for box in boxes(source, found.content, found.stop) if box.name == name), None)
    return found
