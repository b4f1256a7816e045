"""What the ledger is told of one run of a job, and the one place that settles however the run ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..errors import Cancelled, Meaning, RemoteUpscaleError, ResultLost, StorageFailed
from ..ledger import Budget, Claim, Intent, JobRow, JobState, LedgerMisuse, OwnershipLost, link_digest
from ..models import Model
from ..providers.base import Failed, Handle, submission_unknown
from ..redaction import get_logger
from ..uninterrupted import uninterrupted
from .cancelling import cancel_at_provider
from .fetching import Fetched
from .job import Stage
from .prepare import PreparedJob
from .progress import ProgressReporter
from .services import Services

_log = get_logger(__name__)
_RESUMABLE = "The job is kept: the same run again, or `remote-upscale resume`, fetches the result."
_NOT_ORDERED = "It was stopped before the provider took the job; nothing was charged."
_IN_SANDBOX = (
    "The embedded sandbox keeps the job as long as this process runs: the same run again fetches it."
)
_DELIVERABLE = "The result is kept: the same run again, or `remote-upscale resume`, delivers it."


class JobRecord:
    """A run's side of the ledger. The steps are named as the states that they lead to.

    Once a job is paid for, a ledger that fails does not cost the result: what could not be recorded is logged
    at once and becomes a note.

    Attributes:
        job: our id of the job.
        state: what this run has brought the job to; ``None`` as long as it is not ours to settle.
        handle: the job at the provider.
        done: the provider has finished its work.
        resumed: an earlier run left it behind.
        elsewhere: it was ordered elsewhere, so an interrupt here does not cancel it.
        notes: what the user should know, in sentences.
    """

    def __init__(self, services: Services, model: Model, job: str, reporter: ProgressReporter) -> None:
        self.job = job
        self.state: JobState | None = None
        self.handle: Handle | None = None
        self.done = False
        self.resumed = False
        self.elsewhere = False
        self.notes: list[str] = []
        self._services = services
        self._ledger = services.ledger
        self._client = services.client(model)
        self._model = model
        self._reporter = reporter
        self._ended: Failed | None = None
        self._answer: RemoteUpscaleError | None = None
        self._untold: Handle | None = None
        self._give_back: Callable[[], None] = lambda: None

    async def pending(
        self, prepared: PreparedJob, *, unless_exists: bool, excluding: Collection[str]
    ) -> bool:
        """Reserve the money for a new job and record the intent; nothing is sent yet.

        Args:
            prepared: the job.
            unless_exists: not where another job of the same identity has a result, or may come to one.
            excluding: our ids of jobs of which that is known not to be so.

        Returns:
            Whether it is on record; if not, there is another job.

        Raises:
            BudgetExceeded: there is no money for it, or it costs more than the job may.
        """
        limit = prepared.job.spend_limit
        if limit is not None:
            limit.reserve(self._model, prepared.cost)
            self._give_back = lambda: limit.release(prepared.cost)
        self.state = JobState.PREPARED  # from here on whatever happens is settled
        duplicate = await self._ledger.call(self._insert, prepared, unless_exists, excluding)
        if duplicate is None:
            return True
        self.state = None
        self._give_back()
        return False

    def _insert(
        self, prepared: PreparedJob, unless_exists: bool, excluding: Collection[str]
    ) -> JobRow | None:
        settings, ledger = self._services.settings, self._ledger.sync
        duplicate = ledger.insert_pending(
            prepared.intent(sandbox=settings.sandbox),
            job=self.job,
            budget=None if settings.budget is None else Budget(settings.budget, settings.unpriced),
            unless_exists=unless_exists,
            excluding=excluding,
        )
        if duplicate is None and (not unless_exists or prepared.job.order_unanswered):
            for earlier in ledger.by_identity(prepared.identity, sandbox=settings.sandbox):
                if earlier.state is JobState.UNKNOWN:
                    ledger.set_note(earlier.id, f"Ordered again as {self.job}: both may be charged.")
                    ledger.set_note(
                        self.job, f"{earlier.id} was sent before and never answered: both may be charged."
                    )
        return duplicate

    async def claim(self, row: JobRow, *, most: int | None) -> Claim:
        """Take over a job that was left behind; from then on it is this run's to settle."""
        try:
            claim = await self._ledger.call(
                self._ledger.sync.claim, row.id, most=most, failed=row.state is JobState.FAILED
            )
        except asyncio.CancelledError:
            await uninterrupted(self._quietly(self._ledger.sync.release))
            raise
        if claim is Claim.TAKEN:
            self.resumed = True
            self.handle = row.handle
            self.state = JobState.STORED if row.state is JobState.STORED else JobState.SUBMITTED
        return claim

    async def fetched(self, intent: Intent, handle: Handle) -> JobRow | None:
        """Record a job that was ordered elsewhere as ours to bring.

        Returns:
            The row of the job that is on record already; nothing was recorded then.
        """
        self.elsewhere = True
        self.state, self.handle = JobState.SUBMITTED, handle
        there = await self._ledger.call(self._ledger.sync.insert_fetched, intent, job=self.job, handle=handle)
        if there is not None:
            self.state = self.handle = None
        return there

    async def place(self, most: int) -> bool:
        """Take one of the places that the jobs of a key have at the provider; whether there was one."""
        return await self._ledger.call(self._ledger.sync.take_place, self.job, most=most)

    async def submitting(self, link: str) -> None:
        """The submit is about to be sent.

        Raises:
            StorageFailed, OwnershipLost: it must not be sent.
        """
        await self._ledger.call(self._ledger.sync.mark_submitting, self.job, link=link_digest(link))
        self.state = JobState.SUBMITTING

    async def submitted(self, handle: Handle | None) -> None:
        """The provider took the job; without a handle its reply was the result."""
        self.state, self.handle = JobState.SUBMITTED, handle
        if handle is None:
            return
        self._untold = handle
        try:
            await self._tell("submitted", self._mark_submitted)
        except OwnershipLost:  # somebody took us for dead; the id of what is paid for must not get lost
            await self._tell("submitted", self._ledger.sync.adopt, handle)

    def answered(self, error: RemoteUpscaleError) -> None:
        """What is known of a submit that was cancelled: there is no job, or it is over."""
        self._answer = error

    async def unknown(self, error: RemoteUpscaleError) -> None:
        """The submit was sent, and no answer tells whether the provider took it."""
        self.state = JobState.UNKNOWN
        await self._tell("sent and never answered", self._ledger.sync.mark_unknown, error)

    def adopted(self, row: JobRow) -> None:
        """The provider was found to have taken the job after all, and the ledger says so."""
        self.state, self.handle = JobState.SUBMITTED, row.handle

    def ended(self, failed: Failed) -> RemoteUpscaleError:
        """The provider says that the job ended without a result; the error to raise."""
        self._ended = failed
        return failed.error

    async def stored(self, fetched: Fetched) -> None:
        """The result is in the result store, durably."""
        self.state = JobState.STORED
        await self._tell("stored", self._ledger.sync.mark_stored, **_facts(fetched))

    async def completed(self, path: Path | None, fetched: Fetched) -> None:
        """The result was delivered; without a path it is in the result store only."""
        self.state = JobState.COMPLETED
        await self._tell("completed", self._ledger.sync.mark_completed, path=path, **_facts(fetched))

    async def redelivered(self, path: Path | None, row: JobRow) -> None:
        """What was stored earlier was delivered."""
        facts = {"sha256": row.result_sha256 or "", "bytes": row.result_bytes or 0}
        facts |= {"width": row.width or 0, "height": row.height or 0}
        self.state = JobState.COMPLETED
        await self._tell("completed", self._ledger.sync.mark_completed, path=path, **facts)

    async def lost(self, error: RemoteUpscaleError) -> None:
        """The result was stored once, and is nowhere to be had any more."""
        self.state = JobState.FAILED
        await self._ledger.call(self._ledger.sync.mark_lost, self.job, error)

    async def settle(self, error: BaseException) -> BaseException:
        """Leave the job in the state that this way out leaves it in. Never raises.

        Args:
            error: why the run ends: an error of ours, a cancellation, or anything else.

        Returns:
            What to raise: an error of ours says what became of the job.
        """
        ledger = self._ledger.sync
        match self.state:
            case JobState.PREPARED:
                self._give_back()
                await self._quietly(self._remove_unsent)
            case JobState.SUBMITTING:
                return await self._settle_submitting(error)
            case JobState.UNKNOWN:
                await self._quietly(ledger.release)
            case JobState.SUBMITTED:
                return await self._settle_submitted(error)
            case JobState.STORED:
                return await self._settle_stored(error)
            case _:  # not ours, or over
                pass
        return error

    def _remove_unsent(self, job: str) -> None:
        """Take a job off the record of which nothing was sent."""
        ledger = self._ledger.sync
        try:
            ledger.delete_unsent(job)
        except LedgerMisuse:  # the ledger has it as being sent, of which this run did not come to hear
            ledger.mark_failed(job, Cancelled("It was stopped before it was sent."), charged=False)

    async def _settle_submitting(self, error: BaseException) -> BaseException:
        ledger = self._ledger.sync
        answer = error if isinstance(error, RemoteUpscaleError) else self._answer
        if answer is not None:  # the provider's, or it was never sent
            charged = not answer.meaning.not_accepted
            if not charged:
                self._give_back()
            await self._quietly(ledger.mark_failed, answer, charged=charged)
            if answer is not error:
                self._reporter.report(Stage.CANCELLED, note="" if charged else _NOT_ORDERED)
            return error
        gone = submission_unknown(self._client.provider.title, "it was interrupted before it was answered")
        await self._quietly(ledger.mark_unknown, gone)
        await self._quietly(ledger.release)
        self._reporter.report(Stage.CANCELLED, note=str(gone))
        return error

    async def _settle_submitted(self, error: BaseException) -> BaseException:
        ledger = self._ledger.sync
        if self.handle is None:
            lost = ResultLost("The run ended while the result was being fetched, which has no id.")
            ours = error if isinstance(error, RemoteUpscaleError) else lost
            await self._quietly(ledger.mark_failed, ours, charged=True)
            return error
        if isinstance(error, asyncio.CancelledError):
            leave = self.done or self.elsewhere
            await (self._leave(self.handle) if leave else self._give_up(self.handle))
            return error
        if not isinstance(error, RemoteUpscaleError):
            await self._quietly(ledger.release)
            return error
        error = error.but(request_id=self.handle.request_id)
        # A dead link may come alive, as stores are not consistent at once: only a resumed job ends by it.
        lost_for_good = isinstance(error, ResultLost) and self.resumed
        if error.meaning is Meaning.OVER or lost_for_good:
            charged = self._ended is None or self._ended.charged
            if not charged:
                self._give_back()
            await self._quietly(ledger.mark_failed, error, charged=charged)
            return error
        await self._quietly(ledger.release, error)
        return error.but(hint=f"{error.hint} {self._resumable}".lstrip())

    async def _settle_stored(self, error: BaseException) -> BaseException:
        ledger = self._ledger.sync
        request_id = self.handle.request_id if self.handle else None
        if not isinstance(error, RemoteUpscaleError):
            await self._quietly(ledger.release)
            if isinstance(error, asyncio.CancelledError):
                self._reporter.report(Stage.CANCELLED, note=f"The job is done and paid for. {_DELIVERABLE}")
            return error
        await self._quietly(ledger.release, error)
        return error.but(hint=f"{error.hint} {_DELIVERABLE}".lstrip(), request_id=request_id)

    async def _leave(self, handle: Handle) -> None:
        """Interrupted where nothing is to be cancelled, such as when the provider had done its work."""
        await self._quietly(self._ledger.sync.release)
        done = " is done and paid for" if self.done else " goes on"
        self._reporter.report(Stage.CANCELLED, note=f"Job {handle.request_id}{done}. {self._resumable}")

    async def _give_up(self, handle: Handle) -> None:
        """Cancel at the provider where that exists, record what became of it, and report it."""
        taken, note = await cancel_at_provider(self._client, handle, self._services.settings)
        if taken:
            await self._quietly(self._ledger.sync.mark_cancelled, note)
        else:
            await self._quietly(self._ledger.sync.release, Cancelled(note, request_id=handle.request_id))
        self._reporter.report(Stage.CANCELLED, note=note)

    @property
    def _resumable(self) -> str:
        """What becomes of a job that the provider has."""
        return _IN_SANDBOX if self._services.settings.sandbox else _RESUMABLE

    async def _tell(self, what: str, step: Callable[..., Any], *args: Any, **values: Any) -> None:
        """Record a step of a paid job; raises only where another process has the job by now."""
        try:
            await self._ledger.call(self._in_order, step, *args, **values)
        except OwnershipLost:
            if self.state is JobState.SUBMITTED:
                raise
        except (StorageFailed, LedgerMisuse) as error:
            name = f"job {self.handle.request_id}" if self.handle else "a job"
            note = f"That {name} of {self._model.id} is {what} could not be recorded. {error}"
            if note not in self.notes:
                self.notes.append(note)
                _log.warning("%s", note)  # at once: this process may not live to tell it in the end

    async def _quietly(self, step: Callable[..., Any], *args: Any, **values: Any) -> None:
        """Record how a run ended; the error that ended it is the one to be told."""
        try:
            await self._ledger.call(self._in_order, step, *args, **values)
        except (RemoteUpscaleError, LedgerMisuse) as error:
            _log.warning("How job %s of %s ended could not be recorded. %s", self.job, self._model.id, error)

    def _in_order(self, step: Callable[..., Any], *args: Any, **values: Any) -> None:
        """Make a step; before it, whatever the ledger could not be told earlier: the id of a paid job."""
        if self._untold is not None and step != self._mark_submitted:
            with suppress(LedgerMisuse, OwnershipLost):  # it was told after all, or has moved on since
                self._mark_submitted(self.job)
        step(self.job, *args, **values)

    def _mark_submitted(self, job: str) -> None:
        handle = self._untold
        if handle is not None:
            self._ledger.sync.mark_submitted(job, handle)
            self._untold = None


def _facts(fetched: Fetched) -> dict[str, Any]:
    info = fetched.info
    return {"sha256": fetched.sha256, "bytes": info.bytes, "width": info.width, "height": info.height}
