"""Where a node's jobs are, as a bar and as words."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence

from ..api_clients.engine import OnProgress, Progress, Stage
from .report import Entry, spent

_SHARE = {
    Stage.HOSTING: (0.0, 0.15),
    Stage.QUEUED: (0.15, 0.0),
    Stage.RUNNING: (0.2, 0.0),
    Stage.FETCHING: (0.8, 0.2),
    Stage.CANCELLED: (0.0, 0.0),
}
"""Where on the bar a stage begins, and how long it is."""


class Board:
    """What is known of each job of a node. Jobs write from any thread; the node reads."""

    def __init__(self, count: int) -> None:
        self._lock = threading.Lock()
        self._latest: list[Progress | None] = [None] * count
        self._done = [False] * count

    def listener(self, index: int) -> OnProgress:
        """What a job reports to."""

        def listen(progress: Progress) -> None:
            with self._lock:
                self._latest[index] = progress

        return listen

    def done(self, index: int) -> None:
        """A job has ended."""
        with self._lock:
            self._done[index] = True

    @property
    def fraction(self) -> float:
        """How far all jobs are together, 0 to 1."""
        with self._lock:
            parts = [
                1.0 if done else _fraction(latest)
                for latest, done in zip(self._latest, self._done, strict=True)
            ]
        return sum(parts) / len(parts)

    @property
    def text(self) -> str:
        """In words: that of the only job, or how many are where."""
        with self._lock:
            latest, done = list(self._latest), sum(self._done)
        if len(latest) == 1:
            return _words(latest[0])
        where = Counter(
            _NAMES[progress.stage] if progress else "preparing"
            for progress, ended in zip(latest, self._done, strict=True)
            if not ended
        )
        return ", ".join([f"{done} of {len(latest)} done", *(f"{n} {what}" for what, n in where.items())])


_NAMES = {
    Stage.HOSTING: "hosting",
    Stage.QUEUED: "queued",
    Stage.RUNNING: "running",
    Stage.FETCHING: "fetching",
    Stage.CANCELLED: "cancelled",
}


def _fraction(progress: Progress | None) -> float:
    if progress is None:
        return 0.0
    start, length = _SHARE[progress.stage]
    return start + length * (progress.fraction or 0.0)


def _words(progress: Progress | None) -> str:
    if progress is None:
        return "preparing"
    name = _NAMES[progress.stage]
    if progress.stage is Stage.QUEUED and progress.position is not None:
        return f"queued at place {progress.position}"
    if progress.stage is Stage.RUNNING:
        words = f"running, {progress.elapsed:.0f} s"
        return f"{words} ({progress.note})" if progress.note else words
    return name if progress.fraction is None else f"{name} {progress.fraction:.0%}"


def ended(entries: Sequence[Entry], seconds: float) -> str:
    """The last words."""
    outcomes = [entry.outcome for entry in entries if entry.outcome]
    reused = sum(outcome.reused for outcome in outcomes)
    parts: list[str] = []
    if len(outcomes) > reused:
        cost = spent(entries)
        parts.append("price unknown" if cost is None else f"${cost}")
        parts.append(f"{seconds:.0f} s")
    if reused:
        parts.append("reused" if reused == len(entries) else f"{reused} of {len(entries)} reused")
    if len(outcomes) < len(entries):
        parts.append(f"{len(entries) - len(outcomes)} of {len(entries)} failed, sources kept")
    sandbox = ["sandbox"] if any(outcome.sandbox for outcome in outcomes) else []
    return "done: " + ", ".join(parts + sandbox)
