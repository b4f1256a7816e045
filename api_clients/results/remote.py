"""The result store in an object store."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError

from ..errors import InvalidParameter, StorageFailed
from ..object_stores import PART, connect, error_code, is_refusal, no_credentials
from ..settings import TimeLimits
from .store import DamagedResult, ResultStore, StoredObject, writing

if TYPE_CHECKING:  # it exists in the type stubs only
    from obstore import ObjectMeta

_NAME = re.compile(r"[0-9a-f]{2}/([0-9a-f]{64})")
_PARTS_AT_ONCE = 4
_NO_STORE = (" (NoSuchBucket)", " (ContainerNotFound)")
"""Not one object is missing, but all of them: nobody may take that for a result that was never stored."""
_HINT = "Check REMOTE_UPSCALE_RESULTS_URL, the store's credentials and endpoint variables, and the network."


class RemoteResults(ResultStore):
    """Results as objects ``ab/abcd…``.

    Args:
        url: such as ``s3://bucket/prefix``; credentials and endpoint come from the store's own variables.
        limits: ``idle`` and ``retry`` are used.

    Raises:
        InvalidParameter: it is not the address of an object store.
    """

    def __init__(self, url: str, limits: TimeLimits) -> None:
        store = connect(url, limits)
        if store is None:
            raise InvalidParameter(
                "REMOTE_UPSCALE_RESULTS_URL is not the address of an object store.",
                hint="Set it to s3://bucket/prefix, gs://bucket/prefix or az://container/prefix, and the "
                "store's own variables (AWS_ACCESS_KEY_ID, AZURE_STORAGE_ACCOUNT_NAME, …).",
            )
        self._store = store
        self._url = url

    @property
    def place(self) -> str:
        parts = urlsplit(self._url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    async def put(self, file: Path, sha256: str, *, move: bool = False) -> None:
        with self._usable():
            size = (await asyncio.to_thread(file.stat)).st_size
            if await self._size(sha256) != size:
                await obstore.put_async(
                    self._store, _name(sha256), file, chunk_size=PART, max_concurrency=_PARTS_AT_ONCE
                )

    async def get(self, sha256: str, into: Path, *, size: int | None = None) -> bool:
        with self._usable():
            try:
                found = await self._copy_out(_name(sha256), into, size)
            except FileNotFoundError as error:
                if error_code(error) in _NO_STORE:
                    raise
                return False
        if found == sha256:
            return True
        with suppress(StorageFailed):  # it will be noticed again
            await self.remove(sha256)
        raise DamagedResult(f"{sha256} is damaged")

    def local_path(self, sha256: str, *, size: int | None = None) -> Path | None:
        return None

    async def remove(self, sha256: str) -> None:
        with self._usable(), suppress(FileNotFoundError):
            await obstore.delete_async(self._store, _name(sha256))

    async def names(self) -> AsyncIterator[StoredObject]:
        with self._usable():
            listed = obstore.list(self._store)  # pyright: ignore[reportUnknownMemberType]
            async for page in cast("AsyncIterator[Sequence[ObjectMeta]]", listed):
                for entry in page:
                    found = _NAME.fullmatch(entry["path"])
                    if found is not None:
                        yield StoredObject(found[1], entry["size"], entry["last_modified"])

    async def _size(self, sha256: str) -> int | None:
        try:
            return (await obstore.head_async(self._store, _name(sha256)))["size"]
        except FileNotFoundError:
            return None

    async def _copy_out(self, name: str, into: Path, size: int | None) -> str:
        """Fetch an object; the SHA-256 of what came, or nothing where the size is wrong."""
        found = await obstore.get_async(self._store, name)
        if size is not None and found.meta["size"] != size:
            return ""
        return await _write(found.stream(min_chunk_size=PART), into)

    @contextmanager
    def _usable(self) -> Generator[None]:
        """Turn what a store can do to us into one clear error; its own text may hold keys and signatures."""
        try:
            yield
        except (BaseError, OSError, ValueError) as error:
            why = "refuses our credentials" if is_refusal(error) else "cannot be used"
            raise StorageFailed(
                f"The result store {self.place} {why}{error_code(error)}.",
                hint=no_credentials(self._url) or _HINT,
            ) from None


def _name(sha256: str) -> str:
    return f"{sha256[:2]}/{sha256}"


async def _write(pieces: AsyncIterator[object], into: Path) -> str:
    """Write a file piece by piece; its SHA-256."""
    digest = hashlib.sha256()

    def take(file: BinaryIO, piece: memoryview) -> None:
        digest.update(piece)
        file.write(piece)
        file.flush()

    with writing(into):
        file = into.open("wb")  # not in a thread, which might open it after a cancellation, for nobody
    try:
        async for piece in pieces:
            with writing(into):
                await asyncio.to_thread(take, file, memoryview(piece))  # pyright: ignore[reportArgumentType]
    finally:
        await asyncio.to_thread(file.close)
    return digest.hexdigest()
