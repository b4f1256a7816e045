"""When to ask a provider for a job's status. Pure: times in, a wait out."""

from __future__ import annotations

import random
from dataclasses import dataclass

LONGEST_WAIT = 10.0
"""Seconds between two requests at most; the providers' pages recommend 5 to 10 s."""

GROWTH = 0.2
"""A wait is this share of the time since the submit, so a result is found at most 20 % late."""


@dataclass(frozen=True)
class Schedule:
    """Asks first when the job can plausibly be done, then ever less often.

    Attributes:
        first: seconds from the submit to the first request.
        floor: seconds between two requests, at least.
    """

    first: float
    floor: float

    def before_first(self, retry_after: float | None) -> float:
        """Seconds from the submit to the first request; ``retry_after`` as its reply asked."""
        return self.first if retry_after is None else retry_after

    def before_next(self, elapsed: float, retry_after: float | None = None) -> float:
        """Seconds to the next request, ``elapsed`` seconds after the submit.

        A little is added at random so that jobs submitted together do not ask together.
        """
        wait = min(max(self.floor, GROWTH * elapsed), max(self.floor, LONGEST_WAIT))
        return max(wait * random.uniform(1.0, 1.1), retry_after or 0.0)  # noqa: S311 (no secret)
