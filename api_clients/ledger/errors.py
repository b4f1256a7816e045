"""What can go wrong with a job's record, besides a database that cannot be used (``StorageFailed``)."""

from __future__ import annotations

from ..errors import Kind, Meaning, RemoteUpscaleError


class LedgerMisuse(AssertionError):
    """A job was moved to a state that it cannot come to from where it is: a mistake in the program."""


class OwnershipLost(RemoteUpscaleError):
    """This process does not own the job any more, so nothing was changed.

    Another one could not see that this one lives, as the server or the network had gone, and took the job.
    """

    kind = Kind.NOT_FOUND
    usual_meaning = Meaning.RESUMABLE
