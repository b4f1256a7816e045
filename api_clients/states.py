"""The states of a job, and the one table of how it comes from one to another.

The ledger's conditions, the tables in ``ARCHITECTURE.md`` and the tests of the ledger are derived from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class JobState(StrEnum):
    """How far a job has come. ``IF_LEFT`` says what a crash in each of them means.

    ``PREPARED``: nothing was sent. ``SUBMITTING``: the submit is on its way. ``SUBMITTED``: the provider has
    it under ``request_id``, so it can be resumed. ``STORED``: the result is in the result store, but not yet
    where it was meant to go. ``COMPLETED``: the result was delivered. ``FAILED``: it ended without a result.
    ``CANCELLED``: given up by the user; if it has a ``request_id`` the provider may finish it all the same.
    ``UNKNOWN``: the submit was sent but never answered, so it may be charged.
    """

    PREPARED = "prepared"
    SUBMITTING = "submitting"
    SUBMITTED = "submitted"
    STORED = "stored"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "submission_unknown"


class By(StrEnum):
    """Who may make a transition; the ledger checks it in the statement that makes it.

    ``DRIVER``: the process that owns the job, and no other. ``CLAIMER``: any process, where none owns the job
    or it does so itself; it owns the job from then on. ``ANYONE``: the same, without coming to own the job.
    ``REAPER``: any process, once the one that owns the job has ended, or that one itself when it has left it.
    """

    DRIVER = "driver"
    CLAIMER = "claimer"
    ANYONE = "anyone"
    REAPER = "reaper"


@dataclass(frozen=True, kw_only=True)
class Transition:
    """One way from a state to another.

    Attributes:
        name: what it is called; most are methods of the ledger.
        sources: the states that it starts from; none where it makes the job's row.
        target: the state that it leads to; ``None`` where the state stays as it is.
        by: who may make it.
        meaning: what it records, as a clause.
        clears: the columns that become empty; ``owner`` among them means that nobody drives the job any more.
        frees: it is certain that nothing is charged, so its cost becomes 0.
        request_id: whether the job must have one, or must have none; ``None`` where that makes no difference.
        removes: the row goes.
    """

    name: str
    sources: tuple[JobState, ...]
    target: JobState | None
    by: By
    meaning: str
    clears: tuple[str, ...] = ()
    frees: bool = False
    request_id: bool | None = None
    removes: bool = False


_ERROR = ("error_kind", "error_message")

_TABLE = (
    Transition(
        name="insert_pending",
        sources=(),
        target=JobState.PREPARED,
        by=By.CLAIMER,
        meaning="a job is going to be ordered, and its money is reserved",
    ),
    Transition(
        name="insert_fetched",
        sources=(),
        target=JobState.SUBMITTED,
        by=By.CLAIMER,
        meaning="a job that was ordered elsewhere is to be fetched",
    ),
    Transition(
        name="take_place",
        sources=(JobState.PREPARED,),
        target=None,
        by=By.DRIVER,
        meaning="it has a place among the jobs that its account may have under way",
    ),
    Transition(
        name="mark_submitting",
        sources=(JobState.PREPARED,),
        target=JobState.SUBMITTING,
        by=By.DRIVER,
        meaning="the submit is about to be sent",
    ),
    Transition(
        name="mark_submitted",
        sources=(JobState.SUBMITTING, JobState.UNKNOWN),
        target=JobState.SUBMITTED,
        by=By.DRIVER,
        meaning="the provider took it",
        clears=("finished", *_ERROR),
    ),
    Transition(
        name="mark_unknown",
        sources=(JobState.SUBMITTING, JobState.UNKNOWN),
        target=JobState.UNKNOWN,
        by=By.DRIVER,
        meaning="nothing tells whether the provider took it; its driver still asks",
    ),
    Transition(
        name="adopt",
        sources=(JobState.UNKNOWN,),
        target=JobState.SUBMITTED,
        by=By.CLAIMER,
        meaning="it was found at the provider after all",
        clears=("finished", *_ERROR),
    ),
    Transition(
        name="mark_stored",
        sources=(JobState.SUBMITTING, JobState.SUBMITTED, JobState.STORED),
        target=JobState.STORED,
        by=By.DRIVER,
        meaning="the result is in the result store",
        clears=_ERROR,
    ),
    Transition(
        name="mark_completed",
        sources=(JobState.SUBMITTING, JobState.SUBMITTED, JobState.STORED),
        target=JobState.COMPLETED,
        by=By.DRIVER,
        meaning="the result was delivered",
        clears=("owner", *_ERROR),
    ),
    Transition(
        name="renew",
        sources=(JobState.COMPLETED,),
        target=None,
        by=By.ANYONE,
        meaning="the result was fetched, stored or delivered once more",
        clears=_ERROR,
    ),
    Transition(
        name="mark_failed",
        sources=(JobState.PREPARED, JobState.SUBMITTING, JobState.SUBMITTED, JobState.UNKNOWN),
        target=JobState.FAILED,
        by=By.DRIVER,
        meaning="it ended for good, without a result",
        clears=("owner",),
    ),
    Transition(
        name="mark_lost",
        sources=(JobState.STORED, JobState.COMPLETED),
        target=JobState.FAILED,
        by=By.ANYONE,
        meaning="the result was there once, and is nowhere to be had any more",
        clears=("owner",),
    ),
    Transition(
        name="mark_cancelled",
        sources=(JobState.SUBMITTED,),
        target=JobState.CANCELLED,
        by=By.DRIVER,
        meaning="the user gave it up; the provider may finish it all the same",
        clears=("owner",),
    ),
    Transition(
        name="cancel_unsent",
        sources=(JobState.PREPARED,),
        target=JobState.CANCELLED,
        by=By.DRIVER,
        meaning="the user gave it up before anything was sent",
        clears=("owner",),
        frees=True,
    ),
    Transition(
        name="release",
        sources=(JobState.SUBMITTED, JobState.STORED, JobState.UNKNOWN),
        target=None,
        by=By.DRIVER,
        meaning="its driver leaves it to whoever resumes it",
        clears=("owner",),
    ),
    Transition(
        name="delete_unsent",
        sources=(JobState.PREPARED,),
        target=None,
        by=By.DRIVER,
        meaning="it is not ordered after all",
        removes=True,
    ),
    Transition(
        name="claim",
        sources=(JobState.SUBMITTED, JobState.STORED),
        target=None,
        by=By.CLAIMER,
        meaning="a process takes it up",
    ),
    Transition(
        name="claim_cancelled",
        sources=(JobState.CANCELLED,),
        target=JobState.SUBMITTED,
        by=By.CLAIMER,
        meaning="a process takes it up although it was given up, as the provider may have finished it",
        clears=("finished",),
        request_id=True,
    ),
    Transition(
        name="claim_failed",
        sources=(JobState.FAILED,),
        target=JobState.SUBMITTED,
        by=By.CLAIMER,
        meaning="a person asks for it by its request id, although it had ended",
        clears=("finished",),
        request_id=True,
    ),
    Transition(
        name="reap_prepared",
        sources=(JobState.PREPARED,),
        target=JobState.CANCELLED,
        by=By.REAPER,
        meaning="its process ended before anything was sent",
        clears=("owner",),
        frees=True,
    ),
    Transition(
        name="reap_submitting",
        sources=(JobState.SUBMITTING,),
        target=JobState.UNKNOWN,
        by=By.REAPER,
        meaning="its process ended between the submit and its answer",
        clears=("owner",),
    ),
    Transition(
        name="reap_left",
        sources=(JobState.SUBMITTED, JobState.STORED, JobState.UNKNOWN),
        target=None,
        by=By.REAPER,
        meaning="its process ended, and left something to fetch, to deliver or to ask for",
        clears=("owner",),
    ),
    Transition(
        name="purge",
        sources=(JobState.COMPLETED, JobState.FAILED),
        target=None,
        by=By.ANYONE,
        meaning="it is over, and old",
        removes=True,
    ),
    Transition(
        name="purge_cancelled",
        sources=(JobState.CANCELLED,),
        target=None,
        by=By.ANYONE,
        meaning="it was never sent, and is old",
        request_id=False,
        removes=True,
    ),
)

TRANSITIONS: Mapping[str, Transition] = MappingProxyType({step.name: step for step in _TABLE})
"""Every transition there is, by its name. A note may be put on a job in any state, which is none."""


def by_reaper() -> tuple[Transition, ...]:
    """What may become of the jobs of a process that has ended; one for each state that is owned."""
    return tuple(step for step in _TABLE if step.by is By.REAPER)


OWNED = tuple(state for step in by_reaper() for state in step.sources)
"""States in which a process may own a job."""

UNDER_WAY = (JobState.PREPARED, JobState.SUBMITTING, JobState.SUBMITTED, JobState.STORED)
"""States of jobs that some process drives, or drove when it ended, and that may come to a result."""

AT_PROVIDER = (JobState.SUBMITTING, JobState.SUBMITTED)
"""States of jobs that take one of the places that an account has at its provider."""

CHARGED = (JobState.SUBMITTING, JobState.STORED, JobState.COMPLETED, JobState.UNKNOWN)
"""States in which a job may have cost something, whether or not its request id is known."""


@dataclass(frozen=True)
class Left:
    """What a crash while a job is in a state means, and what takes the job up; as clauses."""

    meaning: str
    taken_up_by: str


IF_LEFT: Mapping[JobState, Left] = MappingProxyType(
    {
        JobState.PREPARED: Left(
            "nothing was sent", "nobody: it becomes `cancelled`, and its money is free again"
        ),
        JobState.SUBMITTING: Left(
            "it may have been accepted", "it becomes `submission_unknown` and is taken up like one"
        ),
        JobState.SUBMITTED: Left("the provider has it", "the same run again, or `resume`: wait and fetch"),
        JobState.STORED: Left("the result is kept", "the same run again, or `resume`: deliver"),
        JobState.COMPLETED: Left("it is done", "nothing is left to do"),
        JobState.FAILED: Left("it is over", "nothing is left to do"),
        JobState.CANCELLED: Left(
            "given up; with a request id the provider may have finished it",
            "with a request id as `submitted`, else nothing is left to do",
        ),
        JobState.UNKNOWN: Left(
            "it may be charged, and nobody knows",
            "the provider is asked for it, where it can be asked; else a person decides (`--no-reuse`)",
        ),
    }
)
"""What each state leaves to do."""
