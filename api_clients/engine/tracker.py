"""A job's clock and its line to whoever watches."""

from __future__ import annotations

import time

from .job import OnProgress, Progress, Stage


class Tracker:
    """Tells a job's progress and counts its seconds."""

    def __init__(self, on_progress: OnProgress | None) -> None:
        self._on_progress = on_progress
        self._began = time.monotonic()
        self._probable_end: float | None = None

    @property
    def elapsed(self) -> float:
        """Seconds since the job began."""
        return time.monotonic() - self._began

    def expect(self, seconds: float | None) -> None:
        """Say in how many seconds from now the provider will probably be done."""
        self._probable_end = None if seconds is None else time.monotonic() + seconds

    @property
    def _remaining(self) -> float | None:
        if self._probable_end is None:
            return None
        return max(0.0, self._probable_end - time.monotonic())

    def tell(
        self, stage: Stage, *, fraction: float | None = None, position: int | None = None, note: str = ""
    ) -> None:
        """Report where the job is."""
        if self._on_progress is not None:
            waiting = stage in (Stage.QUEUED, Stage.RUNNING)
            progress = Progress(
                stage=stage,
                fraction=fraction,
                position=position,
                elapsed=self.elapsed,
                remaining=self._remaining if waiting else None,
                note=note,
            )
            self._on_progress(progress)

    def transfer(self, stage: Stage, done: int, total: int | None) -> None:
        """Report bytes moved."""
        self.tell(stage, fraction=min(1.0, done / total) if total else None)
