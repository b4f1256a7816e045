"""A job's clock and its line to whoever watches."""

from __future__ import annotations

import time

from ..redaction import get_logger
from .job import OnProgress, Progress, Stage

_log = get_logger(__name__)


class ProgressReporter:
    """Reports a job's progress and counts its seconds.

    A callback that raises is logged and ignored: what a watcher does wrong must not harm a paid job.

    Args:
        on_progress: is called with each report; ``None`` where nobody watches.
    """

    def __init__(self, on_progress: OnProgress | None) -> None:
        self._on_progress = on_progress
        self._began = time.monotonic()
        self._eta: float | None = None

    @property
    def elapsed(self) -> float:
        """Seconds since the job began."""
        return time.monotonic() - self._began

    def set_eta(self, seconds: float | None) -> None:
        """Say in how many seconds from now the provider will probably be done."""
        self._eta = None if seconds is None else time.monotonic() + seconds

    def report(
        self, stage: Stage, *, fraction: float | None = None, position: int | None = None, note: str = ""
    ) -> None:
        """Report where the job is."""
        if self._on_progress is None:
            return
        waiting = stage in (Stage.QUEUED, Stage.RUNNING) and self._eta is not None
        progress = Progress(
            stage=stage,
            fraction=fraction,
            position=position,
            elapsed=self.elapsed,
            remaining=max(0.0, (self._eta or 0.0) - time.monotonic()) if waiting else None,
            note=note,
        )
        try:
            self._on_progress(progress)
        except Exception:  # noqa: BLE001 (a watcher's own, whatever it is)
            _log.exception("Whoever watches a job could not be told of its progress.")

    def transferred(self, stage: Stage, done: int, total: int | None) -> None:
        """Report bytes moved."""
        self.report(stage, fraction=min(1.0, done / total) if total else None)
