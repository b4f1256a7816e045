"""From a finished job to a checked file beside its place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from ..errors import BadResponse, ResultLost, TimedOut
from ..files.atomic_write import create_partial, discard
from ..files.probe import Info
from ..files.spliced_file import SplicedFile
from ..files.verify import verify_result
from ..http import Http, Partial
from ..http.inline import decode_data_uri
from ..http.retry import retrying
from ..models import Media
from ..providers.base import Output
from ..settings import Settings
from ..sizes import Expected
from .job import Stage
from .tracker import Tracker

FreshLink = Callable[[], Awaitable[Output]]

FRESH_LINKS = 2
"""How often a new link is asked for when one has expired."""


@dataclass(frozen=True)
class Wanted:
    """What the result has to be: its place, its kind, its plausible size."""

    destination: Path
    media: Media
    expected: Expected | None


@dataclass(frozen=True)
class Fetched:
    """A result that was checked. ``file`` is a hidden one beside the result's place."""

    file: Path
    info: Info
    sha256: str


class Fetcher:
    """Brings results home."""

    def __init__(self, settings: Settings, http: Http) -> None:
        self._settings = settings
        self._http = http

    @asynccontextmanager
    async def fetched(
        self, output: Output, fresh: FreshLink | None, wanted: Wanted, tracker: Tracker
    ) -> AsyncGenerator[Fetched]:
        """A finished job's result, checked, to be moved into its place; else it is gone afterwards.

        Args:
            output: where it is.
            fresh: gives another link when one has expired.
            wanted: what it has to be.
            tracker: is told of the bytes that came.

        Raises:
            ResultLost: its link is dead and the provider gives no other.
            RemoteUpscaleError: it cannot be had now, or is not what was asked for.
        """
        tracker.tell(Stage.FETCHING, fraction=0.0)
        file = await asyncio.to_thread(create_partial, wanted.destination)
        try:
            info = await self._bring(output, fresh, file, wanted, tracker)
            yield Fetched(file, info, await asyncio.to_thread(SplicedFile.whole(file).sha256))
        finally:
            await asyncio.to_thread(discard, file)

    async def _bring(
        self, output: Output, fresh: FreshLink | None, file: Path, wanted: Wanted, tracker: Tracker
    ) -> Info:
        for tried in range(FRESH_LINKS if fresh else 0):
            try:
                return await self._in_time(output, file, wanted, tracker)
            except ResultLost:
                assert fresh is not None
                await asyncio.sleep(self._settings.poll_floor * 2**tried)
                output = await fresh()
        return await self._in_time(output, file, wanted, tracker)

    async def _in_time(self, output: Output, file: Path, wanted: Wanted, tracker: Tracker) -> Info:
        try:
            async with asyncio.timeout(self._settings.time.transfer):
                return await self._whole(output, file, wanted, tracker)
        except TimeoutError:
            raise TimedOut(
                f"The result was not here after {self._settings.time.transfer:g} s.",
                hint="It is paid for: the same run again, or `remote-upscale resume`, fetches it.",
            ) from None

    async def _whole(self, output: Output, file: Path, wanted: Wanted, tracker: Tracker) -> Info:
        """Download until the file is whole and what was asked for; a broken download goes on where it was."""
        received = Partial()
        async for attempt in retrying(self._settings.time):
            with attempt:
                await self._download(output, file, received, tracker)
                try:
                    return await self._verify(file, wanted)
                except BadResponse:
                    received = Partial()
                    raise
        raise AssertionError("a retried block ends by returning or raising")

    async def _verify(self, partial: Path, wanted: Wanted) -> Info:
        return await asyncio.to_thread(
            verify_result,
            partial,
            media=wanted.media,
            expected=wanted.expected,
            max_pixels=self._settings.size.pixels,
        )

    async def _download(self, output: Output, file: Path, received: Partial, tracker: Tracker) -> None:
        limit = self._settings.size.result_bytes
        if output.url.startswith("data:"):
            _media_type, content = await asyncio.to_thread(decode_data_uri, output.url, limit)
            await asyncio.to_thread(file.write_bytes, content)
            return
        await self._http.download(
            output.url,
            file,
            max_bytes=limit,
            progress=lambda done, total: tracker.transfer(Stage.FETCHING, done, total),
            partial=received,
        )
