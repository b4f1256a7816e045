"""The result store together with its record in the ledger."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from pathlib import Path

from ..errors import InvalidInput, InvalidParameter, StorageFailed
from ..files.atomic_write import create_partial, discard, move_into_place
from ..files.spliced_file import SplicedFile
from ..ledger import JobRow, JobState, Ledger
from ..results import DamagedResult, Results

_LOOKS = 100
"""How many times the store's limit is looked at while it fills up: to add up all that is there takes long."""


class Found(Enum):
    """What became of a result that was looked for."""

    HERE = auto()
    MISSING = auto()
    DAMAGED = auto()


@dataclass(frozen=True)
class Swept:
    """What was removed from the store: how many files, and their bytes together."""

    files: int
    bytes: int


class Vault:
    """Keeps results, and gives them back.

    Args:
        results: the store.
        ledger: where it is recorded what is in it.
        limit: bytes that it may hold; what was unused for longest goes first.
    """

    def __init__(self, results: Results, ledger: Ledger, limit: int) -> None:
        self._results = results
        self._ledger = ledger
        self._limit = limit
        self._room = 0  # bytes that may come until the limit is looked at again

    async def keep(self, file: Path, sha256: str, size: int) -> str | None:
        """Put a result into the store.

        Returns:
            ``None``, or a sentence that says why it is not there.
        """
        if size > self._limit:
            return (
                f"The result was not kept: it is larger than store_bytes ({self._limit:,}) in settings.toml."
            )
        try:
            await self._results.put(file, sha256)
            await asyncio.to_thread(self._ledger.stored.put, sha256, size)
            self._room -= size
            if self._room < 0:
                await self._evict()
        except (StorageFailed, InvalidParameter) as error:
            return f"The result was not kept for later runs. {error}"
        return None

    async def give(self, row: JobRow, destination: Path) -> Found:
        """Put a job's result into its place: from the store, or from where it was delivered before.

        Raises:
            InvalidInput: nothing can be written there.
            StorageFailed: the store cannot be reached, so nobody knows.
        """
        if row.result_sha256 is None:
            return Found.MISSING
        try:
            found = await self._from_store(row, row.result_sha256, destination)
        except StorageFailed:
            if await asyncio.to_thread(_from_delivery, row, destination):
                return Found.HERE
            raise
        if found is not Found.HERE and await asyncio.to_thread(_from_delivery, row, destination):
            return Found.HERE
        return found

    async def _from_store(self, row: JobRow, sha256: str, destination: Path) -> Found:
        partial = await asyncio.to_thread(create_partial, destination)
        try:
            if not await self._results.get(sha256, partial, size=row.result_bytes):
                return Found.MISSING
            # What is in the store need not be on the disk elsewhere too, once it was delivered.
            durable = row.state is not JobState.COMPLETED
            await asyncio.to_thread(move_into_place, partial, destination, durable=durable)
        except DamagedResult:
            await asyncio.to_thread(self._ledger.stored.remove, sha256)
            return Found.DAMAGED
        finally:
            await asyncio.to_thread(discard, partial)
        await asyncio.to_thread(self._ledger.stored.used, sha256)
        return Found.HERE

    async def sweep(self) -> Swept:
        """Remove what is in the store without being on record, and what is beyond its limit.

        What was put there within the last day is left alone: it may be on its way onto the record.

        Raises:
            StorageFailed: the store cannot be reached.
        """
        files = size = 0
        await self._evict()
        known = await asyncio.to_thread(self._ledger.stored.all)
        known |= await asyncio.to_thread(self._ledger.stored.undelivered)
        old = datetime.now(UTC) - timedelta(days=1)
        async for there in self._results.names():
            if there.sha256 not in known and there.modified < old:
                await self._results.remove(there.sha256)
                files, size = files + 1, size + there.bytes
        return Swept(files, size)

    async def _evict(self) -> None:
        self._room = self._limit // _LOOKS
        for old in await asyncio.to_thread(self._ledger.stored.evict, self._limit):
            with suppress(StorageFailed):  # off the record: `remote-upscale jobs --prune` sweeps it
                await self._results.remove(old)


def _from_delivery(row: JobRow, destination: Path) -> bool:
    """Copy what an earlier job delivered, if it is still there and unchanged."""
    if row.result_path is None:
        return False
    source = Path(row.result_path)
    try:
        if (
            source.stat().st_size != row.result_bytes
            or SplicedFile.whole(source).sha256() != row.result_sha256
        ):
            return False
        if destination.exists() and destination.samefile(source):
            return True
    except (OSError, InvalidInput):
        return False
    partial = create_partial(destination)
    try:
        shutil.copyfile(source, partial)
        move_into_place(partial, destination)
    finally:
        discard(partial)
    return True
