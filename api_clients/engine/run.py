"""One run of a job: host → submit → wait → fetch → store → deliver."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from decimal import Decimal

from ..errors import (
    BadResponse,
    HostingFailed,
    Meaning,
    NotFound,
    RemoteUpscaleError,
    ResultLost,
    SubmissionUnknown,
)
from ..files.probe import MEDIA_TYPES, SUFFIXES, ImageInfo
from ..ledger import Claim, Intent, JobRow, JobState
from ..models import Model
from ..providers.base import Done, Failed, Handle, Output, Queued, State, Submitted
from ..providers.client import Answer, SubmitAttempts
from ..results.cache import Found
from ..uninterrupted import uninterrupted
from .delivery import Delivered, Delivery
from .job import Outcome, ResultSpec, Stage
from .outcomes import fetched_outcome, restored_outcome
from .prepare import PreparedJob
from .progress import ProgressReporter
from .reconcile import reconcile
from .record import JobRecord
from .services import Services
from .waiting import Waiter, WatchedJob

_LEAST = 1.0
"""Seconds that a step gets at least."""
_PLACES_EVERY = 0.3
"""Seconds between two looks whether there is a place for one more job of a key."""

_BUSY = "Another run is at this job already."


class Busy(NotFound):
    """Another run is at the job, in this process or in another one."""


class JobRun:
    """One run of one job. However it ends, ``JobRecord.settle`` leaves the ledger as that way out wants it.

    Args:
        services: what it is run with.
        model: the upscaler.
        job: our id of the job.
        spec: what its result has to be.
        reporter: is told of its progress.
        time_limit: seconds that a run may take from when it has its place; ``None`` for the settings' limits
            alone. What is under way may take them to the end: a submit is not cut off, as nobody would know
            what became of it, and nor is storing what has arrived.
    """

    def __init__(
        self,
        services: Services,
        model: Model,
        job: str,
        spec: ResultSpec,
        reporter: ProgressReporter,
        *,
        time_limit: float | None = None,
    ) -> None:
        self._services = services
        self._settings = services.settings
        self._model = model
        self._spec = spec
        self._reporter = reporter
        self._time_limit = time_limit
        self._ends = math.inf
        self._client = services.client(model)
        self._waiter = Waiter(self._client, services.settings, services.strategies, reporter)
        self._record = JobRecord(services, model, job, reporter)
        self._delivery = Delivery(services, self._record, spec, reporter)

    async def order(
        self, prepared: PreparedJob, *, unless_exists: bool, excluding: Collection[str] = ()
    ) -> Outcome | None:
        """Order a new job and bring its result.

        Args:
            prepared: the job.
            unless_exists: not where another job of the same identity has a result, or may come to one.
            excluding: our ids of jobs of which that is known not to be so.

        Returns:
            ``None`` where there is another job; nothing was sent.

        Raises:
            RemoteUpscaleError: it could not be done; what is paid for stays in the ledger.
            OwnershipLost: another process took this one for dead, and has the job.
            CancelledError: after the provider was told, where that is possible.
        """
        async with self._settling():
            if not await self._record.pending(prepared, unless_exists=unless_exists, excluding=excluding):
                return None
            await self._take_place()
            self._begins()
            link = await self._host(prepared)
            answer = await self._submit(prepared, link)
            submitted = time.monotonic()
            self._reporter.set_eta(await self._usual_seconds(prepared))
            handle, state = answer.value.handle, answer.value.state
            output = await self._wait(handle, state, answer.retry_after, submitted)
            delivered = await self._bring(handle, output)
        lost = prepared.input.lost_in(delivered.info) if isinstance(prepared.input, ImageInfo) else []
        return self._outcome(delivered, cost=prepared.cost, notes=(*prepared.notes, *lost))

    async def resume(self, row: JobRow) -> Outcome:
        """Bring the result of a job that was left behind, or that is stored but not delivered.

        Raises:
            Busy: another run is at it.
            RemoteUpscaleError: it cannot be had; its meaning tells whether it ever can.
        """
        if self._record.job in self._services.driven:  # the ledger would let this process have it twice
            raise Busy(_BUSY, request_id=row.request_id)
        async with self._settling():
            await self._claim(row)
            self._begins()
            if row.state is JobState.STORED:
                outcome = await self._redeliver(row)
                assert outcome is not None  # what was never delivered is an error instead
                return outcome
            handle = self._handle(row)
            output = await self._wait(handle, Queued(), 0.0, _since(row.submitted))
            delivered = await self._bring(handle, output)
        return self._outcome(delivered, cost=Decimal(0), reused=True)

    async def fetch(self, intent: Intent, handle: Handle) -> Outcome | JobRow:
        """Bring the result of a job that was ordered elsewhere.

        Returns:
            The job's row where it is on record already; nothing was done then.

        Raises:
            NotFound: the provider knows no such job.
            RemoteUpscaleError: its result cannot be had.
        """
        async with self._settling():
            there = await self._record.fetched(intent, handle)
            if there is not None:
                return there
            output = await self._wait(handle, Queued(), 0.0, None)
            delivered = await self._bring(handle, output)
        return self._outcome(delivered, cost=Decimal(0), reused=True)

    async def redeliver(self, row: JobRow) -> Outcome | None:
        """Bring the result of a job that is over: stored, delivered before, or still at the provider.

        Returns:
            ``None`` when it was delivered once, and is not to be had any more.

        Raises:
            ResultLost: what is stored is damaged, and the provider has it no more.
            RemoteUpscaleError: it cannot be had now.
        """
        return await self._redeliver(row)

    @asynccontextmanager
    async def _settling(self) -> AsyncGenerator[None]:
        """Settle the job however the block ends. This process counts as its driver from the beginning."""
        with self._services.driving(self._record.job):
            try:
                yield
            except BaseException as error:
                told = await uninterrupted(self._record.settle(error))
                if told is error:
                    raise
                raise told from error

    def _begins(self) -> None:
        """The run has its place: from now on its time limit counts."""
        if self._time_limit is not None:
            self._ends = time.monotonic() + self._time_limit

    def _seconds(self, most: float) -> float:
        """How long a step may take by the settings, and by what is left of the run's time.

        Whatever is left, a step gets a moment: a limit for the provider alone may be shorter than an upload.
        """
        return min(most, max(_LEAST, self._ends - time.monotonic()))

    async def _take_place(self) -> None:
        """Wait until fewer jobs of this key are at the provider than are allowed, over all processes."""
        most = self._settings.at_once
        while not await self._record.place(most):
            await self._await_place(most)

    async def _claim(self, row: JobRow) -> None:
        most = None if row.state is JobState.STORED else self._settings.at_once
        while (claim := await self._record.claim(row, most=most)) is Claim.FULL:
            await self._await_place(self._settings.at_once)
        if claim is Claim.BUSY:
            raise Busy(_BUSY, request_id=row.request_id)

    async def _await_place(self, most: int) -> None:
        self._reporter.report(Stage.QUEUED, note=f"{most} jobs are under way with this key already")
        await asyncio.sleep(_PLACES_EVERY * random.uniform(0.5, 1.5))  # noqa: S311 (no secret)

    async def _host(self, prepared: PreparedJob) -> str:
        """Where the provider can fetch the input."""
        if prepared.upload is None or prepared.input is None:
            return str(prepared.job.source)
        limits = self._settings.time
        self._reporter.report(Stage.HOSTING, fraction=0.0)
        seconds = self._seconds(limits.transfer)
        try:
            async with asyncio.timeout(seconds):
                hosted = await self._services.hosting.host(
                    prepared.upload,
                    name_suffix=SUFFIXES[prepared.input.format],
                    media_type=MEDIA_TYPES[prepared.input.format],
                    digest=prepared.upload_digest,
                    valid_for=limits.queue + limits.run,
                    progress=lambda done, total: self._reporter.transferred(Stage.HOSTING, done, total),
                )
        except TimeoutError:
            raise HostingFailed(
                f"The input was not uploaded after {seconds:.4g} s.",
                hint="Raise `transfer` under [time] in settings.toml, or the job's time limit; nothing was "
                "charged.",
            ) from None
        return hosted.url

    async def _submit(self, prepared: PreparedJob, link: str) -> Answer[Submitted]:
        """Send the one request that costs money, recorded before and after.

        A cancellation waits a moment for the reply to what is on its way, as it holds the id of what is paid
        for. Nothing is sent from then on.
        """
        self._reporter.report(Stage.QUEUED)
        await self._record.submitting(link)
        attempts = SubmitAttempts()
        sending = asyncio.ensure_future(self._send(prepared, link, attempts))
        try:
            return await asyncio.shield(sending)
        except asyncio.CancelledError:
            attempts.stopped = True
            if attempts.refusal is None:
                with suppress(asyncio.CancelledError):
                    await uninterrupted(asyncio.wait([sending], timeout=self._settings.time.cancel))
            sending.cancel()
            try:
                with suppress(asyncio.CancelledError):
                    await uninterrupted(sending)
            except RemoteUpscaleError as error:
                self._record.answered(error)
            if attempts.refusal is not None:
                self._record.answered(attempts.refusal)
            raise

    async def _send(self, prepared: PreparedJob, link: str, attempts: SubmitAttempts) -> Answer[Submitted]:
        try:
            retry = self._seconds(self._settings.time.retry)
            answer = await self._client.submit(self._model, prepared.values, link, attempts, retry=retry)
        except SubmissionUnknown as error:
            await self._record.unknown(error)
            handle = await self._reconciled()
            if handle is None:
                raise
            return Answer(Submitted(handle, Queued()), 0.0)
        await self._record.submitted(answer.value.handle)
        return answer

    async def _reconciled(self) -> Handle | None:
        """The job after all, where the provider can be asked for it."""
        row = await self._services.ledger.call(self._services.ledger.sync.get, self._record.job)
        found = await reconcile(row, self._services) if row is not None else None
        if found is None:
            return None
        self._record.adopted(found)
        return found.handle

    async def _wait(
        self, handle: Handle | None, state: State, retry_after: float | None, submitted: float | None
    ) -> Output:
        """Where the result is, once the provider is done.

        Args:
            handle: the job; ``None`` when it was finished in the reply to its submit.
            state: what that reply said.
            retry_after: the seconds that it asked to wait, if any.
            submitted: when that was, by ``time.monotonic()``, where it is known.
        """
        if handle is not None:
            watched = WatchedJob(handle, self._model, submitted, self._time_limit, self._ends)
            state = await self._waiter.wait(watched, state, retry_after)
        output = self._output(state)
        self._record.done = True
        return output

    async def _bring(self, handle: Handle | None, output: Output) -> Delivered:
        """Fetch a finished job's result, store it, and bring it to its place."""

        async def fresh() -> Output:
            assert handle is not None
            return self._output(await self._waiter.result(WatchedJob(handle, self._model, None)))

        seconds = self._seconds(self._settings.time.transfer)
        return await self._delivery.bring(output, fresh if handle is not None else None, seconds)

    async def _redeliver(self, row: JobRow) -> Outcome | None:
        scratch = self._services.partials / f"{row.id}.result"
        restored = await self._services.cache.restore(row, self._spec.destination, scratch)
        if restored.path is not None:
            if self._record.state is JobState.STORED:
                await self._record.redelivered(self._spec.destination, row)
            return await asyncio.to_thread(
                restored_outcome,
                row,
                self._model,
                restored.path,
                temporary=restored.temporary,
                seconds=self._reporter.elapsed,
                notes=self._record.notes,
            )
        outcome = await self._fetch_again(row)
        if outcome is None and (restored.found is Found.DAMAGED or row.state is JobState.STORED):
            lost = ResultLost(
                "The stored result is damaged or gone, and the provider has it no more.",
                hint="A new run orders it again.",
                request_id=row.request_id,
                meaning=Meaning.OVER,
            )
            await self._record.lost(lost)
            raise lost
        return outcome

    async def _fetch_again(self, row: JobRow) -> Outcome | None:
        """Fetch a result once more, where the provider still has it."""
        if row.handle is None or row.sandbox:  # an embedded sandbox is gone with its process
            return None
        handle = self._handle(row)
        try:
            output = await self._wait(handle, Queued(), 0.0, _since(row.submitted))
            delivered = await self._bring(handle, output)
        except RemoteUpscaleError as error:
            lost = isinstance(error, (NotFound, ResultLost, BadResponse)) and not error.meaning.retryable
            if error.meaning is Meaning.OVER or lost:
                return None
            raise  # a page of a proxy's says nothing of the job
        return self._outcome(delivered, cost=Decimal(0), reused=True)

    def _output(self, final: State) -> Output:
        """Where a finished job's result is; raises the error of one that failed."""
        match final:
            case Done(Output() as output):
                return output
            case Failed():
                raise self._record.ended(final)
            case _:
                raise BadResponse("The job is done but the provider gives no result for it.")

    def _handle(self, row: JobRow) -> Handle:
        """The job's handle; built again where the provider's root has moved since."""
        provider, handle = self._client.provider, row.handle
        moved = handle is None or provider.under_root(handle.status_url) is None
        if moved and self._settings.sandbox:
            raise ResultLost(
                "The sandbox that had this job has ended, and forgot it.",
                hint="A new run orders it again; the sandbox charges nothing.",
                request_id=row.request_id,
                meaning=Meaning.OVER,
            )
        if handle is None or moved:
            handle = provider.handle(self._model, row.request_id or "")
        self._record.handle = handle
        return handle

    async def _usual_seconds(self, prepared: PreparedJob) -> float | None:
        """How long earlier jobs of the model and size took; nothing is said where that is not known."""
        if prepared.pixels is None:
            return None
        ledger = self._services.ledger
        with suppress(RemoteUpscaleError):
            return await ledger.call(
                ledger.sync.usual_seconds, self._model.id, prepared.pixels, sandbox=self._settings.sandbox
            )
        return None

    def _outcome(
        self,
        delivered: Delivered,
        *,
        cost: Decimal | None,
        reused: bool = False,
        notes: tuple[str, ...] = (),
    ) -> Outcome:
        return fetched_outcome(
            delivered,
            self._model,
            self._spec,
            request_id=self._record.handle.request_id if self._record.handle else None,
            cost=cost,
            seconds=self._reporter.elapsed,
            reused=reused,
            sandbox=self._settings.sandbox,
            notes=(*notes, *self._waiter.notes, *self._record.notes),
        )


def _since(moment: datetime | None) -> float | None:
    """A moment of the ledger on the clock of ``time.monotonic()``; now, where it is yet to come."""
    if moment is None:
        return None
    return time.monotonic() - max(0.0, (datetime.now(UTC) - moment).total_seconds())
