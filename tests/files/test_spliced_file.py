"""The virtual file: what is read of it is what it says, whichever way it is read."""

from __future__ import annotations

import asyncio
import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from remote_upscale.api_clients.errors import InvalidInput
from remote_upscale.api_clients.files.spliced_file import Range, SplicedFile

CONTENT = bytes(range(256)) * 40
LIMIT = len(CONTENT)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("spliced") / "real.bin"
    path.write_bytes(CONTENT)
    return path


ranges = st.tuples(st.integers(0, LIMIT), st.integers(0, LIMIT)).map(lambda ends: Range(min(ends), max(ends)))
parts = st.lists(ranges | st.binary(max_size=50), max_size=8).map(tuple)


def joined(some: tuple[Range | bytes, ...]) -> bytes:
    return b"".join(part if isinstance(part, bytes) else CONTENT[part.start : part.stop] for part in some)


@given(
    some=parts, offset=st.integers(0, 3 * LIMIT), length=st.integers(0, 3 * LIMIT), size=st.integers(1, 999)
)
def test_reads_any_part_of_the_joined_bytes(
    real: Path, some: tuple[Range | bytes, ...], offset: int, length: int, size: int
) -> None:
    spliced, whole = SplicedFile(real, some), joined(some)
    assert spliced.size == len(whole)
    assert spliced.read(offset, length) == whole[offset : offset + length]
    pieces = list(spliced.chunks(offset, length, max(size, len(whole) // 50)))
    assert b"".join(pieces) == whole[offset : offset + length]
    assert all(0 < len(piece) <= max(size, len(whole) // 50) for piece in pieces)
    assert spliced.sha256() == hashlib.sha256(whole).hexdigest()


def test_the_digest_is_made_once_and_not_of_another_version(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(CONTENT)
    whole = SplicedFile.whole(path)
    assert whole.sha256() == hashlib.sha256(CONTENT).hexdigest()
    status = path.stat()
    path.write_bytes(CONTENT[::-1])  # as if nothing had changed, to see that it is not read again
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert whole.sha256() == hashlib.sha256(CONTENT).hexdigest()
    os.utime(path, ns=(0, 0))
    with pytest.raises(InvalidInput, match="changed while"):
        whole.sha256()
    path.unlink()
    with pytest.raises(InvalidInput, match="does not exist"):
        whole.sha256()


@given(some=parts, steps=st.lists(st.tuples(st.integers(0, 3 * LIMIT), st.integers(0, 2000)), max_size=9))
def test_reads_like_a_file(real: Path, some: tuple[Range | bytes, ...], steps: list[tuple[int, int]]) -> None:
    whole = joined(some)
    with real.open("rb") as file, SplicedFile(real, some).reader(file) as reader:
        for offset, length in steps:
            assert reader.seek(offset) == offset
            assert reader.read(length) == whole[offset : offset + length]
        reader.seek(0)
        assert reader.read() == whole


async def test_streams_the_same_bytes(real: Path) -> None:
    spliced = SplicedFile(real, (b"head", Range(5, 5000), b"", b"tail"))
    assert b"".join([piece async for piece in spliced.stream(2, size=700)]) == (
        b"ad" + CONTENT[5:5000] + b"tail"
    )


async def test_a_stream_may_be_left_early(real: Path) -> None:
    stream = SplicedFile.whole(real).stream(size=10)
    assert await anext(stream) == CONTENT[:10]
    await stream.aclose()
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


async def test_a_cancelled_stream_closes_the_file(real: Path) -> None:
    async def read_on() -> None:
        async for _ in SplicedFile.whole(real).stream(size=1):
            reading.set()

    reading = asyncio.Event()
    task = asyncio.create_task(read_on())
    await reading.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_many_threads_read_at_once(real: Path) -> None:
    spliced = SplicedFile(real, (Range(0, LIMIT), b"literal", Range(0, LIMIT)))
    whole = joined(spliced.parts)
    offsets = [number * 97 % len(whole) for number in range(400)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda offset: spliced.read(offset, 500), offsets)) == [
            whole[offset : offset + 500] for offset in offsets
        ]


def test_a_file_that_shrinks_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(CONTENT)
    pieces = SplicedFile.whole(path).chunks(size=1000)
    next(pieces)
    path.write_bytes(CONTENT[:1500])
    with pytest.raises(InvalidInput, match="changed while"):
        list(pieces)


def test_a_file_that_was_written_to_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(CONTENT)
    spliced = SplicedFile.whole(path)
    path.write_bytes(CONTENT + b"more")
    with pytest.raises(InvalidInput, match="changed while"):
        next(spliced.chunks(0, 5))


def test_missing_files_and_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="does not exist"):
        SplicedFile.whole(tmp_path / "none.png")
    with pytest.raises(InvalidInput, match="is a folder"):
        SplicedFile.whole(tmp_path)
    with pytest.raises(InvalidInput, match="not an ordinary file"):
        SplicedFile.whole(Path(os.devnull))
