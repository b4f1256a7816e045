"""Working ahead in threads, with the results in order and a bound on how many there are."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import cv2

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_MOST_THREADS = 8


def available_threads() -> int:
    """How many threads of this process can work at once, but not more than 8."""
    affinity = getattr(os, "sched_getaffinity", None)
    counted = len(affinity(0)) if affinity else os.cpu_count()
    return min(_MOST_THREADS, counted or 1)


def in_order(
    function: Callable[[_Item], _Result], items: Iterable[_Item], *, threads: int, ahead: int
) -> Generator[_Result, None, None]:
    """What ``function`` gives for each item, in the items' order. Blocking.

    The work on further items goes on while the caller is busy with a result. A caller that stops early leaves
    nothing running behind it.

    Args:
        function: called in threads; what it raises is raised here when its turn comes.
        items: taken one by one as there is room.
        threads: how many calls run at once; with one thread and nothing ahead no thread is started.
        ahead: how many results may be under way or waiting besides the one that is being used.
    """
    if threads == 1 and not ahead:
        yield from map(function, items)
        return
    pool = ThreadPoolExecutor(threads)
    running: deque[Future[_Result]] = deque()
    try:
        for item in items:
            running.append(pool.submit(function, item))
            if len(running) > ahead:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


class _SingleThreaded:
    """Counts those who want OpenCV to work in their thread alone: its number of threads is the process's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._before = 1

    def enter(self) -> None:
        with self._lock:
            if not self._users:
                self._before = cv2.getNumThreads()
                cv2.setNumThreads(1)
            self._users += 1

    def leave(self) -> None:
        with self._lock:
            self._users -= 1
            if not self._users and cv2.getNumThreads() == 1:
                cv2.setNumThreads(self._before)


_SINGLE_THREADED = _SingleThreaded()


@contextmanager
def single_threaded_opencv() -> Generator[None]:
    """Keep OpenCV, in the whole process, from sharing out work among threads of its own for a while.

    They spin while they wait for more. Where our own threads share the work already, that takes a core
    from them.
    """
    _SINGLE_THREADED.enter()
    try:
        yield
    finally:
        _SINGLE_THREADED.leave()
