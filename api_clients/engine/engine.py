"""A job's life, driven once for all providers: host → submit → wait → fetch."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Self
from weakref import WeakValueDictionary

from ..errors import HostingFailed, InvalidInput, NotFound, RemoteUpscaleError
from ..files.place import check_place
from ..files.probe import MEDIA_TYPES, SUFFIXES, ImageInfo, check_input, probe
from ..files.segments import Segments
from ..files.strip import without_metadata
from ..hosting import Hosting, check_public_url, require_hosting
from ..http import Http
from ..ledger import JobRow, Ledger
from ..models import Model
from ..protocol import Provider, Queued
from ..registry import MODELS, PROVIDERS, find_model
from ..sandbox import Sandbox
from ..settings import Settings
from ..sizes import Expected
from .channel import Channel, require_key
from .fetching import Fetched, Fetcher, Wanted
from .job import Job, OnProgress, Outcome, Plan, Stage
from .reuse import find_reusable, identity, take_reusable
from .submitting import submit
from .tracker import Tracker
from .work import Work


@dataclass(frozen=True)
class _Order:
    """A job that was checked. ``segments`` is what will be uploaded, ``None`` where the input is a URL."""

    job: Job
    plan: Plan
    segments: Segments | None
    digest: str
    identity: str
    tracker: Tracker


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
            self.ledger = await asyncio.to_thread(Ledger.open, self.settings.home / "ledger.sqlite")
            stack.callback(self.ledger.close)
            self._http = await stack.enter_async_context(Http(self.settings))
            self._hosting = Hosting(self.settings, self._http)
            self._fetcher = Fetcher(self.settings, self._http)
            self._stack = stack.pop_all()
        return self

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
        cost = job.model.price.estimate(values, expected.size if expected else None)
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
        """Run one job to its checked result.

        Raises:
            RemoteUpscaleError: it could not be done; what is paid for stays in the ledger.
            CancelledError: after the provider was told, where that is possible.
        """
        async with self._slots[job.model.provider]:
            order = await self._open(job, Tracker(on_progress))
            if not job.reuse or order.segments is None:
                self.ready(job)
                return await self._run_new(order)
            # Twins wait for each other: the second one finds what the first one paid for.
            async with self._twins.setdefault(order.identity, asyncio.Lock()):
                sandbox = self.settings.sandbox
                row = await asyncio.to_thread(find_reusable, self.ledger, order.identity, sandbox=sandbox)
                if row is not None:
                    await asyncio.to_thread(take_reusable, row, job.destination)
                    return _reused(job, row, order.tracker)
                self.ready(job)
                return await self._run_new(order)

    async def resume(self, row: JobRow, on_progress: OnProgress | None = None) -> Outcome:
        """Take up a job that the provider has and fetch its result to where it was meant to go.

        Raises:
            RemoteUpscaleError: it could not be had, or another process is at it.
        """
        tracker = Tracker(on_progress)
        model = find_model(row.model, self._models)
        job = Job(
            model=model, parameters=row.parameters, source=row.source, destination=Path(row.destination)
        )
        work = self._work(row.id, job, await self._wanted_again(row, model), tracker, resumed=True)
        provider = work.channel.provider
        handle = row.handle
        if handle is None or provider.under_root(handle.status_url) is None:  # the root has moved
            handle = provider.handle(model, row.request_id or "")
        if not await asyncio.to_thread(self.ledger.claim, row.id):
            raise NotFound("Another process is at this job already.", request_id=row.request_id)
        fetched = await work.see_through(handle, Queued(), hint=0.0)
        return _outcome(job, work, fetched, request_id=row.request_id, cost=row.cost)

    def _work(self, row: str, job: Job, wanted: Wanted, tracker: Tracker, *, resumed: bool = False) -> Work:
        provider = self._providers[job.model.provider](self.settings.roots)
        return Work(
            row=row,
            model=job.model,
            channel=Channel(provider, self.settings, self._http),
            wanted=wanted,
            tracker=tracker,
            ledger=self.ledger,
            fetcher=self._fetcher,
            resumed=resumed,
        )

    async def _open(self, job: Job, tracker: Tracker) -> _Order:
        plan = await self.plan(job)
        if isinstance(job.source, str) or plan.input is None:
            segments, digest = None, hashlib.sha256(str(job.source).encode()).hexdigest()
        else:
            segments = await asyncio.to_thread(without_metadata, job.source, plan.input.format)
            digest = await asyncio.to_thread(segments.sha256)
        root = self._providers[job.model.provider](self.settings.roots).root
        same = identity(job.model, digest, plan.values, "sandbox" if self.settings.sandbox else root)
        return _Order(job, plan, segments, digest, same, tracker)

    async def _run_new(self, order: _Order) -> Outcome:
        job, plan = order.job, order.plan
        await asyncio.to_thread(check_place, job.destination)
        row = await asyncio.to_thread(
            self.ledger.prepare,
            model=job.model.id,
            digest=order.digest,
            identity=order.identity,
            parameters=plan.values,
            source=job.source if isinstance(job.source, str) else str(job.source.absolute()),
            destination=str(job.destination.absolute()),
            sandbox=self.settings.sandbox,
            cost=plan.cost,
        )
        try:
            url = await self._host(order)
        except BaseException:
            # Nothing was sent, so there is nothing to keep; also when it was cancelled.
            await asyncio.to_thread(self.ledger.abandon, row)
            raise
        work = self._work(row, job, Wanted(job.destination, job.model.media, plan.expected), order.tracker)
        order.tracker.tell(Stage.QUEUED)
        request = work.channel.provider.submit(job.model, plan.values, url)
        submitted, hint = await submit(work, request)
        fetched = await work.see_through(submitted.handle, submitted.state, hint)
        request_id = submitted.handle.request_id if submitted.handle else None
        had_alpha = isinstance(plan.input, ImageInfo) and plan.input.alpha
        return _outcome(job, work, fetched, request_id=request_id, cost=plan.cost, had_alpha=had_alpha)

    async def _host(self, order: _Order) -> str:
        """Where the provider can fetch the input."""
        if order.segments is None or order.plan.input is None:
            return str(order.job.source)
        limits = self.settings.time
        order.tracker.tell(Stage.HOSTING, fraction=0.0)
        try:
            async with asyncio.timeout(limits.transfer):
                hosted = await self._hosting.host(
                    order.segments,
                    name_suffix=SUFFIXES[order.plan.input.format],
                    media_type=MEDIA_TYPES[order.plan.input.format],
                    digest=order.digest,
                    valid_for=limits.queue + limits.run,
                    progress=lambda done, total: order.tracker.transfer(Stage.HOSTING, done, total),
                )
        except TimeoutError:
            raise HostingFailed(
                f"The input was not uploaded after {limits.transfer:g} s.",
                hint="Raise `transfer` under [time] in settings.toml; nothing was charged.",
            ) from None
        return hosted.url

    async def _wanted_again(self, row: JobRow, model: Model) -> Wanted:
        """What a resumed job's result has to be; its size can be judged only while the input is there."""
        expected = None
        with suppress(RemoteUpscaleError):
            info = await asyncio.to_thread(probe, Path(row.source))
            expected = model.sizing.expect(model.effective(row.parameters), (info.width, info.height))
        return Wanted(Path(row.destination), model.media, expected)


def _outcome(
    job: Job,
    work: Work,
    fetched: Fetched,
    *,
    request_id: str | None,
    cost: Decimal | None,
    had_alpha: bool = False,
) -> Outcome:
    size = (fetched.info.width, fetched.info.height)
    expected = work.wanted.expected
    notes: tuple[str, ...] = ()
    if had_alpha and isinstance(fetched.info, ImageInfo) and not fetched.info.alpha:
        notes += ("The input has alpha, the result has none.",)
    if expected is not None and expected.exact and expected.size != size:
        notes += (
            f"The result is {size[0]}×{size[1]}; {expected.width}×{expected.height} was to be expected.",
        )
    return Outcome(
        job=job,
        path=job.destination,
        request_id=request_id,
        cost=cost,
        seconds=work.tracker.elapsed,
        reused=False,
        sandbox=work.channel.settings.sandbox,
        width=size[0],
        height=size[1],
        notes=notes,
    )


def _reused(job: Job, row: JobRow, tracker: Tracker) -> Outcome:
    return Outcome(
        job=job,
        path=job.destination,
        request_id=row.request_id,
        cost=Decimal(0),
        seconds=tracker.elapsed,
        reused=True,
        sandbox=row.sandbox,
        width=row.width or 0,
        height=row.height or 0,
    )
