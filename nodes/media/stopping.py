"""Long conversions that stop when nobody waits for them any more."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import ParamSpec, TypeVar

_Given = ParamSpec("_Given")
_Result = TypeVar("_Result")

_given_up: ContextVar[threading.Event | None] = ContextVar("remote_upscale_given_up", default=None)


class GivenUp(Exception):
    """Nobody waits for the result any more."""


def go_on() -> None:
    """To be called for every frame: goes on, or not.

    Raises:
        GivenUp: who waited for it was cancelled.
    """
    event = _given_up.get()
    if event is not None and event.is_set():
        raise GivenUp


async def in_thread(
    function: Callable[_Given, _Result], *args: _Given.args, **kwargs: _Given.kwargs
) -> _Result:
    """Like ``asyncio.to_thread``; when the caller is cancelled, the function ends at its next ``go_on``."""
    event = threading.Event()
    before = _given_up.set(event)  # threads get a copy of the context
    try:
        return await asyncio.to_thread(function, *args, **kwargs)
    except asyncio.CancelledError:
        event.set()
        raise
    finally:
        _given_up.reset(before)
