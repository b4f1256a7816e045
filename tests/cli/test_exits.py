"""Exit statuses: 2 and 3 only where nothing was sent."""

import pytest
from remote_upscale.api_clients.cli import exits
from remote_upscale.api_clients.errors import (
    AuthenticationFailed,
    HostingFailed,
    InvalidInput,
    InvalidParameter,
    Meaning,
    NotFound,
    StorageFailed,
)

BAD = InvalidParameter("x")
REFUSED = InvalidParameter("x", meaning=Meaning.REFUSED)
STATUSES = {
    "an unusable parameter": (BAD, 2),
    "a parameter that the provider refused": (REFUSED, 1),
    "a parameter that ended a job": (InvalidParameter("x", meaning=Meaning.OVER), 1),
    "no key": (AuthenticationFailed("x", meaning=Meaning.NOT_SENT), 3),
    "a key that the provider refused": (AuthenticationFailed("x"), 1),
    "no hosting": (HostingFailed("x"), 3),
    "an input that the provider could not fetch": (HostingFailed("x", meaning=Meaning.OVER), 1),
    "an unusable input": (InvalidInput("x"), 1),
    "an unknown job": (NotFound("x"), 1),
    "an unreachable ledger": (StorageFailed("x"), 1),
    "an unreachable ledger before anything was sent": (StorageFailed("x", meaning=Meaning.NOT_SENT), 1),
}


@pytest.mark.parametrize(("error", "status"), STATUSES.values(), ids=STATUSES)
def test_the_status_of_an_error(error, status):
    assert exits.of_error(error) == status


@pytest.mark.parametrize(
    ("errors", "status"),
    [
        ([], 0),
        ([None, None], 0),
        ([BAD, BAD], 2),
        ([BAD, REFUSED], 1),
        ([BAD, None], 1),
        ([REFUSED], 1),
        ([None, InvalidInput("x")], 1),
    ],
)
def test_the_status_of_many_inputs(errors, status):
    assert exits.of_inputs(errors) == status
