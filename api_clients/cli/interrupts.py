"""Ctrl-C and termination: the first asks the work to stop in good order, the second ends the process."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine, Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import FrameType
from typing import Any

from .exits import INTERRUPTED, TERMINATED
from .output import tell

_STATUS = {signal.SIGINT: INTERRUPTED, signal.SIGTERM: TERMINATED}


_asides: list[Callable[[], AbstractContextManager[None]]] = []


@contextmanager
def beside(aside: Callable[[], AbstractContextManager[None]]) -> Generator[None]:
    """Within it, what is said about an interrupt is printed in an ``aside()`` of the display that is up."""
    _asides.append(aside)
    try:
        yield
    finally:
        _asides.pop()


def run_until_stopped(work: Callable[[], Coroutine[Any, Any, int]]) -> int:
    """Run ``work`` and return its exit status, or that of the signal which cancelled it."""
    stopped: list[int] = []
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        task = loop.create_task(work())

        def stop(number: int, _frame: FrameType | None) -> None:
            if stopped:
                sys.stdout.flush()
                os._exit(_STATUS[signal.Signals(number)])
            stopped.append(_STATUS[signal.Signals(number)])
            loop.call_soon_threadsafe(_cancel, task)

        with _Handlers(stop):
            try:
                status = loop.run_until_complete(task)
            except asyncio.CancelledError:
                status = INTERRUPTED
    return stopped[0] if stopped else status


def _cancel(task: asyncio.Task[int]) -> None:
    if task.cancel():
        with _asides[-1]() if _asides else nullcontext():
            tell("Stopping. Interrupt again to leave at once.")


class _Handlers:
    """Puts a signal handler in place for a while. Only the main thread may, so others do without."""

    def __init__(self, handler: Callable[[int, FrameType | None], None]) -> None:
        self._handler = handler
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._handler) for number in _STATUS}

    def __exit__(self, *exc_info: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
