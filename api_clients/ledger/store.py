"""The ledger: every change is one short transaction, made and on disk before the call returns."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Collection
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, delete, func, insert, or_, select, update

from ..errors import InvalidParameter, Meaning, RemoteUpscaleError
from ..providers.base import Handle
from ..states import UNDER_WAY, JobState
from ..text import clean
from ..urls import split
from .database import Database, LedgerMisuse
from .history import History, row_of
from .owners import FileMarks, ServerMarks
from .rows import Intent, JobRow
from .schema import jobs
from .spending import Budget, spent
from .stored import StoredResults, strike_off_unneeded

_SENT = (JobState.SUBMITTING, JobState.SUBMITTED)
_NOTHING = Decimal(0)


class Ledger(History):
    """Every job ever asked for. Its methods block briefly and may be called from any thread.

    All methods raise ``InvalidParameter`` when the database cannot be used, and those that move a job raise
    ``LedgerMisuse`` when it cannot be moved so.

    Args:
        place: the SQLite file, or the SQLAlchemy URL of an SQLite file or a PostgreSQL database.
        patience: seconds to wait for other processes that are writing.

    Attributes:
        database: what it is kept in.
        stored: what is in the result store.
    """

    def __init__(self, place: Path | str, *, patience: float = 30.0) -> None:
        database = Database(place, patience=patience)
        file = database.file
        super().__init__(
            database, FileMarks(file.parent / "running") if file else ServerMarks(database.engine)
        )
        self.stored = StoredResults(database)
        self._last = 0
        try:
            self.settle()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the database. Jobs that are still under way count as left behind from now on."""
        self._marks.release()
        self.database.close()

    def enter(
        self,
        intent: Intent,
        *,
        budget: Budget | None = None,
        alone: bool = False,
        besides: Collection[str] = (),
    ) -> str | JobRow:
        """Record the intent to run a job, if there is money for it. Links are kept without their query.

        Args:
            intent: the job.
            budget: what may be spent; its cost is reserved from now on.
            alone: not where another job of the same identity has a result, or may come to one.
            besides: our ids of jobs of which that is known not to be so.

        Returns:
            Our id of the job; or the row of the other one.

        Raises:
            BudgetExceeded: there is no money for it, or its cost is unknown; nothing was recorded.
        """
        self.settle()
        owner = self._own()
        with self.database.transaction(exclusive=True) as connection:
            twin = self._twin(connection, intent, besides) if alone else None
            if twin is not None:
                return twin
            if budget is not None and not intent.sandbox:
                budget.check(intent, spent(connection, budget.since))
            return self._insert(connection, intent, owner)

    def submitting(self, job: str, *, link: str, most: int) -> bool:
        """To be called immediately before the submit is sent.

        Args:
            job: our id.
            link: SHA-256 of the link of the input, without its query.
            most: how many jobs of its account may be at the provider at once.

        Returns:
            Whether there is room for it; if not, nothing has changed.
        """
        account = select(jobs.c.account).where(jobs.c.id == job).scalar_subquery()
        others = jobs.alias()
        busy = select(func.count()).where(
            others.c.account == account, others.c.state.in_(_SENT), others.c.owner.is_not(None)
        )
        with self.database.transaction(exclusive=True) as connection:
            room = (connection.scalar(busy) or 0) < most
            if room:
                self._move(
                    connection,
                    job,
                    JobState.SUBMITTING,
                    since=[JobState.PREPARED],
                    link=link,
                    sent=_now(),
                )
        if not room:
            self.settle()  # places of processes that have ended become free
        return room

    def submitted(self, job: str, handle: Handle) -> None:
        """The provider took the job."""
        try:
            self._change(
                job,
                JobState.SUBMITTED,
                since=[JobState.SUBMITTING, JobState.UNKNOWN],
                request_id=handle.request_id,
                handle=handle,
                submitted=_now(),
                finished=None,
                error_kind=None,
                error_message=None,
            )
        except InvalidParameter as error:
            error.request_id = handle.request_id  # the job is paid for: its id must not get lost here
            raise

    def adopt(self, job: str, handle: Handle) -> bool:
        """The provider took a job after all; ``False`` where another job has that request id."""
        others = select(jobs.c.id).where(jobs.c.request_id == handle.request_id).limit(1)
        with self.database.transaction(exclusive=True) as connection:
            if connection.scalar(others) is not None:
                return False
            self._move(
                connection,
                job,
                JobState.SUBMITTED,
                since=[JobState.UNKNOWN],
                request_id=handle.request_id,
                handle=handle,
                submitted=_now(),
                finished=None,
                error_kind=None,
                error_message=None,
            )
        return True

    def kept(self, job: str, *, sha256: str, bytes: int, width: int, height: int) -> None:  # noqa: A002
        """The result is in the result store; also straight from a submit whose reply was the result."""
        self._change(
            job,
            JobState.STORED,
            since=[*_SENT, JobState.CANCELLED, JobState.STORED, JobState.COMPLETED],
            stored=_now(),
            result_sha256=sha256,
            result_bytes=bytes,
            width=width,
            height=height,
            error_kind=None,
            error_message=None,
        )

    def completed(
        self,
        job: str,
        *,
        path: Path | str,
        sha256: str,
        bytes: int,  # noqa: A002
        width: int,
        height: int,
    ) -> None:
        """The result was delivered to ``path``; also where the result store could not take it."""
        self._change(
            job,
            JobState.COMPLETED,
            since=[*_SENT, JobState.CANCELLED, JobState.STORED, JobState.COMPLETED],
            owner=None,
            finished=_now(),
            result_path=str(path),
            result_sha256=sha256,
            result_bytes=bytes,
            width=width,
            height=height,
            error_kind=None,
            error_message=None,
        )

    def failed(self, job: str, error: RemoteUpscaleError) -> None:
        """The job ended for good, without a result."""
        known = {"cost": _NOTHING} if error.meaning.not_accepted else {}
        since = [*UNDER_WAY, JobState.CANCELLED, JobState.UNKNOWN]
        self._change(job, JobState.FAILED, since=since, owner=None, finished=_now(), **_error(error), **known)

    def lost(self, job: str, error: RemoteUpscaleError) -> None:
        """The result was there once, and is nowhere to be had any more."""
        since = [JobState.STORED, JobState.COMPLETED]
        self._change(job, JobState.FAILED, since=since, owner=None, **_error(error))

    def interrupted(self, job: str, error: RemoteUpscaleError) -> None:
        """We stopped looking after a job that the provider has; it stays resumable."""
        since = [JobState.SUBMITTED, JobState.CANCELLED]
        self._change(job, JobState.SUBMITTED, since=since, owner=None, finished=None, **_error(error))

    def leave(self, job: str) -> None:
        """We stopped in the middle of fetching or delivering; it stays resumable."""
        with self.database.transaction() as connection:
            connection.execute(update(jobs).where(jobs.c.id == job).values(owner=None))

    def undelivered(self, job: str, error: RemoteUpscaleError) -> None:
        """The result is in the result store, but could not be put where it was meant to go."""
        self._change(job, JobState.STORED, since=[JobState.STORED], owner=None, **_error(error))

    def cancelled(self, job: str, note: str) -> None:
        """The user gave the job up. With a request id it stays resumable: the provider may finish it."""
        since = [JobState.PREPARED, JobState.SUBMITTED, JobState.CANCELLED]
        self._change(
            job, JobState.CANCELLED, since=since, owner=None, finished=_now(), note=clean(note, 1000)
        )

    def unknown(self, job: str, error: RemoteUpscaleError) -> None:
        """The submit was sent, but no answer tells whether the provider took it."""
        since = [JobState.SUBMITTING, JobState.UNKNOWN]
        self._change(job, JobState.UNKNOWN, since=since, owner=None, finished=_now(), **_error(error))

    def remark(self, job: str, note: str) -> None:
        """Put a note on a job, in place of an earlier one."""
        with self.database.transaction() as connection:
            connection.execute(update(jobs).where(jobs.c.id == job).values(note=clean(note, 1000)))

    def retract(self, job: str) -> None:
        """Remove a job of which nothing was sent: the caller knows that."""
        since = [JobState.PREPARED, JobState.SUBMITTING]
        with self.database.transaction() as connection:
            found = connection.execute(delete(jobs).where(jobs.c.id == job, jobs.c.state.in_(since)))
        if not found.rowcount:
            raise LedgerMisuse(f"Job {job} was sent, or there is none: it cannot be retracted.")

    def claim(self, job: str) -> bool:
        """Take over a job to resume it; ``False`` when another process is at it already, or it is over."""
        mine = self._own()
        with self.database.transaction() as connection:
            row = row_of(connection, jobs.c.id == job)
            if row is None or not row.resumable:
                return False
            if row.owner not in (None, mine) and self._marks.alive(row.owner, connection):
                return False
            same = jobs.c.owner.is_(None) if row.owner is None else jobs.c.owner == row.owner
            change = update(jobs).where(jobs.c.id == job, jobs.c.state == row.state, same)
            return connection.execute(change.values(owner=mine)).rowcount == 1

    def spent(self, since: datetime) -> Decimal:
        """Dollars of the jobs made since then that were, or may have been, charged."""
        with self.database.transaction(reading=True) as connection:
            return spent(connection, since)

    def forget(self, before: datetime) -> int:
        """Remove the jobs that are over and were made before that time, and say how many they were.

        What may still be fetched stays, and what may be charged although nobody knows.
        """
        over = [JobState.COMPLETED, JobState.FAILED]
        never_sent = (jobs.c.state == JobState.CANCELLED) & jobs.c.request_id.is_(None)
        old = delete(jobs).where(jobs.c.created < before, or_(jobs.c.state.in_(over), never_sent))
        with self.database.transaction(exclusive=True) as connection:
            removed = connection.execute(old).rowcount
            strike_off_unneeded(connection)
        return removed

    def _twin(self, connection: Connection, intent: Intent, besides: Collection[str]) -> JobRow | None:
        left = (jobs.c.state == JobState.CANCELLED) & jobs.c.request_id.is_not(None)
        return row_of(
            connection,
            jobs.c.identity == intent.identity,
            jobs.c.sandbox == intent.sandbox,
            jobs.c.id.not_in(besides),
            or_(left, jobs.c.state.in_([*UNDER_WAY, JobState.COMPLETED, JobState.UNKNOWN])),
        )

    def _insert(self, connection: Connection, intent: Intent, owner: str) -> str:
        job = self._new_id()
        connection.execute(
            insert(jobs).values(
                id=job,
                model=intent.model,
                digest=intent.digest,
                identity=intent.identity,
                parameters={name: bare(value) for name, value in intent.parameters.items()},
                source=bare(intent.source),
                destination=intent.destination,
                sandbox=intent.sandbox,
                cost=intent.cost,
                pixels=intent.pixels,
                account=intent.account,
                state=JobState.PREPARED,
                owner=owner,
                created=_now(),
            )
        )
        return job

    def _change(self, job: str, state: JobState, *, since: list[JobState], **values: Any) -> None:
        with self.database.transaction() as connection:
            self._move(connection, job, state, since=since, **values)

    def _move(
        self, connection: Connection, job: str, state: JobState, *, since: list[JobState], **values: Any
    ) -> None:
        """Change a job's state, but only if it is in one of the states ``since``."""
        change = update(jobs).where(jobs.c.id == job, jobs.c.state.in_(since)).values(state=state, **values)
        if connection.execute(change).rowcount:
            return
        now = connection.scalar(select(jobs.c.state).where(jobs.c.id == job))
        if (now, state) == (JobState.CANCELLED, JobState.SUBMITTING):
            # Another process could not see that this one lives: the server, or the network, had gone.
            raise InvalidParameter(
                f"The job ledger {self.database.title} was out of reach, and the job was given up meanwhile.",
                hint="Nothing was sent: run it again.",
                meaning=Meaning.NOT_SENT,
            )
        raise LedgerMisuse(f"Job {job} cannot become {state}: it is {now or 'not in the ledger'}.")

    def _own(self) -> str:
        with self.database.usable():
            return self._marks.take()

    def _new_id(self) -> str:
        """Microseconds since 1970 and ten random digits, in hexadecimal; never before the one before."""
        self._last = max(self._last + 1, time.time_ns() // 1000)
        return f"{self._last:014x}{secrets.token_hex(5)}"


def bare(value: Any) -> Any:
    """A link without its query and user info, which may hold a signature; anything else as it is."""
    parts = split(value) if isinstance(value, str) else None
    if parts is None:
        return value
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def link_digest(link: str) -> str:
    """What the ledger keeps of an input's link, so that it can be recognised."""
    return hashlib.sha256(str(bare(link)).encode()).hexdigest()


def _now() -> datetime:
    return datetime.now(UTC)


def _error(error: RemoteUpscaleError) -> dict[str, str]:
    return {"error_kind": error.kind.value, "error_message": clean(error.message, 1000)}
