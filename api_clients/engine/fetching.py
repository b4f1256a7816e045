"""From a finished job to a checked file on this machine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from ..errors import BadResponse, Meaning, RemoteUpscaleError, ResultLost, TimedOut
from ..files.probe import Info
from ..files.verify import verify_result
from ..http.inline import decode_data_uri
from ..http.partial_file import InUse, PartialFile
from ..http.retry import RetryBudget
from ..providers.base import Output
from .job import ResultSpec, Stage
from .progress import ProgressReporter
from .services import Services

FreshLink = Callable[[], Awaitable[Output]]
"""Asks the provider for a job's result once more, and gives its link."""

_OPEN_TRIES, _OPEN_EVERY = 5, 0.05
"""How often a partial file that is in use is tried again, and the seconds in between."""

_FRESH_LINKS = 2
"""How often a new link is asked for when one has expired."""


@dataclass(frozen=True)
class Fetched:
    """A result that was checked. ``file`` is where it was downloaded to."""

    file: PartialFile
    info: Info
    sha256: str


class Fetcher:
    """Fetches one job's result.

    What has arrived stays on the disk under the job's id until the result is whole, so that a later try, in
    this process or in another one, goes on where this one ended.

    Args:
        services: the HTTP client, the settings and the folder for results on their way.
        job: our id of the job.
        spec: what the result has to be.
        reporter: is told of the bytes that came.
    """

    def __init__(self, services: Services, job: str, spec: ResultSpec, reporter: ProgressReporter) -> None:
        self._services = services
        self._settings = services.settings
        self._job = job
        self._spec = spec
        self._reporter = reporter
        self._damaged: str | None = None

    @asynccontextmanager
    async def fetched(
        self, output: Output, fresh: FreshLink | None, seconds: float
    ) -> AsyncGenerator[Fetched]:
        """A finished job's result, checked; whoever wants to keep it takes the file meanwhile.

        Args:
            output: where it is.
            fresh: gives another link when one has expired.
            seconds: that fetching may take as a whole.

        Raises:
            ResultLost: its link is dead and the provider gives no other.
            RemoteUpscaleError: it cannot be had now, or is not what was asked for.
        """
        self._reporter.report(Stage.FETCHING, fraction=0.0)
        file = await self._open()
        try:
            info = await self._in_time(output, fresh, file, seconds)
            sha256 = await asyncio.to_thread(file.sha256)
            yield Fetched(file, info, sha256)
            await asyncio.to_thread(file.discard)
        finally:
            await asyncio.to_thread(file.close)

    async def _open(self) -> PartialFile:
        """The job's partial file; somebody who only looks whether its lock is held has it for a moment.

        Raises:
            InUse: another run is fetching this very result.
        """
        for _ in range(_OPEN_TRIES):
            with suppress(InUse):
                # Not in a thread, which might open it after a cancellation, for nobody.
                return PartialFile.open(self._services.partials / f"{self._job}.part")
            await asyncio.sleep(_OPEN_EVERY)
        return PartialFile.open(self._services.partials / f"{self._job}.part")

    async def _in_time(
        self, output: Output, fresh: FreshLink | None, file: PartialFile, seconds: float
    ) -> Info:
        try:
            async with asyncio.timeout(seconds):
                return await self._with_fresh_links(output, fresh, file)
        except TimeoutError:
            raise TimedOut(
                f"The result was not here after {seconds:.4g} s.",
                hint="If the connection is slow, raise `transfer` under [time] in settings.toml, or the "
                "job's time limit.",
            ) from None

    async def _with_fresh_links(self, output: Output, fresh: FreshLink | None, file: PartialFile) -> Info:
        for tried in range(_FRESH_LINKS if fresh else 0):
            try:
                return await self._asked_for_patience(output, file)
            except ResultLost:
                assert fresh is not None
                await asyncio.sleep(self._settings.poll_floor * 2**tried)
                output = await fresh()
        return await self._asked_for_patience(output, file)

    async def _asked_for_patience(self, output: Output, file: PartialFile) -> Info:
        """Wait as long as a server asks us to, also longer than is spent on trying again."""
        while True:
            try:
                return await self._whole(output, file)
            except RemoteUpscaleError as error:
                if error.retry_after is None or not error.meaning.retryable:
                    raise
                await asyncio.sleep(error.retry_after)

    async def _whole(self, output: Output, file: PartialFile) -> Info:
        """Download until the file is whole and what was asked for."""
        budget = RetryBudget(self._settings.time)
        async for attempt in budget:
            with attempt:
                await self._download(output, file, budget)
                return await self._verified(file)
        raise AssertionError("a retried block ends by returning or raising")

    async def _download(self, output: Output, file: PartialFile, budget: RetryBudget) -> None:
        limit = self._settings.size.result_bytes
        if output.url.startswith("data:"):
            _media_type, content = await asyncio.to_thread(decode_data_uri, output.url, limit)
            await asyncio.to_thread(file.restart)
            await asyncio.to_thread(file.write, content)
            return
        await self._services.http.download(
            output.url,
            file,
            max_bytes=limit,
            progress=lambda done, total: self._reporter.transferred(Stage.FETCHING, done, total),
            budget=budget,
        )

    async def _verified(self, file: PartialFile) -> Info:
        """What the result is. Where the same damaged bytes come twice, more tries are of no use."""
        try:
            return await asyncio.to_thread(
                verify_result,
                file.path,
                media=self._spec.media,
                expected=self._spec.expected,
                max_pixels=int(self._settings.size.pixels),
            )
        except BadResponse as bad:
            if not bad.meaning.retryable:
                raise
            came = await asyncio.to_thread(file.sha256)
            if came == self._damaged:
                raise bad.but(
                    hint="The same bytes came twice, so that is what the provider has. Ask its support with "
                    "the request id.",
                    meaning=Meaning.RESUMABLE,
                ) from None
            self._damaged = came
            await asyncio.to_thread(file.restart)
            raise
