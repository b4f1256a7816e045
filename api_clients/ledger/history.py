"""Reading the ledger."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterable
from contextlib import contextmanager
from dataclasses import fields
from datetime import datetime
from statistics import median
from typing import Any

from sqlalchemy import Connection, Select, or_, select

from ..states import OWNED, JobState
from .database import Database
from .leases import OwnerLease
from .links import bare_source
from .rows import JobRow
from .schema import jobs
from .steps import reap

_COLUMNS = [jobs.c[spec.name] for spec in fields(JobRow)]
_LATEST = 50
"""Jobs of a model that are looked at for how long the next one takes, whatever the size of the ledger."""
_ALIKE = 1.5
"""How many times as much there may be to do in a job that counts as alike."""


class History:
    """The jobs as they stand. Whoever looks first gives those of ended processes the state they were left in.

    Args:
        database: where they are.
        lease: this process's; tells which others live.
    """

    def __init__(self, database: Database, lease: OwnerLease) -> None:
        self.database = database
        self._lease = lease

    def get(self, job: str) -> JobRow | None:
        """A job as it is now."""
        with self._settled() as connection:
            return row_of(connection, jobs.c.id == job)

    def by_identity(self, identity: str, *, sandbox: bool) -> list[JobRow]:
        """The jobs of an identity, newest first."""
        same = (jobs.c.identity == identity) & (jobs.c.sandbox == sandbox)
        return self._rows(select(*_COLUMNS).where(same).order_by(jobs.c.id.desc()))

    def by_request_id(self, model: str, request_id: str) -> JobRow | None:
        """The job that has this id at its provider."""
        with self._settled() as connection:
            return row_of(connection, jobs.c.request_id == request_id, jobs.c.model == model)

    def jobs(
        self,
        *,
        limit: int | None = None,
        states: Iterable[JobState] | None = None,
        model: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[JobRow]:
        """The jobs that meet all the conditions, newest first.

        Args:
            limit: the most.
            states: those they are in.
            model: its id.
            since: when they were made, at the earliest.
            until: before which they were made.
        """
        query = select(*_COLUMNS).order_by(jobs.c.id.desc()).limit(limit)
        if states is not None:
            query = query.where(jobs.c.state.in_(list(states)))
        if model is not None:
            query = query.where(jobs.c.model == model)
        if since is not None:
            query = query.where(jobs.c.created >= since)
        if until is not None:
            query = query.where(jobs.c.created < until)
        return self._rows(query)

    def resumable(self, *, sandbox: bool) -> list[JobRow]:
        """Jobs with something to fetch or to deliver that no other process is at; oldest first."""
        sent = jobs.c.state.in_([JobState.SUBMITTED, JobState.CANCELLED]) & jobs.c.request_id.is_not(None)
        return self._rows(
            select(*_COLUMNS)
            .where(
                or_(sent, jobs.c.state == JobState.STORED),
                jobs.c.sandbox == sandbox,
                or_(jobs.c.owner.is_(None), jobs.c.owner == self._lease.name),
            )
            .order_by(jobs.c.id)
        )

    def with_results(self, sources: Collection[str], results: Collection[str]) -> list[JobRow]:
        """The jobs that have come to a result, of any of these inputs or with any of these results.

        Args:
            sources: absolute paths of files, and links.
            results: SHA-256 of results.
        """
        known = [bare_source(source) for source in sources]
        chosen = or_(jobs.c.source.in_(known), jobs.c.result_sha256.in_(results))
        return self._rows(select(*_COLUMNS).where(jobs.c.result_sha256.is_not(None), chosen))

    def usual_seconds(self, model: str, pixels: int, *, sandbox: bool) -> float | None:
        """How long the provider takes for such a job, from submit to having been fetched.

        It is the median of the latest jobs of the model with about as many pixels that went through without
        an interrupt; ``None`` where there is none.

        Args:
            model: its id.
            pixels: of the result, over all frames.
            sandbox: whether jobs of the sandbox are meant, or the others.
        """
        latest = (
            select(jobs.c.pixels, jobs.c.submitted, jobs.c.finished, jobs.c.note)
            .where(jobs.c.model == model, jobs.c.sandbox == sandbox, jobs.c.state == JobState.COMPLETED)
            .order_by(jobs.c.id.desc())
            .limit(_LATEST)
        )
        with self.database.transaction(reading=True) as connection:
            rows = connection.execute(latest).all()
        seconds = [
            (row.finished - row.submitted).total_seconds()
            for row in rows
            if row.pixels is not None and pixels / _ALIKE <= row.pixels <= pixels * _ALIKE
            if row.note is None and row.submitted and row.finished
        ]
        return median(seconds) if seconds else None

    def reap_dead_owners(self) -> None:
        """Give the jobs of processes that have ended the state that their end left them in."""
        with self._settled():
            pass

    @contextmanager
    def _settled(self) -> Generator[Connection]:
        """A transaction for reading, in which no job belongs to a process that has ended."""
        with self.database.transaction(reading=True) as connection:
            if not self._dead(connection):
                yield connection
                return
        with self.database.transaction() as connection:
            self._reap(connection)
        with self.database.transaction(reading=True) as connection:
            yield connection

    def _reap(self, connection: Connection) -> None:
        dead = self._dead(connection)
        if dead:
            reap(connection, jobs.c.owner.in_(dead))
            self._lease.strike_off(dead, connection)

    def _dead(self, connection: Connection) -> list[str]:
        """The owners of jobs that have ended."""
        owned = jobs.c.state.in_(OWNED) & jobs.c.owner.is_not(None)
        owners = map(str, connection.scalars(select(jobs.c.owner).where(owned).distinct()).all())
        return [owner for owner in owners if not self._lease.alive(owner, connection)]

    def release_stale(self, row: JobRow) -> None:
        """Treat a job as one that its process has left, although the process lives."""
        with self.database.transaction() as connection:
            reap(connection, (jobs.c.id == row.id) & (jobs.c.owner == row.owner))

    def owns(self, row: JobRow) -> bool:
        """Whether this process owned the job when the row was read."""
        return row.owner == self._lease.name

    def _rows(self, query: Select[Any]) -> list[JobRow]:
        with self._settled() as connection:
            return [JobRow(**row) for row in connection.execute(query).mappings()]


def row_of(connection: Connection, *conditions: Any) -> JobRow | None:
    """The newest job that meets all the conditions."""
    query = select(*_COLUMNS).where(*conditions).order_by(jobs.c.id.desc()).limit(1)
    row = connection.execute(query).mappings().one_or_none()
    return JobRow(**row) if row else None
