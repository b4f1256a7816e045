"""The result store."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from collections.abc import AsyncIterator, Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, BinaryIO, cast
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore

from ..errors import InvalidParameter, StorageFailed
from ..files.atomic_write import cannot_write
from ..object_stores import PART, RemoteStore, connect, error_code, is_refusal
from ..settings import TimeLimits

if TYPE_CHECKING:  # it exists in the type stubs only
    from obstore import ObjectMeta

_NAME = re.compile(r"[0-9a-f]{2}/([0-9a-f]{64})")
_PARTS_AT_ONCE = 4
_BUFFER = 1 << 20
_TEST = b"Can this be written and read?"


class DamagedResult(Exception):
    """What was stored under a digest has another one. It has been removed from the store."""


@dataclass(frozen=True)
class StoredObject:
    """A file in the store.

    Attributes:
        sha256: its name, and what its bytes should have.
        bytes: its length.
        modified: when it was put there, UTC.
    """

    sha256: str
    bytes: int
    modified: datetime


class Results:
    """Result files by the SHA-256 of their bytes, in hexadecimal.

    Args:
        url: an object store, such as ``s3://bucket/prefix``; ``None`` for the folder.
        folder: made when something is first put there, for this user alone.
        limits: ``idle`` and ``retry`` are used.

    Raises:
        InvalidParameter: it is not the address of an object store.
    """

    def __init__(self, url: str | None, folder: Path, limits: TimeLimits) -> None:
        self._folder = None if url else folder
        self._url = url or ""
        self._limits = limits
        self._opened: RemoteStore | LocalStore | None = self._remote() if url else None

    @property
    def place(self) -> str:
        """What to call it to people."""
        if self._folder is not None:
            return str(self._folder)
        parts = urlsplit(self._url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    async def put(self, file: Path, sha256: str) -> None:
        """Store a file, unless it is there. What is read meanwhile is the whole file or none.

        Raises:
            StorageFailed: it cannot be stored.
        """
        with self._usable():
            store = await self._store()
            size = (await asyncio.to_thread(file.stat)).st_size
            if await _size(store, sha256) != size:
                await obstore.put_async(
                    store, _name(sha256), file, chunk_size=PART, max_concurrency=_PARTS_AT_ONCE
                )

    async def get(self, sha256: str, into: Path, *, size: int | None = None) -> bool:
        """Write a stored file into an existing one.

        Args:
            sha256: its digest.
            into: the file; it holds nothing of use where this does not return ``True``.
            size: its length in bytes, where that is known.

        Returns:
            Whether it is there.

        Raises:
            DamagedResult: what is there is something else; it was removed.
            StorageFailed: the store cannot be used.
            InvalidInput: ``into`` cannot be written.
        """
        with self._usable():
            try:
                if await self._copy(_name(sha256), into, size) == sha256:
                    return True
            except FileNotFoundError:
                return False
        with suppress(StorageFailed):  # it will be noticed again
            await self.remove(sha256)
        raise DamagedResult(f"{sha256} is damaged")

    async def remove(self, sha256: str) -> None:
        """Remove a file; one that is not there is fine.

        Raises:
            StorageFailed: the store cannot be used.
        """
        with self._usable():
            store = await self._store()
            with suppress(FileNotFoundError):
                await obstore.delete_async(store, _name(sha256))

    async def names(self) -> AsyncIterator[StoredObject]:
        """All files. What bears no digest as its name is not ours, and left out.

        Raises:
            StorageFailed: the store cannot be used.
        """
        with self._usable():
            store = await self._store()
            pages = cast("AsyncIterator[Sequence[ObjectMeta]]", obstore.list(store))  # pyright: ignore[reportUnknownMemberType]
            async for page in pages:
                for entry in page:
                    found = _NAME.fullmatch(entry["path"])
                    if found is not None:
                        yield StoredObject(found[1], entry["size"], entry["last_modified"])

    async def check(self) -> None:
        """See that something can be written, read and removed.

        Raises:
            StorageFailed: it cannot.
        """
        sha256 = hashlib.sha256(_TEST).hexdigest()
        with TemporaryDirectory() as folder:
            sent, back = Path(folder, "sent"), Path(folder, "back")
            for file in (sent, back):
                file.write_bytes(_TEST)
            await self.put(sent, sha256)
            if not await self.get(sha256, back, size=len(_TEST)):
                raise StorageFailed(
                    f"What was stored in {self.place} cannot be read back.",
                    hint="Choose another REMOTE_UPSCALE_RESULTS_URL.",
                )
            await self.remove(sha256)

    async def _copy(self, name: str, into: Path, size: int | None) -> str:
        """Write what is stored under a name into a file; its SHA-256, or nothing where the size is wrong."""
        if self._folder is not None:  # the store's library would take four times as long
            return await asyncio.to_thread(_copy_file, self._folder / name, into, size)
        found = await obstore.get_async(await self._store(), name)
        if size is not None and found.meta["size"] != size:
            return ""
        return await _write(found.stream(min_chunk_size=PART), into)

    async def _store(self) -> RemoteStore | LocalStore:
        if self._opened is None:
            assert self._folder is not None
            await asyncio.to_thread(self._folder.mkdir, mode=0o700, parents=True, exist_ok=True)
            self._opened = LocalStore(self._folder)
        return self._opened

    def _remote(self) -> RemoteStore:
        store = connect(self._url, self._limits)
        if store is None:
            raise InvalidParameter(
                "REMOTE_UPSCALE_RESULTS_URL is not the address of an object store.",
                hint="Set it to s3://bucket/prefix, gs://bucket/prefix or az://container/prefix, and the "
                "store's own variables (AWS_ACCESS_KEY_ID, AZURE_STORAGE_ACCOUNT_NAME, …).",
            )
        return store

    @contextmanager
    def _usable(self) -> Generator[None]:
        """Turn what a store or a disk can do to us into one clear error."""
        try:
            yield
        except (BaseError, OSError, ValueError) as error:
            raise self._failed(error) from None

    def _failed(self, error: Exception) -> StorageFailed:
        if self._folder is not None:
            return StorageFailed(
                f"The result store {self._folder} cannot be used: {_reason(error)}.",
                hint="Make room or make it writable, or set REMOTE_UPSCALE_HOME to another folder.",
            )
        why = "refuses our credentials" if is_refusal(error) else "cannot be used"
        return StorageFailed(
            f"The result store {self.place} {why}{error_code(error)}.",
            hint="Check REMOTE_UPSCALE_RESULTS_URL, the store's credentials and endpoint variables, and the "
            "network.",
        )


def _name(sha256: str) -> str:
    return f"{sha256[:2]}/{sha256}"


async def _size(store: RemoteStore | LocalStore, sha256: str) -> int | None:
    try:
        return (await obstore.head_async(store, _name(sha256)))["size"]
    except FileNotFoundError:
        return None


def _copy_file(source: Path, into: Path, size: int | None) -> str:
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(_BUFFER))
    with source.open("rb", buffering=0) as there:
        if size is not None and os.fstat(there.fileno()).st_size != size:
            return ""
        with _writing(into):
            here = into.open("wb")
        with here:
            while count := there.readinto(buffer):
                digest.update(buffer[:count])
                with _writing(into):
                    here.write(buffer[:count])
                    here.flush()
    return digest.hexdigest()


@contextmanager
def _writing(into: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise cannot_write(into, error) from None


async def _write(pieces: AsyncIterator[object], into: Path) -> str:
    """Write a file piece by piece; its SHA-256."""
    digest = hashlib.sha256()

    def take(file: BinaryIO, piece: memoryview) -> None:
        digest.update(piece)
        file.write(piece)
        file.flush()

    file = into.open("wb")  # not in a thread, which might open it after a cancellation, for nobody
    try:
        async for piece in pieces:
            with _writing(into):
                await asyncio.to_thread(take, file, memoryview(piece))  # pyright: ignore[reportArgumentType]
    finally:
        await asyncio.to_thread(file.close)
    return digest.hexdigest()


def _reason(error: Exception) -> str:
    """Why a folder cannot be used, out of the long story that the store's library tells."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    found = re.search(r"([A-Z][a-z][A-Za-z -]{3,60}) \(os error \d+\)", str(error))
    return found[1] if found else type(error).__name__
