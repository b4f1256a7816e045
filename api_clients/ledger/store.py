"""The ledger: every change is one short transaction, made and on disk before the call returns."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import fields
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, and_, delete, insert, or_, select, update
from sqlalchemy.exc import SQLAlchemyError

from ..errors import InvalidParameter, Kind, RemoteUpscaleError
from ..protocol import Handle
from ..text import clean
from ..urls import split
from .database import connect
from .owners import Owner, alive
from .rows import JobRow, JobState
from .schema import jobs

_COLUMNS = [jobs.c[spec.name] for spec in fields(JobRow)]
_NOT_SENT = "The process ended before anything was sent."
_NOT_ANSWERED = (
    "The process ended after the job was sent and before the provider answered; it may be charged."
)


class LedgerMisuse(AssertionError):
    """A job was moved to a state that it cannot come to from where it is: a mistake in the program."""


class Ledger:
    """Every job ever asked for. Its methods block briefly and may be called from any thread.

    Use ``open``. All methods raise ``InvalidParameter`` when the database cannot be used, and those that move
    a job raise ``LedgerMisuse`` when it cannot be moved so.
    """

    def __init__(self, engine: Engine, path: Path) -> None:
        self.path = path
        self._engine = engine
        self._lock = threading.Lock()
        self._marks = path.parent / "running"
        self._mark: Owner | None = None
        self._last = 0
        self._closed = False

    @classmethod
    def open(cls, path: Path, *, patience: float = 30.0) -> Ledger:
        """Open the ledger, making its folder and tables where they are missing.

        Args:
            path: the SQLite file.
            patience: seconds to wait for other processes that are writing.

        Raises:
            InvalidParameter: it cannot be read or written, or a newer release made it.
        """
        with _usable(path):
            ledger = cls(connect(path, patience), path)
        ledger._settle()
        return ledger

    def close(self) -> None:
        """Close the database. Jobs that are still under way count as left behind from now on."""
        with self._lock:
            self._closed = True
            self._engine.dispose()
            if self._mark is not None:
                self._mark.release()
                self._mark = None

    def prepare(
        self,
        *,
        model: str,
        digest: str,
        identity: str,
        parameters: Mapping[str, Any],
        source: str,
        destination: str,
        sandbox: bool,
        cost: Decimal | None,
    ) -> str:
        """Record the intent to run a job and return our id for it. Links are kept without their query."""
        with self._transaction() as database:
            job = self._new_id()
            database.execute(
                insert(jobs).values(
                    id=job,
                    model=model,
                    digest=digest,
                    identity=identity,
                    parameters={name: _bare(value) for name, value in parameters.items()},
                    source=_bare(source),
                    destination=destination,
                    sandbox=sandbox,
                    cost=cost,
                    state=JobState.PREPARED,
                    owner=self._owner(),
                    created=_now(),
                )
            )
        return job

    def submitting(self, job: str) -> None:
        """To be called immediately before the submit is sent."""
        self._move(job, JobState.SUBMITTING, since=[JobState.PREPARED])

    def submitted(self, job: str, handle: Handle) -> None:
        """The provider took the job."""
        try:
            self._move(
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
        """The result is on disk at ``path``; also straight from a submit whose reply was the result."""
        self._move(
            job,
            JobState.COMPLETED,
            since=[JobState.SUBMITTING, JobState.SUBMITTED, JobState.CANCELLED],
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
        since = [JobState.PREPARED, JobState.SUBMITTING, JobState.SUBMITTED, JobState.CANCELLED]
        self._move(job, JobState.FAILED, since=since, owner=None, finished=_now(), **_error(error))

    def interrupted(self, job: str, error: RemoteUpscaleError) -> None:
        """We stopped looking after a job that the provider has; it stays resumable."""
        since = [JobState.SUBMITTED, JobState.CANCELLED]
        self._move(job, JobState.SUBMITTED, since=since, owner=None, finished=None, **_error(error))

    def cancelled(self, job: str, note: str) -> None:
        """The user gave the job up. With a request id it stays resumable: the provider may finish it."""
        since = [JobState.PREPARED, JobState.SUBMITTED, JobState.CANCELLED]
        self._move(job, JobState.CANCELLED, since=since, owner=None, finished=_now(), note=clean(note, 1000))

    def unknown(self, job: str, error: RemoteUpscaleError) -> None:
        """The submit was sent, but no answer tells whether the provider took it."""
        since = [JobState.SUBMITTING]
        self._move(job, JobState.UNKNOWN, since=since, owner=None, finished=_now(), **_error(error))

    def abandon(self, job: str) -> None:
        """Remove a job of which nothing was sent."""
        with self._transaction() as database:
            found = database.execute(delete(jobs).where(jobs.c.id == job, jobs.c.state == JobState.PREPARED))
        if not found.rowcount:
            raise LedgerMisuse(f"Job {job} was sent, or there is none: it cannot be abandoned.")

    def claim(self, job: str) -> bool:
        """Take over a job to resume it; ``False`` when another process is at it already."""
        with self._transaction() as database:
            owner = database.scalar(select(jobs.c.owner).where(jobs.c.id == job))
            mine = self._owner()
            if owner not in (None, mine) and alive(self._marks, str(owner)):
                return False
            same = jobs.c.owner.is_(None) if owner is None else jobs.c.owner == owner
            return (
                database.execute(update(jobs).where(jobs.c.id == job, same).values(owner=mine)).rowcount == 1
            )

    def jobs(self, *, limit: int | None = None, states: Iterable[JobState] | None = None) -> list[JobRow]:
        """The jobs, newest first."""
        self._settle()
        query = select(*_COLUMNS).order_by(jobs.c.id.desc()).limit(limit)
        if states is not None:
            query = query.where(jobs.c.state.in_(list(states)))
        return self._rows(query)

    def resumable(self, *, sandbox: bool) -> list[JobRow]:
        """Jobs that the provider has, that are not on disk, and that no other process is at; oldest first."""
        self._settle()
        return self._rows(
            select(*_COLUMNS)
            .where(
                jobs.c.state.in_([JobState.SUBMITTED, JobState.CANCELLED]),
                jobs.c.request_id.is_not(None),
                jobs.c.sandbox == sandbox,
                or_(jobs.c.owner.is_(None), jobs.c.owner == (self._mark and self._mark.name)),
            )
            .order_by(jobs.c.id)
        )

    def finished(self, identity: str, *, sandbox: bool) -> JobRow | None:
        """The newest completed job of this identity."""
        same = and_(jobs.c.identity == identity, jobs.c.sandbox == sandbox)
        done = jobs.c.state == JobState.COMPLETED
        rows = self._rows(select(*_COLUMNS).where(same, done).order_by(jobs.c.id.desc()).limit(1))
        return rows[0] if rows else None

    def _rows(self, query: Any) -> list[JobRow]:
        with self._transaction() as database:
            return [JobRow(**row) for row in database.execute(query).mappings()]

    def _move(self, job: str, state: JobState, *, since: list[JobState], **values: Any) -> None:
        """Change a job's state, but only if it is in one of the states ``since``."""
        change = update(jobs).where(jobs.c.id == job, jobs.c.state.in_(since)).values(state=state, **values)
        with self._transaction() as database:
            if database.execute(change).rowcount:
                return
            now = database.scalar(select(jobs.c.state).where(jobs.c.id == job))
        raise LedgerMisuse(f"Job {job} cannot become {state}: it is {now or 'not in the ledger'}.")

    def _settle(self) -> None:
        """Give the jobs of processes that have ended the state that their end left them in."""
        under_way = jobs.c.state.in_([JobState.PREPARED, JobState.SUBMITTING, JobState.SUBMITTED])
        with self._transaction() as database:
            owners = database.scalars(
                select(jobs.c.owner).where(under_way, jobs.c.owner.is_not(None)).distinct()
            )
            mine = self._mark and self._mark.name
            dead = [owner for owner in owners if owner != mine and not alive(self._marks, owner)]
            if not dead:
                return
            left = update(jobs).where(jobs.c.owner.in_(dead)).values(owner=None)
            database.execute(
                left.where(jobs.c.state == JobState.PREPARED).values(
                    state=JobState.CANCELLED, note=_NOT_SENT, finished=_now()
                )
            )
            database.execute(
                left.where(jobs.c.state == JobState.SUBMITTING).values(
                    state=JobState.UNKNOWN,
                    finished=_now(),
                    error_kind=Kind.SUBMISSION_UNKNOWN.value,
                    error_message=_NOT_ANSWERED,
                )
            )
            database.execute(left)

    def _owner(self) -> str:
        if self._mark is None:
            self._mark = Owner(self._marks)
        return self._mark.name

    def _new_id(self) -> str:
        """Microseconds since 1970 and ten random digits, in hexadecimal; never before the one before."""
        self._last = max(self._last + 1, time.time_ns() // 1000)
        return f"{self._last:014x}{secrets.token_hex(5)}"

    @contextmanager
    def _transaction(self) -> Generator[Connection]:
        with self._lock, _usable(self.path):
            if self._closed:
                raise LedgerMisuse("The ledger is closed.")
            with self._engine.begin() as database:
                yield database


@contextmanager
def _usable(path: Path) -> Generator[None]:
    """Turn what a database or a disk can do to us into one clear error."""
    try:
        yield
    except (SQLAlchemyError, OSError, ValueError) as error:
        cause = getattr(error, "orig", None) or error
        if isinstance(cause, OSError):
            cause = cause.strerror or cause
        raise InvalidParameter(
            f"The job ledger {path} cannot be used: {clean(cause)}.",
            hint="Make it writable, or set REMOTE_UPSCALE_HOME to another folder.",
        ) from None


def _now() -> datetime:
    return datetime.now(UTC)


def _error(error: RemoteUpscaleError) -> dict[str, str]:
    return {"error_kind": error.kind.value, "error_message": clean(error.message, 1000)}


def _bare(value: Any) -> Any:
    """A link without its query and user info, which may hold a signature; anything else as it is."""
    parts = split(value) if isinstance(value, str) else None
    if parts is None:
        return value
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
