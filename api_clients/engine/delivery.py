"""From a finished job's link to its place: fetch → store → deliver."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from ..files.atomic_write import copy_into_place, move_into_place
from ..files.probe import Info
from ..providers.base import Output
from ..uninterrupted import uninterrupted
from .fetching import Fetched, Fetcher, FreshLink
from .job import ResultSpec
from .progress import ProgressReporter
from .record import JobRecord
from .services import Services


@dataclass(frozen=True)
class Delivered:
    """A result at its place; ``temporary`` as in ``Outcome``."""

    path: Path
    temporary: bool
    info: Info


class Delivery:
    """Brings one job's result into the store and to its place.

    Args:
        services: the result store, and what is fetched with.
        record: is told of each step.
        spec: what the result has to be, and where it goes.
        reporter: is told of the progress.
    """

    def __init__(
        self, services: Services, record: JobRecord, spec: ResultSpec, reporter: ProgressReporter
    ) -> None:
        self._cache = services.cache
        self._record = record
        self._spec = spec
        self._fetcher = Fetcher(services, record.job, spec, reporter)

    async def bring(self, output: Output, fresh: FreshLink | None, seconds: float) -> Delivered:
        """Fetch a result, store it, and bring it to its place.

        Args:
            output: where it is.
            fresh: gives another link when one has expired.
            seconds: that fetching may take as a whole.

        Raises:
            RemoteUpscaleError: it cannot be had, or not be written where it goes.
        """
        async with self._fetcher.fetched(output, fresh, seconds) as fetched:
            await uninterrupted(self._store(fetched))  # an interrupt has to know whether it is kept
            return await self._deliver(fetched)

    async def _store(self, fetched: Fetched) -> None:
        """First into the store, then to where it is wanted: whichever fails, the other has it."""
        trouble = await self._cache.store(fetched.file.path, fetched.sha256, fetched.info.bytes)
        if trouble is None:
            await self._record.stored(fetched)
            await self._cache.remember(fetched.sha256, fetched.info.bytes)
        else:
            self._record.notes.append(trouble)

    async def _deliver(self, fetched: Fetched) -> Delivered:
        """What is in a folder as store is copied from there, durable as it is; else the download is moved."""
        destination = self._spec.destination
        local = await asyncio.to_thread(self._cache.local_path, fetched.sha256)
        if destination is not None:
            if local is not None:
                await asyncio.to_thread(copy_into_place, local, destination)
            else:
                await asyncio.to_thread(move_into_place, fetched.file.path, destination)
            delivered = Delivered(destination, temporary=False, info=fetched.info)
        elif local is not None:
            delivered = Delivered(local, temporary=False, info=fetched.info)
        else:
            path = await asyncio.to_thread(fetched.file.take)
            delivered = Delivered(path, temporary=True, info=fetched.info)
        await self._record.completed(destination and destination.absolute(), fetched)
        await self._cache.trim(keep=None if destination else fetched.sha256)
        return delivered
