"""Taking a job through the ledger, for the tests of the ledger and of what stands on it."""

from decimal import Decimal

from remote_upscale.api_clients.errors import ProviderFailed, SubmissionUnknown
from remote_upscale.api_clients.ledger import Claim, Intent
from remote_upscale.api_clients.providers.base import Handle

HANDLE = Handle("fal", "fal/seedvr2-image", "r-1", "https://queue.fal.run/a/requests/r-1/status", None, None)
STORED = {"sha256": "c" * 64, "bytes": 5_000_000_000, "width": 40, "height": 30}
RESULT = {"path": "/out/a.png", **STORED}

METHODS = {
    "take_place": lambda ledger, job: ledger.take_place(job, most=100),
    "mark_submitting": lambda ledger, job: ledger.mark_submitting(job, link="f" * 64),
    "mark_submitted": lambda ledger, job: ledger.mark_submitted(job, HANDLE),
    "mark_unknown": lambda ledger, job: ledger.mark_unknown(job, SubmissionUnknown("No answer.")),
    "adopt": lambda ledger, job: ledger.adopt(job, HANDLE),
    "mark_stored": lambda ledger, job: ledger.mark_stored(job, **STORED),
    "mark_completed": lambda ledger, job: ledger.mark_completed(job, **RESULT),
    "mark_failed": lambda ledger, job: ledger.mark_failed(job, ProviderFailed("No.")),
    "mark_lost": lambda ledger, job: ledger.mark_lost(job, ProviderFailed("No.")),
    "mark_cancelled": lambda ledger, job: ledger.mark_cancelled(job, "Stopped."),
    "release": lambda ledger, job: ledger.release(job),
    "delete_unsent": lambda ledger, job: ledger.delete_unsent(job),
    "claim": lambda ledger, job: ledger.claim(job),
    "claim by id": lambda ledger, job: ledger.claim(job, failed=True),
}
"""The methods that make transitions of one job."""

WAYS = {
    "prepared": [],
    "submitting": ["mark_submitting"],
    "submitted": ["mark_submitting", "mark_submitted"],
    "stored": ["mark_submitting", "mark_submitted", "mark_stored"],
    "completed": ["mark_submitting", "mark_submitted", "mark_stored", "mark_completed"],
    "failed": ["mark_submitting", "mark_submitted", "mark_failed"],
    "cancelled": ["mark_submitting", "mark_submitted", "mark_cancelled"],
    "submission_unknown": ["mark_submitting", "mark_unknown"],
}
"""The steps that lead to each state."""


def intent(**changes):
    values = {
        "model": "fal/seedvr2-image",
        "digest": "a" * 64,
        "identity": "b" * 64,
        "parameters": {"upscale_factor": 2, "words": ("x", "y")},
        "source": "photo.png",
        "destination": "/out/a.png",
        "sandbox": False,
        "cost": Decimal("0.001000001"),
        "account": "e" * 16,
    }
    return Intent(**(values | changes))


def prepare(ledger, **changes):
    """A job that is prepared; its id."""
    job = ledger.new_id()
    assert ledger.insert_pending(intent(**changes), job=job) is None
    return job


def submitted(ledger, **changes):
    return bring_to(ledger, "submitted", **changes)


def completed(ledger, path="/out/a.png", **changes):
    job = submitted(ledger, **changes)
    ledger.mark_completed(job, **RESULT | {"path": path})
    return job


def bring_to(ledger, state, **changes):
    job = prepare(ledger, **changes)
    for name in WAYS[state]:
        step(ledger, job, name)
    assert ledger.get(job).state == state
    return job


def step(ledger, job, name):
    """Make a transition that has to succeed."""
    assert METHODS[name](ledger, job) in (None, True, Claim.TAKEN)
