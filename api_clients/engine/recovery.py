"""Bringing the results of jobs that were ordered before."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from decimal import Decimal
from functools import partial
from typing import Protocol

from ..errors import BadResponse, Meaning, NotFound, RemoteUpscaleError, ResultLost
from ..ledger import JobRow, JobState, Ledger
from ..providers.base import Handle, Queued
from .job import Outcome
from .order import Errand
from .outcomes import fetched_outcome, stored_outcome
from .undoing import unless_cancelled
from .vault import Found, Vault
from .work import Work


class MakeWork(Protocol):
    """Makes the work on a job of the ledger."""

    def __call__(
        self, row: str, errand: Errand, *, resumed: bool = False, delivered: bool = False
    ) -> Work: ...


class Recovery:
    """Brings results that are paid for, and knows which jobs this process is at.

    Args:
        ledger: where the jobs are.
        vault: where their results are.
        work: makes the work on one of them.
    """

    def __init__(self, ledger: Ledger, vault: Vault, work: MakeWork) -> None:
        self._ledger = ledger
        self._vault = vault
        self._work = work
        self._driven: set[str] = set()

    @contextmanager
    def driving(self, job: str) -> Generator[None]:
        """While this process is at a job."""
        self._driven.add(job)
        try:
            yield
        finally:
            self._driven.discard(job)

    def drives(self, job: str) -> bool:
        """Whether this process is at a job."""
        return job in self._driven

    async def take_up(self, row: JobRow, errand: Errand) -> Outcome:
        """Bring the result of a job that was left behind, or that is stored but not delivered.

        Raises:
            RemoteUpscaleError: it cannot be had; its meaning tells whether it ever can.
            Busy: another process is at it.
        """
        if not await unless_cancelled(partial(self._ledger.claim, row.id), partial(self._let_go, row.id)):
            raise Busy("Another process is at this job already.", request_id=row.request_id)
        with self.driving(row.id):
            if row.state is JobState.STORED:
                return await self._deliver(row, errand)
            work = self._work(row.id, errand, resumed=True)
            fetched = await work.see_through(_handle(row, work), Queued(), hint=0.0)
            return fetched_outcome(
                errand, work, fetched, request_id=row.request_id, cost=Decimal(0), reused=True
            )

    def _let_go(self, job: str, claimed: bool) -> None:
        if claimed:
            self._ledger.leave(job)

    async def _deliver(self, row: JobRow, errand: Errand) -> Outcome:
        try:
            outcome = await self.again(row, errand)
        except (RemoteUpscaleError, asyncio.CancelledError):
            await asyncio.to_thread(self._ledger.leave, row.id)
            raise
        assert outcome is not None  # what was never delivered is an error instead
        return outcome

    async def again(self, row: JobRow, errand: Errand) -> Outcome | None:
        """Bring the result of a finished job: stored, delivered before, or still at the provider.

        Returns:
            ``None`` when it was delivered once, and is not kept any more.

        Raises:
            ResultLost: it was never delivered, or what is stored is damaged, and the provider has it no more.
            RemoteUpscaleError: it cannot be had now.
        """
        found = await self._vault.give(row, errand.wanted.destination)
        if found is Found.HERE:
            outcome = stored_outcome(errand, row)
        else:
            outcome = await self._fetch_again(row, errand)
        if outcome is None and (found is Found.DAMAGED or row.state is JobState.STORED):
            lost = ResultLost(
                "The stored result is damaged or gone, and the provider has it no more.",
                hint="A new run orders it again.",
                request_id=row.request_id,
                meaning=Meaning.OVER,
            )
            await asyncio.to_thread(self._ledger.lost, row.id, lost)
            raise lost
        if found is Found.HERE and row.state is JobState.STORED:
            await asyncio.to_thread(self._delivered, row, errand)
        return outcome

    def _delivered(self, row: JobRow, errand: Errand) -> None:
        self._ledger.completed(
            row.id,
            path=errand.wanted.destination.absolute(),
            sha256=row.result_sha256 or "",
            bytes=row.result_bytes or 0,
            width=row.width or 0,
            height=row.height or 0,
        )

    async def _fetch_again(self, row: JobRow, errand: Errand) -> Outcome | None:
        """Fetch a result once more, where the provider still has it."""
        if row.handle is None or row.sandbox:  # an embedded sandbox is gone with its process
            return None
        work = self._work(row.id, errand, resumed=True, delivered=True)
        try:
            fetched = await work.see_through(_handle(row, work), Queued(), hint=0.0)
        except RemoteUpscaleError as error:
            if error.meaning is Meaning.OVER or isinstance(error, (NotFound, ResultLost, BadResponse)):
                return None
            raise
        return fetched_outcome(errand, work, fetched, request_id=row.request_id, cost=Decimal(0), reused=True)


class Busy(NotFound):
    """Another process is at the job."""


def _handle(row: JobRow, work: Work) -> Handle:
    """The job's handle; built anew where the provider's root has moved since."""
    provider = work.channel.provider
    if row.handle is None or provider.under_root(row.handle.status_url) is None:
        return provider.handle(work.model, row.request_id or "")
    return row.handle
