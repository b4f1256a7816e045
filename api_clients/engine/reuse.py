"""What exists already for a job: finished, running elsewhere, left behind, or never answered.

Nothing is ordered here: a result that was paid for is taken, waited for, or fetched.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NoReturn

from ..errors import Meaning, NotFound, RemoteUpscaleError, ResultLost, SubmissionUnknown
from ..http import InUse
from ..ledger import JobRow, JobState
from .job import Outcome, Stage
from .prepare import PreparedJob
from .progress import ProgressReporter
from .reconcile import reconcile
from .run import Busy, JobRun
from .services import Services

_LOOKS_EVERY = 0.5
"""Seconds between two looks at a job that another run is at."""


async def find_existing(
    prepared: PreparedJob, services: Services, reporter: ProgressReporter, excluding: set[str]
) -> Outcome | None:
    """The result of a job of the same identity; ``None`` when one has to be ordered.

    Args:
        prepared: the job.
        services: the ledger, the result store, and what results are fetched with.
        reporter: is told of the progress.
        excluding: our ids of jobs that have no result; those that turn out so are added.

    Raises:
        SubmissionUnknown: nobody knows whether it was ordered already.
        ResultLost: what was stored is damaged, and the provider has it no more.
        RemoteUpscaleError: there is one, but its result cannot be had now.
    """
    ledger = services.ledger
    while True:
        rows = await ledger.call(
            ledger.sync.by_identity, prepared.identity, sandbox=services.settings.sandbox
        )
        row = _most_useful([row for row in rows if row.id not in excluding])
        if row is None:
            return None
        if row.owner is not None and row.state is not JobState.COMPLETED:
            await _let_it_end(row, services, reporter)
            continue
        try:
            outcome = await _use(row, prepared, services, reporter)
        except Busy:
            await asyncio.sleep(_LOOKS_EVERY)
            continue
        except InUse:  # another run fetches this very result, and is not to be disturbed
            await asyncio.sleep(_LOOKS_EVERY)
            continue
        if outcome is not None:
            return outcome
        excluding.add(row.id)


async def _let_it_end(row: JobRow, services: Services, reporter: ProgressReporter) -> None:
    """Wait for the run that is at a job; its interrupt is not ours, nor ours its."""
    ledger = services.ledger
    if ledger.sync.owns(row) and row.id not in services.driven:
        await ledger.call(ledger.sync.release_stale, row)  # the ledger could not be told how it ended
        return
    reporter.report(Stage.QUEUED, note="waiting for an earlier job with the same content")
    while True:
        await asyncio.sleep(_LOOKS_EVERY)
        now = await ledger.call(ledger.sync.get, row.id)
        if now is None or now.owner != row.owner:
            return


async def _use(
    row: JobRow, prepared: PreparedJob, services: Services, reporter: ProgressReporter
) -> Outcome | None:
    job = prepared.job

    def run(of: JobRow) -> JobRun:
        return JobRun(services, job.model, of.id, prepared.spec, reporter, time_limit=job.time_limit)

    match row.state:
        case JobState.COMPLETED:
            return await run(row).redeliver(row)
        case JobState.UNKNOWN:
            found = await reconcile(row, services)
            if found is None and job.order_unanswered:
                return None
            return await _resume(run(row), found or _never_answered(row))
        case _:
            return await _resume(run(row), row)


async def _resume(run: JobRun, row: JobRow) -> Outcome | None:
    try:
        return await run.resume(row)
    except Busy:
        raise
    except RemoteUpscaleError as error:
        over = error.meaning is Meaning.OVER or isinstance(error, (NotFound, ResultLost))
        if over and row.state is not JobState.STORED:
            return None  # it ended without a result, and is on record as failed
        raise


def _never_answered(row: JobRow) -> NoReturn:
    raise SubmissionUnknown(
        f"This very job was sent at {row.sent or row.created:%Y-%m-%d %H:%M} UTC and never answered; "
        "it may be charged.",
        hint="Look at the provider's history. To order it all the same, and perhaps pay twice, run it "
        "without reuse (`--no-reuse`; in ComfyUI, turn on `order_unanswered` of the run options).",
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
