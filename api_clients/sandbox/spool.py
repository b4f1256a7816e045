"""Streams to files, a mebibyte at a time, so that nothing large is ever in memory."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

_PIECE = 1 << 20


class TooLong(Exception):
    """The stream holds more bytes than allowed; the file was removed."""


@dataclass(frozen=True)
class Written:
    """How many bytes a file took, and their MD5, which is what object stores give as ETag."""

    size: int
    md5: str


async def spool(stream: AsyncIterable[bytes], path: Path, *, limit: int) -> Written:
    """Write a stream to a new file. On any error, also a cancellation, no file remains.

    Raises:
        TooLong: there are more than ``limit`` bytes.
        OSError: the file cannot be written.
    """
    digest = hashlib.md5(usedforsecurity=False)
    size = 0
    piece = bytearray()
    file = path.open("xb")  # not in a thread, which might open it after a cancellation, for nobody
    try:
        with file:
            async for chunk in stream:
                size += len(chunk)
                _check(size, limit)
                piece += chunk
                if len(piece) >= _PIECE:
                    await asyncio.to_thread(_write, file, digest, piece)
                    piece = bytearray()
            await asyncio.to_thread(_write, file, digest, piece)
    except BaseException:
        await asyncio.to_thread(path.unlink, missing_ok=True)
        raise
    return Written(size, digest.hexdigest())


def _check(size: int, limit: int) -> None:
    if size > limit:
        raise TooLong


class _Digest(Protocol):
    def update(self, data: bytes | bytearray, /) -> None: ...


def _write(file: BinaryIO, digest: _Digest, piece: bytearray) -> None:
    file.write(piece)
    digest.update(piece)
