"""Taking a job through the ledger, for the tests of the ledger and of what stands on it."""

from decimal import Decimal

from remote_upscale.api_clients.errors import ProviderFailed, SubmissionUnknown
from remote_upscale.api_clients.ledger import Intent
from remote_upscale.api_clients.providers.base import Handle

HANDLE = Handle("fal", "fal/seedvr2-image", "r-1", "https://queue.fal.run/a/requests/r-1/status", None, None)
KEPT = {"sha256": "c" * 64, "bytes": 5_000_000_000, "width": 40, "height": 30}
RESULT = {"path": "/out/a.png", **KEPT}

WAYS = {
    "prepared": [],
    "submitting": ["submitting"],
    "submitted": ["submitting", "submitted"],
    "stored": ["submitting", "submitted", "kept"],
    "completed": ["submitting", "submitted", "kept", "completed"],
    "failed": ["submitting", "submitted", "failed"],
    "submission_unknown": ["submitting", "unknown"],
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
        "cost": Decimal("0.00100000000000000001"),
        "account": "e" * 16,
    }
    return Intent(**(values | changes))


def prepare(ledger, **changes):
    return ledger.enter(intent(**changes))


def send(ledger, job):
    assert ledger.submitting(job, link="f" * 64, most=100)


def submitted(ledger, **changes):
    return bring_to(ledger, "submitted", **changes)


def completed(ledger, path="/out/a.png", **changes):
    job = submitted(ledger, **changes)
    ledger.completed(job, **RESULT | {"path": path})
    return job


def bring_to(ledger, state, **changes):
    job = prepare(ledger, **changes)
    for name in WAYS[state]:
        step(ledger, job, name)
    assert ledger.look(job).state == state
    return job


def step(ledger, job, name):
    match name:
        case "submitting":
            send(ledger, job)
        case "submitted":
            ledger.submitted(job, HANDLE)
        case "kept":
            ledger.kept(job, **KEPT)
        case "completed":
            ledger.completed(job, **RESULT)
        case "failed":
            ledger.failed(job, ProviderFailed("No."))
        case "lost":
            ledger.lost(job, ProviderFailed("No."))
        case "undelivered":
            ledger.undelivered(job, ProviderFailed("No."))
        case "unknown":
            ledger.unknown(job, SubmissionUnknown("No answer."))
        case "cancelled":
            ledger.cancelled(job, "Stopped.")
        case _:
            getattr(ledger, name)(job)
