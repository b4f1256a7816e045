"""Progress of long work on standard error: live bars on a terminal, plain lines on a pipe."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from ..engine import Progress, Stage
from .display import Display, in_words
from .output import tell


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
