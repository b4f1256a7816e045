"""Steps in the ledger that an interrupt may fall into."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

_Made = TypeVar("_Made")


async def unless_cancelled(do: Callable[[], _Made], undo: Callable[[_Made], object]) -> _Made:
    """Run a step in a thread; whoever is cancelled meanwhile waits for it, and undoes it.

    The thread cannot be stopped: what it makes would look as if somebody were at it, for as long as this
    process lives.

    Args:
        do: the step. Blocking.
        undo: is given what the step made. Blocking.
    """
    doing = asyncio.ensure_future(asyncio.to_thread(do))
    try:
        return await asyncio.shield(doing)
    except asyncio.CancelledError:
        await asyncio.wait([doing])
        if not doing.cancelled() and doing.exception() is None:
            await asyncio.to_thread(undo, doing.result())
        raise
