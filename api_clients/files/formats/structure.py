"""Reading a file's structure and planning what of it is kept: what all formats share."""

from __future__ import annotations

import io
from pathlib import Path
from typing import BinaryIO

from ...errors import InvalidInput
from ..spliced_file import FileVersion, Range, SplicedFile, unreadable

_MOST_READS = 2_000_000
_MOST_PARTS = 500_000
_ZEROS = bytes(1 << 20)

SUBTITLES = "The clip's subtitles were not uploaded, so the result has none."
"""What is said where subtitles were left out."""


class Source:
    """An open file whose structure is read piece by piece, never its content as a whole.

    Args:
        path: what the file is called in messages.
        file: open for reading; whoever opened it closes it.
        format: what it should be, in messages.
        version: its size and time of change; ``None`` to ask the system.
    """

    def __init__(
        self,
        path: Path,
        file: BinaryIO,
        format: str,  # noqa: A002
        *,
        version: FileVersion | None = None,
    ) -> None:
        self.path = path
        self.format = format
        self.version = version or FileVersion.of(file)
        self.size = self.version.size
        self.file = file
        self._reads = 0

    @classmethod
    def in_memory(cls, data: bytes, path: Path, format: str) -> Source:  # noqa: A002
        """A file's whole content, to be read like one on disk; it is not copied."""
        return cls(path, io.BytesIO(data), format, version=FileVersion(len(data), 0))

    def loaded(self) -> Source:
        """The same file with its whole content in memory, for what has to be gone through more than once.

        Raises:
            InvalidInput: it cannot be read.
        """
        return Source.in_memory(self.at(0, self.size), self.path, self.format)

    def at(self, offset: int, length: int) -> bytes:
        """Exactly ``length`` bytes from ``offset``.

        Raises:
            InvalidInput: the file ends before, or is made of absurdly many pieces.
        """
        piece = self.up_to(offset, length)
        if len(piece) < length:
            raise self.cut_off()
        return piece

    def up_to(self, offset: int, length: int) -> bytes:
        """As ``at``, but fewer bytes at the end of the file."""
        self._reads += 1
        if self._reads > _MOST_READS:
            raise self.broken("it consists of far too many pieces")
        try:
            self.file.seek(offset)
            return self.file.read(length)
        except OSError as error:
            raise unreadable(self.path, error) from None

    def number(self, offset: int, length: int, *, little: bool = False) -> int:
        """An unsigned integer of ``length`` bytes."""
        return int.from_bytes(self.at(offset, length), "little" if little else "big")

    def broken(self, why: str) -> InvalidInput:
        """The error for a structure that makes no sense."""
        return InvalidInput(
            f"{self.path} is damaged or not a {self.format} file: {why}.",
            hint="Save it again with another program.",
        )

    def cut_off(self) -> InvalidInput:
        """The error for a file that ends before its structure does."""
        return InvalidInput(
            f"{self.path} is cut off, or not a {self.format} file: it ends before its content does.",
            hint="Copy or save it again.",
        )


class Plan:
    """What is kept, in order. Neighbouring ranges become one, so memory stays small."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._parts: list[Range | bytes] = []
        self._notes: list[str] = []

    def note(self, sentence: str) -> None:
        """Tell the user what was left out that they would miss; once, however often it is called."""
        if sentence not in self._notes:
            self._notes.append(sentence)

    def keep(self, start: int, stop: int) -> None:
        """Keep a range of the file.

        Raises:
            InvalidInput: it reaches beyond the end.
        """
        if stop > self._source.size:
            raise self._source.cut_off()
        if start >= stop:
            return
        last = self._parts[-1] if self._parts else None
        if isinstance(last, Range) and last.stop == start:
            self._parts[-1] = Range(last.start, stop)
        else:
            self._add(Range(start, stop))

    def put(self, literal: bytes) -> None:
        """Write these bytes instead of any of the file's."""
        self._add(literal)

    def zeros(self, count: int) -> None:
        """Write so many zero bytes; takes no memory for them.

        Raises:
            InvalidInput: there are more than the file is long.
        """
        if count > self._source.size:
            raise self._source.cut_off()
        for _ in range(count // len(_ZEROS)):
            self._add(_ZEROS)
        if count % len(_ZEROS):
            self._add(_ZEROS[: count % len(_ZEROS)])

    def spliced_file(self) -> SplicedFile:
        """The virtual file."""
        return SplicedFile(self._source.path, tuple(self._parts), self._source.version, tuple(self._notes))

    def _add(self, part: Range | bytes) -> None:
        if len(self._parts) >= _MOST_PARTS:
            raise self._source.broken("it consists of far too many pieces")
        self._parts.append(part)
