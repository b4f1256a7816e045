"""What shows the progress of jobs, and a job's progress in words."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from ..engine import Progress
from ..text import clean


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
