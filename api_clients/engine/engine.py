"""A job's life, driven once for all providers: take what exists for it, or order it."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Self
from weakref import WeakValueDictionary

from ..errors import BadResponse, InvalidParameter, RemoteUpscaleError
from ..files.atomic_write import check_place, copy_into_place, move_into_place
from ..files.probe import probe
from ..hosting import require_hosting
from ..ledger import Intent, JobRow, JobState, OwnershipLost
from ..ledger.threaded import AsyncLedger
from ..models import Model
from ..providers.base import Provider, read_request_id
from ..registry import MODELS, PROVIDERS, find_model
from ..settings import Settings
from .job import Job, OnProgress, Outcome, ResultSpec, Stage
from .prepare import Estimate, PreparedJob, estimate, prepare
from .progress import ProgressReporter
from .reconcile import reconcile
from .reuse import find_existing
from .run import JobRun
from .services import Services, open_services
from .waiting import Polling, WaitStrategy


class Engine:
    """Runs jobs; one for the whole process. Use it from one event loop.

    Args:
        services: what jobs are run with.
    """

    def __init__(self, services: Services) -> None:
        self.services = services
        self._slots = {name: asyncio.Semaphore(services.settings.at_once) for name in services.clients}
        self._duplicates: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        settings: Settings,
        *,
        models: Mapping[str, Model] = MODELS,
        providers: Mapping[str, type[Provider]] = PROVIDERS,
        strategies: tuple[WaitStrategy, ...] = (Polling(),),
    ) -> AsyncGenerator[Self]:
        """An engine with everything it needs, which is closed in the end.

        Args:
            settings: what the user configured.
            models: the upscalers there are.
            providers: the providers there are.
            strategies: say when to look at a job that is being waited for.

        Raises:
            InvalidParameter: the settings name a model that there is not, or an address that is none.
            StorageFailed: the ledger cannot be used.
        """
        async with open_services(
            settings, models=models, providers=providers, strategies=strategies
        ) as services:
            yield cls(services)

    @property
    def settings(self) -> Settings:
        """The settings that hold, in the sandbox other ones than were given."""
        return self.services.settings

    @property
    def ledger(self) -> AsyncLedger:
        """Every job ever asked for."""
        return self.services.ledger

    async def estimate(self, job: Job) -> Estimate:
        """Check a job's parameters and input, and say what it comes to. Nothing is sent.

        Raises:
            InvalidParameter: a parameter, or the address of the input, cannot be used.
            InvalidInput: the file cannot.
        """
        return await estimate(job, self.settings)

    def check_ready(self, job: Job) -> None:
        """Check that a job could be sent.

        Raises:
            AuthenticationFailed: there is no key for its provider.
            HostingFailed: there is nowhere to put its input.
        """
        self.services.client(job.model).require_key()
        if isinstance(job.source, Path):
            require_hosting(self.settings)

    async def run(self, job: Job, on_progress: OnProgress | None = None) -> Outcome:
        """Run one job to its checked result, or take the result that is there already.

        Raises:
            RemoteUpscaleError: it could not be done; what is paid for stays in the ledger.
            CancelledError: after the provider was told, where that is possible.
        """
        reporter = ProgressReporter(on_progress)
        async with self._slot(job.model, reporter):
            prepared = await prepare(job, self.services)
            if not job.reuse or prepared.upload is None:
                outcome = await self._order(prepared, reporter, unless_exists=False)
                assert outcome is not None  # it was to be ordered whatever exists
                return outcome
            # Duplicates wait for each other: the second one finds what the first one paid for.
            same = self._duplicates.setdefault(prepared.identity, asyncio.Lock())
            if same.locked():
                reporter.report(Stage.QUEUED, note="waiting for an earlier job with the same content")
            async with same:
                return await self._reuse_or_order(prepared, reporter)

    @asynccontextmanager
    async def _slot(self, model: Model, reporter: ProgressReporter) -> AsyncGenerator[None]:
        """One of the places that this process's jobs at a provider have; it says so where one has to wait."""
        slot = self._slots[model.provider]
        if slot.locked():
            reporter.report(Stage.QUEUED, note=f"{self.settings.at_once} jobs are under way already")
        async with slot:
            yield

    async def _reuse_or_order(self, prepared: PreparedJob, reporter: ProgressReporter) -> Outcome:
        excluding: set[str] = set()
        while True:
            outcome = await find_existing(prepared, self.services, reporter, excluding)
            if outcome is None:
                with suppress(OwnershipLost):  # another process has it now, and comes to its result
                    outcome = await self._order(prepared, reporter, unless_exists=True, excluding=excluding)
            if outcome is not None:  # else another process was quicker
                return outcome

    async def _order(
        self,
        prepared: PreparedJob,
        reporter: ProgressReporter,
        *,
        unless_exists: bool,
        excluding: set[str] | None = None,
    ) -> Outcome | None:
        self.check_ready(prepared.job)
        await self.services.client(prepared.job.model).check_names()
        await asyncio.to_thread(self._check_places, prepared.job.destination)
        run = JobRun(
            self.services,
            prepared.job.model,
            self.ledger.sync.new_id(),
            prepared.spec,
            reporter,
            time_limit=prepared.job.time_limit,
        )
        return await run.order(prepared, unless_exists=unless_exists, excluding=excluding or ())

    def _check_places(self, destination: Path | None) -> None:
        """Find out before anything is ordered whether the result could be written."""
        check_place(self.services.partials / "result")
        if destination is not None:
            check_place(destination)

    async def resume(self, row: JobRow, on_progress: OnProgress | None = None) -> Outcome:
        """Take up a job that was left behind and bring its result to where it was meant to go.

        Raises:
            RemoteUpscaleError: it could not be had, or another process is at it.
        """
        model = find_model(row.model, self.services.models)
        spec = await self._spec(row, model)
        reporter = ProgressReporter(on_progress)
        async with self._slot(model, reporter):
            return await JobRun(self.services, model, row.id, spec, reporter).resume(row)

    async def fetch(self, model: Model, request_id: str, on_progress: OnProgress | None = None) -> Outcome:
        """Bring the result of a job that was ordered elsewhere into the result store.

        Args:
            model: what was ordered.
            request_id: the provider's id of the job.
            on_progress: is told of its progress.

        Raises:
            InvalidParameter: that is no id.
            AuthenticationFailed: there is no key for the provider.
            NotFound: the provider knows no such job.
            RemoteUpscaleError: its result could not be had.
        """
        client = self.services.client(model)
        client.require_key()
        try:
            handle = client.provider.handle(model, read_request_id(request_id))
        except BadResponse:
            raise InvalidParameter(
                f"{request_id[:80]} is not a request id.",
                hint="Copy it from the provider's history or from `remote-upscale jobs`.",
            ) from None
        reporter, spec = ProgressReporter(on_progress), ResultSpec(model.media, None, None)
        run = JobRun(self.services, model, self.ledger.sync.new_id(), spec, reporter)
        async with self._slot(model, reporter):
            fetched = await run.fetch(self._fetched_intent(model, request_id), handle)
            if isinstance(fetched, Outcome):
                return fetched
            return await self._bring(fetched, model, reporter)

    async def _bring(self, row: JobRow, model: Model, reporter: ProgressReporter) -> Outcome:
        """The result of a job that is on record already."""
        spec = replace(await self._spec(row, model), destination=None)
        run = JobRun(self.services, model, row.id, spec, reporter)
        if row.resumable or (row.state is JobState.FAILED and row.request_id is not None):
            return await run.resume(row)
        outcome = await run.redeliver(row)
        if outcome is None:
            raise BadResponse("The result is not to be had any more.", request_id=row.request_id)
        return outcome

    def _fetched_intent(self, model: Model, request_id: str) -> Intent:
        named = f"{model.id}\n{request_id}"
        digest = hashlib.sha256(named.encode()).hexdigest()
        return Intent(
            model=model.id,
            digest=digest,
            identity=digest,
            parameters={},
            source="",
            destination=None,
            sandbox=self.settings.sandbox,
            cost=Decimal(0),
            account=self.services.client(model).account,
        )

    async def deliver(self, outcome: Outcome, destination: Path) -> Outcome:
        """Bring a result from the store to a file.

        Raises:
            InvalidInput: that is not the name of a file.
            StorageFailed: it cannot be written there; the result stays in the store.
        """
        await asyncio.to_thread(
            move_into_place if outcome.temporary else copy_into_place, outcome.path, destination
        )
        return replace(outcome, path=destination, temporary=False)

    async def reconcile(self) -> list[JobRow]:
        """Ask providers, where they can be asked, for jobs of the last day whose submit was not answered.

        Returns:
            Those that nobody knows of yet. The others can be resumed from now on.
        """
        ledger, since = self.ledger, datetime.now(UTC) - timedelta(days=1)
        rows = await ledger.call(ledger.sync.jobs, states=[JobState.UNKNOWN], since=since)
        rows = [row for row in rows if row.sandbox == self.settings.sandbox and row.owner is None]
        found = await asyncio.gather(*map(self._reconcile, rows))
        return [row for row, job in zip(rows, found, strict=True) if job is None]

    async def _reconcile(self, row: JobRow) -> JobRow | None:
        """Find one job, and leave it to whoever resumes it."""
        with self.services.driving(row.id):
            found = await reconcile(row, self.services)
            if found is not None:
                await self.ledger.call(self.ledger.sync.release, row.id)
        return found

    async def _spec(self, row: JobRow, model: Model) -> ResultSpec:
        """What an earlier job's result has to be; its size can be judged only while the input is there."""
        expected = None
        with suppress(RemoteUpscaleError):
            info = await asyncio.to_thread(probe, Path(row.source))
            expected = model.sizing.expect(model.check(row.parameters).values, info.size)
        return ResultSpec(model.media, expected, None if row.destination is None else Path(row.destination))
