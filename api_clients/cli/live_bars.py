"""Progress as bars on a terminal."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from ..engine import Progress
from ..text import clean
from .display import Display, in_words

_SHOWN = 12
"""Most bars on the screen at once."""


class LiveBars(Display):
    """A bar for each job that is under way, and one for the total where there are several."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._tasks: dict[int, TaskID] = {}
        self._bars = Bars(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[words]}", markup=False),
            TimeElapsedColumn(),
        )
        many = len(names) > 1
        self._total = self._bars.add_task("total", total=len(names), words="") if many else None
        self._done = 0
        self._tell_total()
        self._console = Console(stderr=True)
        self._live = self._show()

    def _show(self) -> Live:
        """Put the bars up. Each time anew: a stopped ``Live`` would begin by wiping what stands above it."""
        live = Live(
            self._bars,
            console=self._console,
            transient=True,
            refresh_per_second=10,
            redirect_stdout=False,  # results go to standard output, which may be a pipe
            redirect_stderr=False,
        )
        live.start()
        return live

    def update(self, index: int, progress: Progress) -> None:
        new = index not in self._tasks
        if new:
            name = clean(os.path.basename(self._names[index]) or self._names[index], 40)  # noqa: PTH119 (may be a URL)
            self._tasks[index] = self._bars.add_task(
                name, total=None, words="", visible=len(self._tasks) < _SHOWN
            )
        total = None if progress.fraction is None else 1.0
        words = in_words(progress)
        self._bars.update(self._tasks[index], total=total, completed=progress.fraction or 0.0, words=words)
        if new:
            self._live.refresh()  # a quick job should be seen too

    def finish(self, index: int) -> None:
        self._done += 1
        task = self._tasks.pop(index, None)
        if task is not None:
            self._bars.remove_task(task)
        for waiting in list(self._tasks.values())[:_SHOWN]:
            self._bars.update(waiting, visible=True)
        self._tell_total()

    def _tell_total(self) -> None:
        if self._total is not None:
            words = f"{self._done} of {len(self._names)} done"
            self._bars.update(self._total, completed=self._done, words=words)

    @contextmanager
    def aside(self) -> Generator[None]:
        self._live.stop()
        try:
            yield
        finally:
            self._live = self._show()

    def close(self) -> None:
        self._live.stop()
