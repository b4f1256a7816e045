"""Trying again after failures that pass, within a total time: the one retry loop of the project."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import AsyncIterator, Callable

import stamina

from ..errors import Meaning, RemoteUpscaleError
from ..settings import TimeLimits

_FIRST_WAIT = 0.25
_LONGEST_WAIT = 15.0
_JITTER = 0.5
_MOST_DOUBLINGS = 16


class RetryBudget:
    """The time that trying one thing again may take, and the attempts at it.

        budget = RetryBudget(settings.time)
        async for attempt in budget:
            with attempt:
                return await http.download(url, partial, max_bytes=…, budget=budget)

    The wait between two attempts is what the error's ``retry_after`` says, else longer each time with jitter.
    Where it would end after the budget, the error comes through instead, ``retry_after`` included, so that a
    caller who can wait longer knows how long. Each loop begins with a whole budget, and so does ``renew``.

    Args:
        limits: ``retry`` is used, in seconds.
        submit: for what must not happen twice: try again only what certainly was not accepted.
        floor: seconds between two attempts, at least.
    """

    def __init__(self, limits: TimeLimits, *, submit: bool = False, floor: float = _FIRST_WAIT) -> None:
        self._seconds = limits.retry
        self._submit = submit
        self._floor = floor
        self._furthest = 0
        self.renew()

    def __aiter__(self) -> AsyncIterator[stamina.Attempt]:
        self.renew()
        return aiter(stamina.retry_context(on=self._wait_after, attempts=None, timeout=None))

    def renew(self) -> None:
        """Begin anew, with the whole time and the shortest wait: something got through."""
        self._until = time.monotonic() + self._seconds
        self._failures = 0

    def transfer(self) -> Callable[[int], None]:
        """What one attempt at a transfer calls with its position, in bytes, whenever bytes went through.

        A position that no attempt got to before renews the budget. What has to be transferred once more
        neither renews nor uses it, so that a connection which always breaks at one place is given up.
        """
        last = time.monotonic()

        def reached(position: int) -> None:
            nonlocal last
            now = time.monotonic()
            if position > self._furthest:
                self._furthest = position
                self.renew()
            else:
                self._until += now - last
            last = now

        return reached

    def _wait_after(self, error: Exception) -> bool | float:
        """Seconds to wait before another attempt, or ``False`` where the error comes through."""
        if not isinstance(error, RemoteUpscaleError) or not error.meaning.retryable:
            return False
        if self._submit and error.meaning is not Meaning.TRY_AGAIN:
            return False
        wait = self._next_wait() if error.retry_after is None else self._asked_wait(error.retry_after)
        return wait if time.monotonic() + wait < self._until else False

    def _next_wait(self) -> float:
        wait = self._floor * 2 ** min(self._failures, _MOST_DOUBLINGS)
        self._failures += 1
        return max(self._floor, min(wait * random.uniform(1, 1 + _JITTER), _LONGEST_WAIT))  # noqa: S311

    def _asked_wait(self, seconds: float) -> float:
        # Many jobs are told the same number at the same moment: spread them a little.
        return max(self._floor, seconds) * random.uniform(1, 1.1)  # noqa: S311


def _not_ours(record: logging.LogRecord) -> bool:
    """Drops stamina's warning for each retry, which ComfyUI's console would show for any passing hiccup."""
    name = str(getattr(record, "stamina.caused_by", "")).partition("(")[0]
    return name not in _names(RemoteUpscaleError)


def _names(kind: type[RemoteUpscaleError]) -> set[str]:
    return {kind.__name__}.union(*(_names(below) for below in kind.__subclasses__()))


logging.getLogger("stamina").addFilter(_not_ours)
