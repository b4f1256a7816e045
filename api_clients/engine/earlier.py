"""What earlier jobs, and those of other processes, have for a job of the same identity.

Nothing is ordered here: a result that was paid for is taken, waited for, or fetched.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NoReturn

from ..errors import Meaning, NotFound, RemoteUpscaleError, ResultLost, SubmissionUnknown
from ..ledger import JobRow, JobState, Ledger
from .finding import Finder
from .job import Outcome, Stage
from .order import Errand
from .recovery import Busy, Recovery

_LOOKS_EVERY = 0.5
"""Seconds between two looks at a job that another process is at."""


class Earlier:
    """Answers jobs from what is there.

    Args:
        ledger: knows of all jobs.
        recovery: brings their results.
        finder: asks providers for jobs whose submit was never answered.
        sandbox: whether the jobs of the sandbox are meant, or the others.
    """

    def __init__(self, ledger: Ledger, recovery: Recovery, finder: Finder, *, sandbox: bool) -> None:
        self._ledger = ledger
        self._recovery = recovery
        self._finder = finder
        self._sandbox = sandbox

    async def answer(self, identity: str, errand: Errand, of_no_use: set[str]) -> Outcome | None:
        """The result of a job of that identity; ``None`` when one has to be ordered.

        Args:
            identity: of the job.
            errand: what it is about.
            of_no_use: our ids of jobs that have no result; those that turn out so are added.

        Raises:
            SubmissionUnknown: nobody knows whether it was ordered already.
            ResultLost: what was stored is damaged, and the provider has it no more.
            RemoteUpscaleError: there is one, but its result cannot be had now.
        """
        while True:
            rows = await asyncio.to_thread(self._ledger.same, identity, sandbox=self._sandbox)
            row = _most_useful([row for row in rows if row.id not in of_no_use])
            if row is None:
                return None
            if row.owner is not None and row.state is not JobState.COMPLETED:
                await self._let_it_end(row, errand)
                continue
            try:
                outcome = await self._use(row, errand)
            except Busy:
                continue
            if outcome is not None:
                return outcome
            of_no_use.add(row.id)

    async def _let_it_end(self, row: JobRow, errand: Errand) -> None:
        """Wait for the run that is at a job; its interrupt is not ours, nor ours its."""
        if self._ledger.is_mine(row) and not self._recovery.drives(row.id):
            await asyncio.to_thread(self._ledger.drop, row)  # the ledger could not be told how it ended
            return
        errand.tracker.tell(Stage.QUEUED, note="another run is at this very job")
        while True:
            await asyncio.sleep(_LOOKS_EVERY)
            now = await asyncio.to_thread(self._ledger.look, row.id)
            if now is None or now.owner != row.owner:
                return

    async def _use(self, row: JobRow, errand: Errand) -> Outcome | None:
        match row.state:
            case JobState.COMPLETED:
                return await self._recovery.again(row, errand)
            case JobState.UNKNOWN:
                found = await self._finder.find(row)
                if found is None and errand.job.order_unanswered:
                    return None
                return await self._take_up(found or _never_answered(row), errand)
            case _:
                return await self._take_up(row, errand)

    async def _take_up(self, row: JobRow, errand: Errand) -> Outcome | None:
        try:
            return await self._recovery.take_up(row, errand)
        except Busy:
            raise
        except RemoteUpscaleError as error:
            if row.state is not JobState.STORED and (
                error.meaning is Meaning.OVER or isinstance(error, (NotFound, ResultLost))
            ):
                return None  # it ended without a result, and is on record as failed
            raise


def _never_answered(row: JobRow) -> NoReturn:
    raise SubmissionUnknown(
        f"This very job was sent at {row.sent or row.created:%Y-%m-%d %H:%M} UTC and never answered; "
        "it may be charged.",
        hint="Look at the provider's history. To order it all the same, and perhaps pay twice, run it "
        "without reuse (`--no-reuse`; in ComfyUI, `order_unanswered` of the options on).",
    )


def _most_useful(rows: Sequence[JobRow]) -> JobRow | None:
    """The newest finished job, before one under way, one left behind, and one that nobody knows of."""
    ranks = [(_rank(row), index) for index, row in enumerate(rows) if _rank(row) is not None]
    return rows[min(ranks)[1]] if ranks else None


def _rank(row: JobRow) -> int | None:
    if row.state is JobState.COMPLETED:
        return 0
    if row.owner is not None:
        return 1
    if row.resumable:
        return 2
    return 3 if row.state is JobState.UNKNOWN else None
