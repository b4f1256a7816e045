"""The result store together with its record in the ledger: a finished job is answered from here."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from pathlib import Path

from ..errors import RemoteUpscaleError, StorageFailed
from ..files.atomic_write import copy_into_place, create_partial, discard, move_into_place
from ..files.spliced_file import SplicedFile
from ..ledger import JobRow, JobState
from ..ledger.threaded import AsyncLedger
from .store import DamagedResult, ResultStore

_LOOKS = 100
"""How many times the store's limit is looked at while it fills up: to add up all that is there takes long."""


class Found(Enum):
    """What became of a result that was looked for."""

    HERE = auto()
    MISSING = auto()
    DAMAGED = auto()


@dataclass(frozen=True)
class Restored:
    """A stored result, or none.

    Attributes:
        found: whether it is here.
        path: where it can be read; ``None`` where it is not here.
        temporary: ``path`` is the caller's to remove.
    """

    found: Found
    path: Path | None = None
    temporary: bool = False


@dataclass(frozen=True)
class Collected:
    """What was removed from the store: how many files, and their bytes together."""

    files: int
    bytes: int


class ResultCache:
    """Keeps results, and gives them back.

    Args:
        store: where the bytes are.
        ledger: where it is recorded what is in it.
        limit: bytes that it may hold; what was unused for longest goes first.
    """

    def __init__(self, store: ResultStore, ledger: AsyncLedger, limit: int) -> None:
        self._store = store
        self._ledger = ledger
        self._stored = ledger.sync.stored
        self._limit = limit
        self._room = 0  # bytes that may come until the limit is looked at again

    async def store(self, file: Path, sha256: str, size: int) -> str | None:
        """Put a result into the store, durably; a store that is a folder may take the file itself.

        Returns:
            ``None``, or a sentence that says why it is not there.
        """
        if size > self._limit:
            return (
                "The result was not kept for later runs: it is larger than store_bytes "
                f"({self._limit:,}) in settings.toml."
            )
        try:
            await self._store.put(file, sha256, move=True)
        except StorageFailed as error:
            return f"The result was not kept for later runs. {error}"
        return None

    async def remember(self, sha256: str, size: int) -> None:
        """Put a result on the store's record; from then on it may be evicted, unless its job waits for it.

        Never fails: what is not on record stays, until `remote-upscale jobs --prune` collects it.
        """
        with suppress(StorageFailed):
            await self._ledger.call(self._stored.put, sha256, size)
            self._room -= size

    async def trim(self, *, keep: str | None) -> None:
        """Remove what was unused for longest, where the store holds more than it may. Never fails.

        Args:
            keep: the digest of what stays, as somebody is about to read it.
        """
        if self._room < 0:
            with suppress(StorageFailed):  # looked at again with the next result
                await self._evict(keep)

    def local_path(self, sha256: str) -> Path | None:
        """The stored file itself, where the store is a folder that has it. Blocking."""
        return self._store.local_path(sha256)

    async def restore(self, row: JobRow, destination: Path | None, scratch: Path) -> Restored:
        """Bring a job's result to its place: from the store, or from where it was delivered before.

        Args:
            row: the job.
            destination: where it goes; ``None`` for wherever it can be read.
            scratch: a file name that may be used where there is no destination and no local file.

        Raises:
            InvalidInput: the destination is not the name of a file.
            StorageFailed: nothing can be written there; or the store cannot be reached, so nobody knows.
        """
        if row.result_sha256 is None:
            return Restored(Found.MISSING)
        try:
            restored = await self._from_store(row, row.result_sha256, destination, scratch)
        except StorageFailed:
            delivered = await asyncio.to_thread(_from_delivery, row, destination, scratch)
            if delivered is None:
                raise
            return delivered
        if restored.found is not Found.HERE:
            return await asyncio.to_thread(_from_delivery, row, destination, scratch) or restored
        return restored

    async def _from_store(
        self, row: JobRow, sha256: str, destination: Path | None, scratch: Path
    ) -> Restored:
        local = await asyncio.to_thread(self._store.local_path, sha256) if destination is None else None
        try:
            if local is not None:
                restored = await self._checked(local, sha256)
            else:
                restored = await self._copied(row, sha256, destination, scratch)
        except DamagedResult:
            await self._ledger.call(self._stored.remove, sha256)
            return Restored(Found.DAMAGED)
        if restored.found is Found.HERE:
            await self._ledger.call(self._stored.used, sha256)
        return restored

    async def _checked(self, local: Path, sha256: str) -> Restored:
        if await asyncio.to_thread(SplicedFile.whole(local).sha256) == sha256:
            return Restored(Found.HERE, local)
        await self._store.remove(sha256)
        raise DamagedResult(sha256)

    async def _copied(self, row: JobRow, sha256: str, destination: Path | None, scratch: Path) -> Restored:
        target = destination or scratch
        partial = await asyncio.to_thread(create_partial, target)
        try:
            if not await self._store.get(sha256, partial, size=row.result_bytes):
                return Restored(Found.MISSING)
            # What is in the store need not be on the disk elsewhere too, once it was delivered.
            durable = row.state is not JobState.COMPLETED
            await asyncio.to_thread(move_into_place, partial, target, durable=durable)
        finally:
            await asyncio.to_thread(discard, partial)
        return Restored(Found.HERE, target, temporary=destination is None)

    async def collect(self) -> Collected:
        """Remove what is in the store without being on record, and what is beyond its limit.

        What was put there within the last day is left alone: it may be on its way onto the record.

        Raises:
            StorageFailed: the store cannot be reached.
        """
        files = size = 0
        await self._evict(None)
        known = await self._ledger.call(self._stored.all)
        known |= await self._ledger.call(self._stored.undelivered)
        old = datetime.now(UTC) - timedelta(days=1)
        async for there in self._store.names():
            if there.sha256 not in known and there.modified < old:
                await self._store.remove(there.sha256)
                files, size = files + 1, size + there.bytes
        return Collected(files, size)

    async def _evict(self, keep: str | None) -> None:
        self._room = self._limit // _LOOKS
        for old in await self._ledger.call(self._stored.evict, self._limit, keep=keep):
            with suppress(StorageFailed):  # off the record: `remote-upscale jobs --prune` collects it
                await self._store.remove(old)


def _from_delivery(row: JobRow, destination: Path | None, scratch: Path) -> Restored | None:
    """Copy what an earlier job delivered, if it is still there and unchanged."""
    if row.result_path is None:
        return None
    source = Path(row.result_path)
    target = destination or scratch
    try:
        if source.stat().st_size != row.result_bytes:
            return None
        if SplicedFile.whole(source).sha256() != row.result_sha256:
            return None
        if target.exists() and target.samefile(source):
            return Restored(Found.HERE, target)
    except (OSError, RemoteUpscaleError):
        return None
    copy_into_place(source, target)
    return Restored(Found.HERE, target, temporary=destination is None)
