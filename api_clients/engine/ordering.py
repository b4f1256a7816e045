"""Ordering a new job: this is where money is spent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Generator
from contextlib import contextmanager, suppress
from decimal import Decimal
from functools import partial

from ..errors import HostingFailed, RemoteUpscaleError, SubmissionUnknown
from ..files.atomic_write import check_place
from ..files.probe import MEDIA_TYPES, SUFFIXES, ImageInfo
from ..hosting import Hosting
from ..ledger import Budget, Intent, JobRow, JobState, Ledger, LedgerMisuse
from ..providers.base import Queued, Submitted
from ..settings import Settings
from .finding import Finder
from .identity import account
from .job import Job, Outcome, Stage
from .order import Order
from .outcomes import fetched_outcome
from .recovery import MakeWork, Recovery
from .submitting import submit
from .undoing import unless_cancelled


class Ordering:
    """Orders jobs.

    Args:
        settings: what the user configured.
        ledger: where each step is written ahead.
        hosting: puts inputs where the provider can fetch them.
        recovery: is told which jobs this process is at.
        finder: asks providers for jobs whose submit was not answered.
        work: makes the work on a job of the ledger.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        ledger: Ledger,
        hosting: Hosting,
        recovery: Recovery,
        finder: Finder,
        work: MakeWork,
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._hosting = hosting
        self._recovery = recovery
        self._finder = finder
        self._work = work

    async def enter(self, order: Order, *, alone: bool, besides: Collection[str] = ()) -> str | None:
        """Reserve the money for a job and record the intent; nothing is sent yet.

        Args:
            order: the job.
            alone: not where another job of the same identity has a result, or may come to one.
            besides: our ids of jobs of which that is known not to be so.

        Returns:
            Our id for it; ``None`` where there is another.

        Raises:
            InvalidInput: its result could not be put where it is to go.
            BudgetExceeded: there is no money for it, or it costs more than the job may.
        """
        with _allowed(order.errand.job, order.plan.cost) as allowed:
            await asyncio.to_thread(check_place, order.errand.job.destination)
            enter = partial(self._enter, order, alone=alone, besides=besides)
            entered = await unless_cancelled(enter, self._withdraw)
            if not isinstance(entered, str):
                return None
            allowed()
        return entered

    def _enter(self, order: Order, *, alone: bool, besides: Collection[str]) -> str | JobRow:
        cap = self._settings.budget
        entered = self._ledger.enter(
            self._intent(order),
            budget=None if cap is None else Budget(cap, self._settings.unpriced),
            alone=alone,
            besides=besides,
        )
        if isinstance(entered, str) and (not alone or order.errand.job.order_unanswered):
            self._remark_doubles(order, entered)
        return entered

    def _withdraw(self, entered: str | JobRow) -> None:
        if isinstance(entered, str):
            self._retract(entered)

    def _remark_doubles(self, order: Order, row: str) -> None:
        """Note on both sides that an earlier job, which was never answered, may be charged as well."""
        for earlier in self._ledger.same(order.identity, sandbox=self._settings.sandbox):
            if earlier.state is JobState.UNKNOWN:
                self._ledger.remark(earlier.id, f"Ordered again as {row}: both may be charged.")
                self._ledger.remark(
                    row, f"{earlier.id} was sent before and never answered: both may be charged."
                )

    def _intent(self, order: Order) -> Intent:
        job = order.errand.job
        provider = job.model.provider
        key = self._settings.keys[provider].reveal()
        return Intent(
            model=job.model.id,
            digest=order.content,
            identity=order.identity,
            parameters=order.plan.values,
            source=job.source if isinstance(job.source, str) else str(job.source.absolute()),
            destination=str(job.destination.absolute()),
            sandbox=self._settings.sandbox,
            cost=order.plan.cost,
            account=account(order.root, key),
            pixels=order.plan.pixels,
        )

    async def carry_out(self, order: Order, row: str) -> Outcome:
        """Bring an entered job to its result.

        Raises:
            RemoteUpscaleError: it could not be done; what is paid for stays in the ledger.
            CancelledError: after the provider was told, where that is possible.
        """
        with self._recovery.driving(row):
            return await self._carry_out(order, row)

    async def _carry_out(self, order: Order, row: str) -> Outcome:
        try:
            url = await self._host(order)
            usual = await self._usual_seconds(order)
        except (RemoteUpscaleError, asyncio.CancelledError):
            await asyncio.to_thread(self._retract, row)  # nothing was sent, so there is nothing to keep
            raise
        errand, plan = order.errand, order.plan
        work = self._work(row, errand)
        errand.tracker.tell(Stage.QUEUED)
        request = work.channel.provider.submit(errand.job.model, plan.values, url)
        try:
            submitted, hint = await submit(work, request, url)
        except SubmissionUnknown:
            submitted, hint = await self._look_up(row), 0.0
            if submitted is None:
                raise
        errand.tracker.expect(usual)
        fetched = await work.see_through(submitted.handle, submitted.state, hint)
        return fetched_outcome(
            errand,
            work,
            fetched,
            request_id=submitted.handle.request_id if submitted.handle else None,
            cost=plan.cost,
            had_alpha=isinstance(plan.input, ImageInfo) and plan.input.alpha,
        )

    async def _usual_seconds(self, order: Order) -> float | None:
        """How long earlier jobs of the model and size took; nothing is said where that is not known."""
        pixels, model = order.plan.pixels, order.errand.job.model.id
        if pixels is None:
            return None
        with suppress(RemoteUpscaleError):
            return await asyncio.to_thread(
                self._ledger.usual_seconds, model, pixels, sandbox=self._settings.sandbox
            )

    async def _look_up(self, row: str) -> Submitted | None:
        """What became of a submit that was not answered, where the provider can be asked."""
        job = await asyncio.to_thread(self._ledger.look, row)
        found = await self._finder.find(job) if job else None
        return Submitted(found.handle, Queued()) if found else None

    def _retract(self, row: str) -> None:
        with suppress(RemoteUpscaleError, LedgerMisuse):  # the first error is the one to be told
            self._ledger.retract(row)

    async def _host(self, order: Order) -> str:
        """Where the provider can fetch the input."""
        job, tracker = order.errand.job, order.errand.tracker
        if order.segments is None or order.plan.input is None:
            return str(job.source)
        limits = self._settings.time
        tracker.tell(Stage.HOSTING, fraction=0.0)
        try:
            async with asyncio.timeout(limits.transfer):
                hosted = await self._hosting.host(
                    order.segments,
                    name_suffix=SUFFIXES[order.plan.input.format],
                    media_type=MEDIA_TYPES[order.plan.input.format],
                    digest=order.file,
                    valid_for=limits.queue + limits.run,
                    progress=lambda done, total: tracker.transfer(Stage.HOSTING, done, total),
                )
        except TimeoutError:
            raise HostingFailed(
                f"The input was not uploaded after {limits.transfer:g} s.",
                hint="Raise `transfer` under [time] in settings.toml; nothing was charged.",
            ) from None
        return hosted.url


@contextmanager
def _allowed(job: Job, cost: Decimal | None) -> Generator[Callable[[], None]]:
    """Take a job's cost from what may be spent; it is given back unless the job is entered."""
    if job.allowance is None:
        yield lambda: None
        return
    job.allowance.take(job.model, cost)
    entered: list[bool] = []
    try:
        yield lambda: entered.append(True)
    finally:
        if not entered:
            job.allowance.give_back(cost)
