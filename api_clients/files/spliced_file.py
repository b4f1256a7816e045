"""A file as it is uploaded: byte ranges of a real file and literal bytes, without a copy of it anywhere."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
from bisect import bisect_right
from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from ..errors import InvalidInput

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_CHUNK = 1 << 20
_BUFFER = 256
"""Read at once when a file's structure is followed, which is a few bytes here and there."""


@dataclass(frozen=True)
class Range:
    """The bytes ``start`` up to but not including ``stop`` of the real file."""

    start: int
    stop: int


@dataclass(frozen=True)
class FileVersion:
    """What tells that a file is still the one that was looked at: its size and time of change."""

    size: int
    modified_ns: int

    @classmethod
    def of(cls, file: BinaryIO) -> FileVersion:
        """That of an open file."""
        status = os.fstat(file.fileno())
        return cls(status.st_size, status.st_mtime_ns)


@dataclass(frozen=True)
class SplicedFile:
    """A virtual file: ``parts`` one after the other.

    Memory stays flat whatever the size: at most one chunk is held at a time. Every call opens the file for
    itself, so any number of threads may read at once.

    Attributes:
        path: the real file.
        parts: ranges of it, and literal bytes.
        version: of the real file when it was looked at; a file that is no longer the same is refused.
        notes: what was left out that the user would miss, in sentences.
    """

    path: Path
    parts: tuple[Range | bytes, ...]
    version: FileVersion | None = None
    notes: tuple[str, ...] = ()

    @classmethod
    def whole(cls, path: Path) -> SplicedFile:
        """A file as it is.

        Raises:
            InvalidInput: it cannot be read.
        """
        with open_input(path) as file:
            version = FileVersion.of(file)
        return cls(path, (Range(0, version.size),), version)

    @cached_property
    def _stops(self) -> list[int]:
        return list(accumulate(_length(part) for part in self.parts))

    @property
    def size(self) -> int:
        """Length in bytes."""
        return self._stops[-1] if self.parts else 0

    def read(self, offset: int, length: int) -> bytes:
        """Up to ``length`` bytes from ``offset``; fewer only at the end. Blocking; safe from any thread.

        Raises:
            InvalidInput: the file is gone, cannot be read, or has changed.
        """
        return b"".join(self.chunks(offset, length))

    def chunks(
        self, offset: int = 0, length: int | None = None, size: int = _CHUNK
    ) -> Generator[bytes, None, None]:
        """The bytes from ``offset`` in pieces of at most ``size`` bytes, none empty. Blocking.

        Args:
            offset: where to begin.
            length: how many bytes; ``None`` for all that follow.
            size: the largest piece.

        Raises:
            InvalidInput: the file is gone, cannot be read, or has changed.
        """
        stop = self.size if length is None else min(self.size, offset + length)
        if offset >= stop:
            return
        with open_input(self.path) as file:
            self._check(file)
            while offset < stop:
                piece = self.piece(file, offset, min(size, stop - offset))
                yield piece
                offset += len(piece)
            self._check(file)

    async def stream(
        self, offset: int = 0, length: int | None = None, size: int = _CHUNK
    ) -> AsyncGenerator[bytes, None]:
        """As ``chunks``, read in a thread so that the event loop is never blocked."""
        pieces = self.chunks(offset, length, size)
        running: asyncio.Future[bytes | None] | None = None
        try:
            while True:
                running = asyncio.ensure_future(asyncio.to_thread(next, pieces, None))
                piece = await asyncio.shield(running)
                if piece is None:
                    return
                yield piece
        finally:
            # A cancelled reader leaves its thread inside the generator, which can only be closed after it.
            if running is not None and not running.done():
                running.add_done_callback(lambda done: _close(pieces, done))
            else:
                pieces.close()

    def sha256(self) -> str:
        """The digest of the virtual file, in hexadecimal. Blocking; it is read for it only once.

        Raises:
            InvalidInput: the file is gone, cannot be read, or has changed.
        """
        if self.version is None:
            return self._hashed()
        with open_input(self.path) as file:
            self._check(file)
        return self._digest

    @cached_property
    def _digest(self) -> str:
        return self._hashed()

    def _hashed(self) -> str:
        digest = hashlib.sha256()
        for piece in self.chunks():
            digest.update(piece)
        return digest.hexdigest()

    def reader(self, file: BinaryIO) -> io.BufferedReader:
        """The virtual file as Python's own kind of file.

        Args:
            file: the real file, open; whoever opened it closes it. Nobody else may read it meanwhile.
        """
        return io.BufferedReader(_Reader(self, file), _CHUNK)

    def piece(self, file: BinaryIO, offset: int, length: int) -> bytes:
        """At most ``length`` bytes from ``offset``, which is inside; at least one.

        Args:
            file: the real file, open.
            offset: in the virtual file.
            length: at least 1.

        Raises:
            InvalidInput: the file cannot be read, or has become shorter.
        """
        index = bisect_right(self._stops, offset)
        part = self.parts[index]
        within = offset - (self._stops[index] - _length(part))
        if isinstance(part, bytes):
            return part[within : within + length]
        wanted = min(length, part.stop - part.start - within)
        try:
            file.seek(part.start + within)
            piece = file.read(wanted)
        except OSError as error:
            raise unreadable(self.path, error) from None
        if len(piece) < wanted:
            raise _changed(self.path)
        return piece

    def _check(self, file: BinaryIO) -> None:
        if self.version is not None and FileVersion.of(file) != self.version:
            raise _changed(self.path)


class _Reader(io.RawIOBase):
    def __init__(self, spliced: SplicedFile, file: BinaryIO) -> None:
        self._spliced = spliced
        self._file = file
        self._offset = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._offset, io.SEEK_END: self._spliced.size}[whence]
        self._offset = max(0, base + offset)
        return self._offset

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        wanted = min(len(view), self._spliced.size - self._offset)
        if wanted <= 0:
            return 0
        data = self._spliced.piece(self._file, self._offset, wanted)
        view[: len(data)] = data
        self._offset += len(data)
        return len(data)


def open_input(path: Path) -> BinaryIO:
    """Open an input for reading.

    Raises:
        InvalidInput: there is no such file, it is a folder, or it may not be read.
    """
    try:
        if not path.is_file():
            raise InvalidInput(_why_no_file(path), hint="Give the path of a picture or clip.")
        return path.open("rb", _BUFFER)
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from None


def _close(pieces: Generator[bytes, None, None], done: asyncio.Future[bytes | None]) -> None:
    if not done.cancelled():
        done.exception()
    pieces.close()


def _why_no_file(path: Path) -> str:
    if path.is_dir():
        return f"{path} is a folder, not a file."
    if path.exists():
        return f"{path} is not an ordinary file."
    return f"{path} does not exist."


def unreadable(path: Path, error: OSError | ValueError) -> InvalidInput:
    """The error for a file that the system does not let us read."""
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return InvalidInput(f"{path} cannot be read: {reason}.", hint="Check the path and its permissions.")


def _changed(path: Path) -> InvalidInput:
    return InvalidInput(
        f"{path} changed while it was being read.",
        hint="Wait until it is completely written, then try again.",
    )


def _length(part: Range | bytes) -> int:
    return len(part) if isinstance(part, bytes) else part.stop - part.start
