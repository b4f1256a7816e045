"""Folders for files on their way, which stay for as long as somebody uses them."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import ParamSpec, TypeVar

from .media.stopping import GivenUp, in_thread

_Given = ParamSpec("_Given")
_Result = TypeVar("_Result")


class WorkingFolder:
    """A folder that is removed, with all that is in it, when the last who holds it has let go.

    A node that is interrupted is free at once, but its job may still read its source from there, and a thread
    may still write it.

    Args:
        path: of a folder that exists.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._holders = 0
        self._stays = False

    @contextmanager
    def hold(self) -> Generator[Path]:
        """Use the folder; it is there until the end of the block at least. In any thread.

        Raises:
            GivenUp: it has been removed: whoever was to use it came too late.
        """
        self.take()
        try:
            yield self.path
        finally:
            self.let_go()

    async def in_thread(
        self, function: Callable[_Given, _Result], *args: _Given.args, **kwargs: _Given.kwargs
    ) -> _Result:
        """As ``in_thread`` of ``media.stopping``; the folder is there until the function has really ended."""

        def held() -> _Result:
            with self.hold():
                return function(*args, **kwargs)

        return await in_thread(held)

    def take(self) -> None:
        """Hold the folder until ``let_go``.

        Raises:
            GivenUp: it has been removed already.
        """
        with self._lock:
            if not self.path.exists():
                raise GivenUp
            self._holders += 1

    def let_go(self) -> None:
        """Do not hold it any longer; the last one removes it. Blocking."""
        with self._lock:
            self._holders -= 1
            if not self._holders and not self._stays:
                shutil.rmtree(self.path, ignore_errors=True)

    def keep(self) -> None:
        """Leave the folder where it is, whoever lets go of it: what is in it is the result."""
        with self._lock:
            self._stays = True
