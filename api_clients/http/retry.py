"""Trying again after failures that pass, within a total time."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import AsyncIterator

import stamina

from ..errors import Meaning, RemoteUpscaleError
from ..settings import TimeLimits

_FIRST_WAIT = 0.25
_LONGEST_WAIT = 15.0
_JITTER = 0.5


def _not_ours(record: logging.LogRecord) -> bool:
    """Drops stamina's warning for each retry, which ComfyUI's console would show for any passing hiccup."""
    name = str(getattr(record, "stamina.caused_by", "")).partition("(")[0]
    return name not in {kind.__name__ for kind in RemoteUpscaleError.__subclasses__()}


logging.getLogger("stamina").addFilter(_not_ours)


def retrying(
    limits: TimeLimits, *, submit: bool = False, floor: float = _FIRST_WAIT
) -> AsyncIterator[stamina.Attempt]:
    """Attempts for one thing to do; the last failure comes through when time is up.

        async for attempt in retrying(settings.time):
            with attempt:
                reply = await http.call(…)

    Waits as long as the error's ``retry_after`` says, else longer each time with jitter. Gives up where that
    would take more than ``limits.retry`` seconds from now.

    Args:
        limits: ``retry`` is used.
        submit: for what must not happen twice: try again only what certainly was not accepted.
        floor: seconds between two attempts, at least.
    """
    until = time.monotonic() + limits.retry

    def again(error: Exception) -> bool | float:
        if not isinstance(error, RemoteUpscaleError) or not error.meaning.retryable:
            return False
        if submit and error.meaning is not Meaning.TRY_AGAIN:
            return False
        if error.retry_after is None:
            return True
        # Many jobs are told the same number at the same moment: spread them a little.
        wait = max(floor, error.retry_after) * random.uniform(1, 1.1)  # noqa: S311
        return wait if time.monotonic() + wait < until else False

    return aiter(
        stamina.retry_context(
            on=again,
            attempts=None,
            timeout=limits.retry,
            wait_initial=floor,
            wait_max=_LONGEST_WAIT,
            wait_jitter=_JITTER,
        )
    )
