"""A job's life, driven once for all providers: host → submit → wait → fetch."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self
from weakref import WeakValueDictionary

from ..errors import InvalidInput, RemoteUpscaleError
from ..files.pixel_digest import content_digest
from ..files.probe import ImageInfo, check_input, probe
from ..files.spliced_file import SplicedFile
from ..files.strip import without_metadata
from ..hosting import Hosting, check_public_url, require_hosting
from ..http import Http
from ..ledger import JobRow, Ledger
from ..models import Model
from ..providers.base import Provider
from ..registry import MODELS, PROVIDERS, find_model
from ..results import Results
from ..sandbox import Sandbox
from ..settings import Settings
from ..sizes import Expected
from ..states import JobState
from .channel import Channel, require_key
from .earlier import Earlier
from .fetching import Fetcher, Wanted
from .finding import Finder
from .identity import identity
from .job import Job, OnProgress, Outcome, Plan
from .order import Errand, Order
from .ordering import Ordering
from .recovery import Recovery
from .tracker import Tracker
from .vault import Vault
from .work import Work


class Engine:
    """Runs jobs. An async context manager; one for the whole process.

    Args:
        settings: what the user configured.
        models: the upscalers there are.
        providers: the providers there are.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        models: Mapping[str, Model] = MODELS,
        providers: Mapping[str, type[Provider]] = PROVIDERS,
    ) -> None:
        self.settings = settings
        self._models = models
        self._providers = providers
        self._slots = {name: asyncio.Semaphore(settings.at_once) for name in providers}
        self._twins: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            if self.settings.sandbox:
                sandbox = await stack.enter_async_context(Sandbox(self._models.values()))
                self.settings = self.settings.in_sandbox(sandbox.roots)
            self._check_named()
            results = Results(self.settings.results_url, self.settings.home / "results", self.settings.time)
            self.ledger = await asyncio.to_thread(Ledger, self.settings.ledger_place)
            stack.callback(self.ledger.close)
            self._http = await stack.enter_async_context(Http(self.settings))
            self._fetcher = Fetcher(self.settings, self._http)
            self._vault = Vault(results, self.ledger, self.settings.size.store_bytes)
            self._recovery = Recovery(self.ledger, self._vault, self._work)
            self._finder = Finder(self.ledger, self._models, self._channel, self.settings.poll_floor)
            self._earlier = Earlier(self.ledger, self._recovery, self._finder, sandbox=self.settings.sandbox)
            hosting = Hosting(self.settings, self._http)
            self._ordering = Ordering(
                settings=self.settings,
                ledger=self.ledger,
                hosting=hosting,
                recovery=self._recovery,
                finder=self._finder,
                work=self._work,
            )
            self._stack = stack.pop_all()
        return self

    def _check_named(self) -> None:
        """A model that is misspelt in the settings would be priced, or let pass, by nobody."""
        for name in [*self.settings.prices, *self.settings.unpriced]:
            find_model(name, self._models)

    async def __aexit__(self, *exc_info: object) -> None:
        await self._stack.aclose()

    async def plan(self, job: Job) -> Plan:
        """Check a job's parameters and input without sending anything.

        Raises:
            InvalidParameter: a parameter, or the address of the input, cannot be used.
            InvalidInput: the file cannot.
        """
        values = job.model.effective(job.parameters)
        info = expected = None
        if isinstance(job.source, str):
            check_public_url(job.source, self.settings.roots)
        else:
            info = await asyncio.to_thread(probe, job.source)
            check_input(info, job.model)
            expected = job.model.sizing.expect(values, (info.width, info.height))
            self._check_fits(expected)
        price = self.settings.prices.get(job.model.id, job.model.price)
        cost = price.estimate(values, expected.size if expected else None)
        return Plan(values=values, input=info, expected=expected, cost=cost)

    def _check_fits(self, expected: Expected) -> None:
        limit = int(self.settings.size.pixels)
        if expected.width * expected.height > limit:
            raise InvalidInput(
                f"The result would have {expected.width}×{expected.height} pixels; the limit is {limit:,}.",
                hint="Ask for a smaller one, or raise pixels under [size] in settings.toml.",
            )

    def ready(self, job: Job) -> None:
        """Check that a job could be sent.

        Raises:
            AuthenticationFailed: there is no key for its provider.
            HostingFailed: there is nowhere to put its input.
        """
        require_key(self._providers[job.model.provider], self.settings)
        if isinstance(job.source, Path):
            require_hosting(self.settings)

    async def run(self, job: Job, on_progress: OnProgress | None = None) -> Outcome:
        """Run one job to its checked result, or take the result that is there already.

        Raises:
            RemoteUpscaleError: it could not be done; what is paid for stays in the ledger.
            CancelledError: after the provider was told, where that is possible.
        """
        async with self._slots[job.model.provider]:
            order = await self._open(job, Tracker(on_progress))
            if not job.reuse or order.segments is None:
                return await self._order(order)
            # Twins wait for each other: the second one finds what the first one paid for.
            async with self._twins.setdefault(order.identity, asyncio.Lock()):
                return await self._answer(order)

    async def _answer(self, order: Order) -> Outcome:
        of_no_use: set[str] = set()
        while True:
            outcome = await self._earlier.answer(order.identity, order.errand, of_no_use)
            if outcome is not None:
                return outcome
            self.ready(order.errand.job)
            row = await self._ordering.enter(order, alone=True, besides=of_no_use)
            if row is not None:  # else another process was quicker
                return await self._ordering.carry_out(order, row)

    async def _order(self, order: Order) -> Outcome:
        self.ready(order.errand.job)
        row = await self._ordering.enter(order, alone=False)
        assert row is not None  # it was not to be alone
        return await self._ordering.carry_out(order, row)

    async def resume(self, row: JobRow, on_progress: OnProgress | None = None) -> Outcome:
        """Take up a job that was left behind and bring its result to where it was meant to go.

        Raises:
            RemoteUpscaleError: it could not be had, or another process is at it.
        """
        model = find_model(row.model, self._models)
        job = Job(
            model=model, parameters=row.parameters, source=row.source, destination=Path(row.destination)
        )
        errand = Errand(job, await self._wanted_again(row, model), Tracker(on_progress))
        return await self._recovery.take_up(row, errand)

    async def look_up(self) -> list[JobRow]:
        """Ask providers, where they can be asked, for jobs of the last day whose submit was not answered.

        Returns:
            Those that nobody knows of yet. The others can be resumed from now on.
        """
        since = datetime.now(UTC) - timedelta(days=1)
        rows = await asyncio.to_thread(self.ledger.jobs, states=[JobState.UNKNOWN], since=since)
        rows = [row for row in rows if row.sandbox == self.settings.sandbox]
        found = await asyncio.gather(*map(self._finder.find, rows))
        return [row for row, job in zip(rows, found, strict=True) if job is None]

    def _work(self, row: str, errand: Errand, *, resumed: bool = False, delivered: bool = False) -> Work:
        model = errand.job.model
        return Work(
            row=row,
            model=model,
            channel=self._channel(model.provider),
            wanted=errand.wanted,
            tracker=errand.tracker,
            ledger=self.ledger,
            fetcher=self._fetcher,
            vault=self._vault,
            time_limit=errand.job.time_limit,
            resumed=resumed,
            delivered=delivered,
        )

    def _channel(self, provider: str) -> Channel:
        return Channel(self._providers[provider](self.settings.roots), self.settings, self._http)

    async def _open(self, job: Job, tracker: Tracker) -> Order:
        plan = await self.plan(job)
        segments = None
        if isinstance(job.source, str) or plan.input is None:
            file = content = hashlib.sha256(str(job.source).encode()).hexdigest()
        else:
            segments = await asyncio.to_thread(without_metadata, job.source, plan.input.format)
            file = await asyncio.to_thread(segments.sha256)
            content = job.content or file
            if job.content is None and isinstance(plan.input, ImageInfo):
                content = await asyncio.to_thread(self._content, segments, plan.input.format, file)
        root = self._providers[job.model.provider](self.settings.roots).root
        return Order(
            errand=Errand(job, Wanted(job.destination, job.model.media, plan.expected), tracker),
            plan=plan,
            segments=segments,
            file=file,
            content=content,
            identity=identity(job.model, content, plan.values, "sandbox" if self.settings.sandbox else root),
            root=root,
        )

    def _content(self, segments: SplicedFile, format_: str, file: str) -> str:
        """The digest of what a file shows; each file is decoded only once."""
        content = self.ledger.stored.content(file)
        if content is None:
            content = content_digest(segments, format_, max_pixels=int(self.settings.size.pixels))
            if content != file:
                self.ledger.stored.remember_content(file, content)
        return content

    async def _wanted_again(self, row: JobRow, model: Model) -> Wanted:
        """What a resumed job's result has to be; its size can be judged only while the input is there."""
        expected = None
        with suppress(RemoteUpscaleError):
            info = await asyncio.to_thread(probe, Path(row.source))
            expected = model.sizing.expect(model.effective(row.parameters), (info.width, info.height))
        return Wanted(Path(row.destination), model.media, expected)
