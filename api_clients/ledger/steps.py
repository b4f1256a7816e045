"""Making the transitions of ``states.py``: state and owner are checked in the statement that changes them."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, select, update

from ..errors import Kind
from ..states import TRANSITIONS, By, JobState, Transition, by_reaper
from .errors import LedgerMisuse, OwnershipLost
from .schema import jobs

_NOT_SENT = "The process ended before anything was sent."
_NOT_ANSWERED = (
    "The process ended after the job was sent and before the provider answered; it may be charged."
)


def apply(connection: Connection, job: str, owner: str, *names: str, **values: Any) -> None:
    """Make the first of some transitions that the job's state allows.

    Args:
        connection: in a transaction.
        job: our id.
        owner: this process.
        *names: of the transitions.
        **values: what to record with it.

    Raises:
        OwnershipLost: the job belongs to another process, or to none and was moved by another.
        LedgerMisuse: it is this process's, but in no state for that; or there is no such job.
    """
    if not any(_make(connection, TRANSITIONS[name], jobs.c.id == job, owner, values) for name in names):
        _refuse(connection, job, owner, names[0])


def try_to(connection: Connection, job: str, owner: str, *names: str) -> bool:
    """The same, but say whether it could be done."""
    return any(_make(connection, TRANSITIONS[name], jobs.c.id == job, owner, {}) for name in names)


def make_all(connection: Connection, name: str, which: ColumnElement[bool]) -> int:
    """Make a transition of all jobs that are meant and in a state for it; how many those were."""
    return _make(connection, TRANSITIONS[name], which, None, {})


def reap(connection: Connection, which: ColumnElement[bool]) -> None:
    """Give jobs the state that the end of their process left them in; ``which`` says whose they are."""
    for step in by_reaper():
        _make(connection, step, which, None, _found_by_reaper(step))


def _found_by_reaper(step: Transition) -> dict[str, Any]:
    match step.target:
        case JobState.CANCELLED:
            return {"note": _NOT_SENT, "finished": now()}
        case JobState.UNKNOWN:
            error = {"error_kind": Kind.SUBMISSION_UNKNOWN.value, "error_message": _NOT_ANSWERED}
            return {"finished": now(), **error}
        case _:
            return {}


def _make(
    connection: Connection,
    step: Transition,
    which: ColumnElement[bool],
    owner: str | None,
    values: dict[str, Any],
) -> int:
    found = [which, jobs.c.state.in_(step.sources), *_conditions(step, owner)]
    if step.removes:
        return connection.execute(delete(jobs).where(*found)).rowcount
    changes = dict.fromkeys(step.clears) | values
    if step.target is not None:
        changes["state"] = step.target
    if step.by is By.CLAIMER:
        changes["owner"] = owner
    if step.frees:
        changes["cost"] = Decimal(0)
    return connection.execute(update(jobs).where(*found).values(**changes)).rowcount


def _conditions(step: Transition, owner: str | None) -> list[ColumnElement[bool]]:
    """Whose the job must be, and whether it must have an id."""
    conditions: list[ColumnElement[bool]] = []
    match step.by:
        case By.DRIVER:
            conditions.append(jobs.c.owner == owner)
        case By.CLAIMER | By.ANYONE:
            nobody = jobs.c.owner.is_(None)
            conditions.append(nobody if owner is None else nobody | (jobs.c.owner == owner))
        case By.REAPER:
            conditions.append(jobs.c.owner.is_not(None))
    if step.request_id is not None:
        conditions.append(jobs.c.request_id.is_not(None) if step.request_id else jobs.c.request_id.is_(None))
    return conditions


def _refuse(connection: Connection, job: str, owner: str, name: str) -> None:
    found = connection.execute(select(jobs.c.state, jobs.c.owner).where(jobs.c.id == job)).one_or_none()
    if found is None:
        raise LedgerMisuse(f"There is no job {job} in the ledger: {name} cannot be recorded.")
    if found.owner == owner:
        raise LedgerMisuse(f"Job {job} is {found.state}: {name} cannot be recorded.")
    raise OwnershipLost(
        f"The job is not this run's any more, and {found.state.value} now: the ledger was out of reach for a "
        "while, or another process took the job over.",
        hint="The same run again, or `remote-upscale resume`, brings its result.",
    )


def now() -> datetime:
    """The time that changes are recorded with."""
    return datetime.now(UTC)
