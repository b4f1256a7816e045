"""How a job comes into the ledger, and how many of an account may be under way."""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, func, insert, or_, select

from ..providers.base import Handle
from ..states import AT_PROVIDER, TRANSITIONS, UNDER_WAY, JobState
from .history import row_of
from .links import bare, bare_source
from .rows import Intent, JobRow
from .schema import jobs
from .steps import now

_ELSEWHERE = "It was ordered elsewhere and fetched by its request id."


def insert_job(connection: Connection, intent: Intent, job: str, owner: str, handle: Handle | None) -> None:
    """Make a job's row.

    Args:
        connection: in an exclusive transaction.
        intent: the job.
        job: our id.
        owner: this process.
        handle: the job at its provider, where it was ordered elsewhere.
    """
    name = "insert_pending" if handle is None else "insert_fetched"
    elsewhere: dict[str, Any] = {}
    if handle is not None:
        elsewhere = {"request_id": handle.request_id, "handle": handle, "submitted": now()}
        elsewhere |= {"cost": Decimal(0), "note": _ELSEWHERE}  # whoever ordered it pays for it
    values = {
        "id": job,
        "model": intent.model,
        "digest": intent.digest,
        "identity": intent.identity,
        "parameters": bare(intent.parameters),
        "source": bare_source(intent.source),
        "destination": intent.destination,
        "sandbox": intent.sandbox,
        "cost": intent.cost,
        "pixels": intent.pixels,
        "account": intent.account,
        "state": TRANSITIONS[name].target,
        "owner": owner,
        "created": now(),
    }
    connection.execute(insert(jobs).values(**values | elsewhere))


def duplicate_of(connection: Connection, intent: Intent, excluding: Collection[str]) -> JobRow | None:
    """The newest job of the same identity that has a result, may come to one, or may be charged."""
    may_be_finished = (jobs.c.state == JobState.CANCELLED) & jobs.c.request_id.is_not(None)
    return row_of(
        connection,
        jobs.c.identity == intent.identity,
        jobs.c.sandbox == intent.sandbox,
        jobs.c.id.not_in(excluding),
        or_(may_be_finished, jobs.c.state.in_([*UNDER_WAY, JobState.COMPLETED, JobState.UNKNOWN])),
    )


def has_room(connection: Connection, job: str, most: int) -> bool:
    """Whether fewer than ``most`` other jobs of a job's account are under way, or have a place for that."""
    account = select(jobs.c.account).where(jobs.c.id == job).scalar_subquery()
    others = jobs.alias()
    waiting = (others.c.state == JobState.PREPARED) & others.c.placed.is_not(None)
    taken = select(func.count()).where(
        others.c.account == account,
        others.c.id != job,
        others.c.owner.is_not(None),
        or_(others.c.state.in_(AT_PROVIDER), waiting),
    )
    return (connection.scalar(taken) or 0) < most
