"""The ledger: every change is one short transaction, made and on disk before the call returns."""

from __future__ import annotations

import secrets
import time
from collections.abc import Collection, Generator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from enum import Enum, auto
from pathlib import Path
from typing import Any

from sqlalchemy import func, select, update

from ..errors import Meaning, RemoteUpscaleError, StorageFailed
from ..providers.base import Handle
from ..states import JobState
from .database import Database
from .entering import duplicate_of, has_room, insert_job
from .errors import OwnershipLost
from .history import History, row_of
from .leases import FileLease
from .links import bare_text
from .rows import Intent, JobRow
from .schema import jobs
from .server_lease import ServerLease
from .spending import Budget, spent
from .steps import apply, make_all, now, try_to
from .stored import StoredResults, strike_off_unneeded


class Claim(Enum):
    """What became of an attempt to take up a job.

    ``TAKEN``: this process owns it now. ``BUSY``: another process is at it, or there is nothing to take up.
    ``FULL``: as many jobs of its account are under way as may be.
    """

    TAKEN = auto()
    BUSY = auto()
    FULL = auto()


class Ledger(History):
    """Every job ever asked for. Its methods block briefly and may be called from any thread.

    All methods raise ``StorageFailed`` when the database cannot be used. Those that move a job are the
    transitions of ``states.py``: they raise ``OwnershipLost`` where the job is not this process's any more,
    and ``LedgerMisuse`` where it is, but cannot be moved so.

    Args:
        place: the SQLite file, or the SQLAlchemy URL of an SQLite file or a PostgreSQL database.
        patience: seconds to wait for other processes that are writing, or for a server that is restarting.

    Attributes:
        database: what it is kept in.
        stored: what is in the result store.

    Raises:
        InvalidParameter: the address is none of a database that can hold the ledger.
    """

    def __init__(self, place: Path | str, *, patience: float = 30.0) -> None:
        database = Database(place, patience=patience)
        file = database.file
        super().__init__(
            database, FileLease(file.parent / "running") if file else ServerLease(database.engine)
        )
        self.stored = StoredResults(database)
        self._last = 0
        try:
            self.reap_dead_owners()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the database. Jobs that are still under way count as left behind from now on."""
        self._lease.release()
        self.database.close()

    def check(self) -> None:
        """See that jobs could be driven from here: that this process can show that it lives."""
        self._own()

    def new_id(self) -> str:
        """An id for a job that is to be inserted: microseconds since 1970 and ten random digits, hexadecimal.

        Ids sort by the time of their making, also where the clock was set back meanwhile.
        """
        self._last = max(self._last + 1, time.time_ns() // 1000)
        return f"{self._last:014x}{secrets.token_hex(5)}"

    def insert_pending(
        self,
        intent: Intent,
        *,
        job: str,
        budget: Budget | None = None,
        unless_exists: bool = False,
        excluding: Collection[str] = (),
    ) -> JobRow | None:
        """Record the intent to run a job, if there is money for it. Links are kept without what opens them.

        Args:
            intent: the job.
            job: our id for it, a new one; whoever made it drives the job already.
            budget: what may be spent; the job's cost is reserved from now on.
            unless_exists: not where another job of the same identity has a result, or may come to one.
            excluding: our ids of jobs of which that is known not to be so.

        Returns:
            The row of the other job, where there is one; nothing was recorded then.

        Raises:
            BudgetExceeded: there is no money for it, or its cost is unknown; nothing was recorded.
        """
        with _nothing_sent():
            owner = self._own()
            with self.database.transaction(exclusive=True) as connection:
                self._reap(connection)
                duplicate = duplicate_of(connection, intent, excluding) if unless_exists else None
                if duplicate is not None:
                    return duplicate
                if budget is not None and not intent.sandbox:
                    budget.check(intent, spent(connection, budget.since))
                insert_job(connection, intent, job, owner, None)
        return None

    def insert_fetched(self, intent: Intent, *, job: str, handle: Handle) -> JobRow | None:
        """Record a job that was ordered elsewhere, to fetch its result. It costs nothing here.

        Args:
            intent: the job, as far as it is known.
            job: our id for it, a new one; whoever made it drives the job already.
            handle: the job at its provider.

        Returns:
            The row of the job that has this id at the provider, where there is one; nothing was recorded.
        """
        owner = self._own()
        same = (jobs.c.request_id == handle.request_id, jobs.c.model == intent.model)
        with self.database.transaction(exclusive=True) as connection:
            self._reap(connection)
            known = row_of(connection, *same)
            if known is None:
                insert_job(connection, intent, job, owner, handle)
        return known

    def take_place(self, job: str, *, most: int) -> bool:
        """Take a place among the jobs of an account; to be called before the input is hosted.

        Args:
            job: our id.
            most: how many jobs of its account may be under way at once.

        Returns:
            Whether there was room for it; if not, nothing has changed.
        """
        with _nothing_sent(), self.database.transaction(exclusive=True) as connection:
            room = has_room(connection, job, most)
            if not room:
                self._reap(connection)  # places of processes that have ended become free
                room = has_room(connection, job, most)
            if room:
                apply(connection, job, self._lease.name, "take_place", placed=now())
            return room

    def mark_submitting(self, job: str, *, link: str) -> None:
        """To be called immediately before the submit is sent.

        Args:
            job: our id.
            link: SHA-256 of the link of the input, as ``link_digest`` makes it.
        """
        with _nothing_sent():
            self._apply(job, "mark_submitting", link=link, sent=now())

    def mark_submitted(self, job: str, handle: Handle) -> None:
        """The provider took the job. Where this process was thought dead meanwhile, it gets the job back."""
        try:
            self._apply(job, "mark_submitted", **_accepted(handle))
        except OwnershipLost as lost:
            if not self.adopt(job, handle):
                raise lost.but(request_id=handle.request_id) from None
        except StorageFailed as error:  # the job is paid for: its id must not get lost here
            raise error.but(request_id=handle.request_id) from None

    def adopt(self, job: str, handle: Handle) -> bool:
        """The provider took an unknown job after all; this process owns it from now on.

        Returns:
            ``False`` where another job has that request id; nothing has changed then.
        """
        others = select(jobs.c.id).where(jobs.c.request_id == handle.request_id).limit(1)
        try:
            owner = self._own()
            with self.database.transaction(exclusive=True) as connection:
                if connection.scalar(others) is not None:
                    return False
                apply(connection, job, owner, "adopt", **_accepted(handle))
        except (StorageFailed, OwnershipLost) as error:
            raise error.but(request_id=handle.request_id) from None
        return True

    def mark_unknown(self, job: str, error: RemoteUpscaleError) -> None:
        """The submit was sent, but no answer tells whether the provider took it. Its driver may still ask."""
        self._apply(job, "mark_unknown", finished=now(), **_error(error))

    def mark_stored(self, job: str, *, sha256: str, bytes: int, width: int, height: int) -> None:  # noqa: A002
        """The result is in the result store; also straight from a submit whose reply was the result."""
        facts = _facts(sha256, bytes, width, height)
        self._apply(job, "mark_stored", "renew", stored=now(), **facts)

    def mark_completed(
        self,
        job: str,
        *,
        path: Path | str | None,
        sha256: str,
        bytes: int,  # noqa: A002
        width: int,
        height: int,
    ) -> None:
        """The result was delivered to ``path``, or to the store alone, or past one that did not take it."""
        facts = _facts(sha256, bytes, width, height)
        place = {} if path is None else {"result_path": str(path)}
        first = func.coalesce(jobs.c.finished, now())  # what is delivered once more was done before
        self._apply(job, "mark_completed", "renew", finished=first, **place, **facts)

    def mark_failed(self, job: str, error: RemoteUpscaleError, *, charged: bool = True) -> None:
        """The job ended for good, without a result.

        Args:
            job: our id.
            error: what happened.
            charged: whether it may cost something all the same.
        """
        cost = {} if charged else {"cost": Decimal(0)}
        self._apply(job, "mark_failed", finished=now(), **_error(error), **cost)

    def mark_lost(self, job: str, error: RemoteUpscaleError) -> None:
        """The result was there once, and is nowhere to be had any more."""
        self._apply(job, "mark_lost", **_error(error))

    def mark_cancelled(self, job: str, note: str) -> None:
        """The user gave the job up. With a request id it can be claimed: the provider may finish it."""
        self._apply(job, "mark_cancelled", "cancel_unsent", finished=now(), note=bare_text(note))

    def release(self, job: str, error: RemoteUpscaleError | None = None) -> None:
        """Leave a job that the provider has, or may have, or whose result is stored, to whoever resumes it.

        Args:
            job: our id.
            error: why; recorded with it.
        """
        self._apply(job, "release", **({} if error is None else _error(error)))

    def delete_unsent(self, job: str) -> None:
        """Remove a job of which nothing was sent. One that never came into the ledger is fine."""
        with self.database.transaction() as connection:
            if connection.scalar(select(jobs.c.id).where(jobs.c.id == job)) is not None:
                apply(connection, job, self._lease.name, "delete_unsent")

    def set_note(self, job: str, note: str) -> None:
        """Put a note on a job, in place of an earlier one."""
        with self.database.transaction() as connection:
            connection.execute(update(jobs).where(jobs.c.id == job).values(note=bare_text(note)))

    def claim(self, job: str, *, most: int | None = None, failed: bool = False) -> Claim:
        """Take up a job to bring its result; one that was given up is under way again.

        Args:
            job: our id.
            most: how many jobs of its account may be under way at once; ``None`` for any number.
            failed: also where it had ended without a result, as a person asks for it by its id.
        """
        owner = self._own()
        names = ("claim", "claim_cancelled", *(("claim_failed",) if failed else ()))
        with self.database.transaction(exclusive=most is not None) as connection:
            self._reap(connection)
            row = row_of(connection, jobs.c.id == job, jobs.c.owner.is_(None) | (jobs.c.owner == owner))
            at_provider = row is not None and row.state is not JobState.STORED
            if most is not None and at_provider and not has_room(connection, job, most):
                return Claim.FULL
            taken = try_to(connection, job, owner, *names)
        return Claim.TAKEN if taken else Claim.BUSY

    def spent(self, since: datetime) -> Decimal:
        """Dollars of the jobs made since then that were or may have been charged, or are about to be sent."""
        with self.database.transaction(reading=True) as connection:
            return spent(connection, since)

    def purge(self, before: datetime) -> int:
        """Remove the jobs that are over and were made before that time, and say how many they were.

        What may still be fetched stays, and what may be charged although nobody knows.
        """
        old = jobs.c.created < before
        with self.database.transaction(exclusive=True) as connection:
            removed = sum(make_all(connection, name, old) for name in ("purge", "purge_cancelled"))
            strike_off_unneeded(connection)
        return removed

    def _apply(self, job: str, *names: str, **values: Any) -> None:
        with self.database.transaction() as connection:
            apply(connection, job, self._lease.name, *names, **values)

    def _own(self) -> str:
        with self.database.usable():
            return self._lease.take()


@contextmanager
def _nothing_sent() -> Generator[None]:
    """What goes wrong before the submit costs nothing."""
    try:
        yield
    except OwnershipLost as error:
        raise error.but(hint="Nothing was sent: run it again.", meaning=Meaning.NOT_SENT) from None
    except StorageFailed as error:
        raise error.but(meaning=Meaning.NOT_SENT) from None


def _accepted(handle: Handle) -> dict[str, Any]:
    return {"request_id": handle.request_id, "handle": handle, "submitted": now()}


def _facts(sha256: str, size: int, width: int, height: int) -> dict[str, Any]:
    return {"result_sha256": sha256, "result_bytes": size, "width": width, "height": height}


def _error(error: RemoteUpscaleError) -> dict[str, str]:
    return {"error_kind": error.kind.value, "error_message": bare_text(error.message)}
