"""What can become of a job that a fault of the sandbox strikes: the words of the table in ``fault_cells.py``.

Each function below makes a row of the table, and its name is the row's outcome.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto

from faults import Action
from remote_upscale.api_clients.sandbox import Delays

PIXAZO, APIXO, FAL = "pixazo/crystal-image", "apixo/image-upscaler", "fal/seedvr2-image"
"""A model of each provider. Only fal can be asked for a job whose submit was not answered, or cancel one."""

SEVERAL = -1
"""In place of a number of submits: as many as there is time for, and more than one."""

INTERRUPTED = "interrupted"
"""In place of an error's kind: the user gave the job up."""

AT_ONCE, LONG = Delays(queue=0, run=0), Delays(queue=600, run=600)
BRIEF = Delays(queue=0, run=0.05)
"""So short that it is no wait, but long enough that a submit does not wait for the job."""


class Later(Enum):
    """What ``resume``, and a plain run, come to once the fault is over."""

    HERE = auto()
    """Nothing is left to resume; the run takes the result that is here."""
    FETCHED = auto()
    """Either brings the result of the first run's job, where needed after asking the provider for it."""
    ORDERED = auto()
    """Nothing is left to resume; the run orders a second job, as the first one came to nothing."""
    UNKNOWN = auto()
    """Nothing can be resumed; the run refuses, as the first job may be charged."""
    GONE = auto()
    """``resume`` finds that the job was cancelled; the run orders a second one."""
    STUCK = auto()
    """Either fails as the first run did, as it is the provider's job that is bad. Nothing is ordered."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One fault, and what it comes to.

    Attributes:
        model: that of the job.
        action: the fault.
        times: how often it strikes; ``None`` for ever.
        delays: how long the provider's jobs take.
        kind: of the error that the run ends with; ``None`` where it succeeds all the same.
        submits: requests to submit that the run sends, or ``SEVERAL``.
        charged: jobs that the provider charges for.
        state: of the job in the ledger after the run; ``None`` where it is not there.
        later: what becomes of it once the fault is over.
    """

    model: str
    action: Action
    times: int | None = 1
    delays: Delays = AT_ONCE
    kind: str | None
    submits: int = 1
    charged: int = 1
    state: str | None
    later: Later


def done(model: str, action: Action, *, times: int | None = 1, submits: int = 1) -> Row:
    """It succeeds all the same, and is charged once."""
    return Row(
        model=model,
        action=action,
        times=times,
        kind=None,
        submits=submits,
        state="completed",
        later=Later.HERE,
    )


def refused(model: str, action: Action, kind: str, *, times: int | None = 1, submits: int = 1) -> Row:
    """The provider does not take it, and charges nothing."""
    return replace(ended(model, action, kind, charged=0), times=times, submits=submits)


def ended(model: str, action: Action, kind: str, *, charged: int = 1) -> Row:
    """It ends at the provider without a result."""
    return Row(model=model, action=action, kind=kind, charged=charged, state="failed", later=Later.ORDERED)


def unsent(model: str, action: Action, kind: str) -> Row:
    """The fault stays, and the run fails before anything is ordered. No trace is left."""
    return Row(
        model=model,
        action=action,
        times=None,
        kind=kind,
        submits=0,
        charged=0,
        state=None,
        later=Later.ORDERED,
    )


def unknown(model: str, action: Action, *, charged: int = 1) -> Row:
    """Nobody can tell whether it was taken: the provider cannot be asked, or does not know of it."""
    return Row(
        model=model,
        action=action,
        kind="submission_unknown",
        charged=charged,
        state="submission_unknown",
        later=Later.UNKNOWN,
    )


def unheard(action: Action) -> Row:
    """It was taken by fal, and the reply was lost. As the fault stays, fal cannot be asked for it now."""
    return replace(unknown(FAL, action), times=None, later=Later.FETCHED)


def left(model: str, action: Action, kind: str) -> Row:
    """The provider has it, and the fault stays: the job is left behind, to be resumed."""
    return Row(model=model, action=action, times=None, kind=kind, state="submitted", later=Later.FETCHED)


def stuck(model: str, action: Action, kind: str, *, delays: Delays = AT_ONCE) -> Row:
    """The job itself is bad at the provider, and stays so."""
    return replace(left(model, action, kind), times=1, delays=delays, later=Later.STUCK)


def given_up(action: Action, *, cancelled: bool, told: bool) -> Row:
    """The user interrupts a job at fal while it runs.

    Args:
        action: the fault.
        cancelled: fal cancels the job.
        told: fal's reply says so, whether or not it is true.
    """
    return Row(
        model=FAL,
        action=action,
        times=None,
        delays=LONG,
        kind=INTERRUPTED,
        state="cancelled" if told else "submitted",
        later=Later.GONE if cancelled else Later.FETCHED,
    )


@dataclass(frozen=True, kw_only=True)
class Check:
    """A fault that ``remote-upscale check`` meets, and the kind of its error; ``None`` where all is well."""

    action: Action
    kind: str | None
