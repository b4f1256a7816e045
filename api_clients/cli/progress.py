"""Progress of long work on standard error: live bars on a terminal, plain lines on a pipe."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager

from ..engine import Progress, Stage
from ..text import clean
from .output import tell


def in_words(progress: Progress) -> str:
    """The stage, with the place in the queue and whatever else there is to tell."""
    words = progress.stage.value
    if progress.position is not None:
        words += f", {progress.position} ahead"
    if progress.remaining and progress.remaining >= 1:
        words += f", about {progress.remaining:.0f} s to go"
    return f"{words}, {clean(progress.note, 120)}" if progress.note else words


class Display:
    """Shows nothing; the others show the progress of jobs that are known by their index."""

    def update(self, index: int, progress: Progress) -> None:
        """A job has come further."""

    def finish(self, index: int) -> None:
        """A job has ended."""

    @contextmanager
    def aside(self) -> Generator[None]:
        """For printing while the display is up."""
        yield

    def close(self) -> None:
        """Take the display down."""


class PlainLines(Display):
    """A line whenever a job enters another stage."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._stages: dict[int, Stage] = {}

    def update(self, index: int, progress: Progress) -> None:
        if self._stages.get(index) is not progress.stage:
            self._stages[index] = progress.stage
            tell(f"{self._names[index]}: {in_words(progress)}")


def choose_display(names: Sequence[str], *, json: bool) -> Display:
    """The display that fits standard error. ``NO_COLOR`` is honoured by the bars."""
    if json:
        return Display()
    if not sys.stderr.isatty() or os.environ.get("TERM", "").lower() in ("dumb", "unknown"):
        return PlainLines(names)
    from .live_bars import LiveBars  # noqa: PLC0415 (its library takes long to import)

    return LiveBars(names)
