"""Where a node's jobs are, as a bar and as words."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from ..api_clients.engine import OnProgress, Progress, Stage
from ..api_clients.redaction import get_logger
from .report import Entry, spent

_log = get_logger(__name__)

_TINY = 1e-9
_PREPARING = "preparing"
_SHARE = {
    Stage.HOSTING: (0.0, 0.15),
    Stage.QUEUED: (0.15, 0.05),
    Stage.RUNNING: (0.2, 0.6),
    Stage.FETCHING: (0.8, 0.2),
    Stage.CANCELLED: (0.0, 0.0),
}
"""Where on the bar a stage begins, and how long it is."""


@dataclass(frozen=True)
class _Heard:
    """What a job reported, and when.

    Attributes:
        progress: what it reported.
        at: by the clock of ``NodeProgress``.
    """

    progress: Progress
    at: float

    def now(self, clock: float) -> Progress:
        """As it is by now: a provider is asked only every few seconds."""
        age = clock - self.at
        left = self.progress.remaining
        remaining = None if left is None else max(0.0, left - age)
        return replace(self.progress, elapsed=self.progress.elapsed + age, remaining=remaining)


class NodeProgress:
    """What is known of each job of a node. Jobs write from any thread; the node reads.

    Args:
        count: how many jobs there are.
        clock: seconds.
    """

    def __init__(self, count: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._heard: list[_Heard | None] = [None] * count
        self._done = [False] * count
        self._given_up: Callable[[str], None] | None = None

    def listener(self, index: int) -> OnProgress:
        """What a job reports to, in any thread; it never raises."""

        def listen(progress: Progress) -> None:
            with self._lock:
                self._heard[index] = _Heard(progress, self._clock())
                tell = self._given_up
            if tell is not None and progress.stage is Stage.CANCELLED:
                try:
                    tell(progress.note)
                except Exception:  # noqa: BLE001 (whoever listens must not harm a job)
                    _log.exception("What became of a job cannot be told: %s", progress.note)

        return listen

    def give_up(self, tell: Callable[[str], None]) -> None:
        """Nobody looks any more; what becomes of the jobs at the provider is told when it is known.

        Args:
            tell: is given a sentence for each job, in any thread.
        """
        with self._lock:
            self._given_up = tell

    def done(self, index: int) -> None:
        """A job has ended."""
        with self._lock:
            self._done[index] = True

    @property
    def fraction(self) -> float:
        """How far all jobs are together, 0 to 1."""
        latest, done = self._look()
        parts = [1.0 if over else _fraction(one) for one, over in zip(latest, done, strict=True)]
        return sum(parts) / len(parts)

    @property
    def text(self) -> str:
        """In words: that of the only job, or how many are where, and when the last will probably be done."""
        latest, done = self._look()
        if len(latest) == 1:
            return _words(latest[0])
        under_way = [one for one, over in zip(latest, done, strict=True) if not over]
        where = Counter(one.stage.value if one else _PREPARING for one in under_way)
        parts = [f"{sum(done)} of {len(done)} done", *(f"{n} {what}" for what, n in where.items())]
        longest = max((one.remaining or 0.0 for one in under_way if one), default=0.0)
        return ", ".join(parts + _to_go(longest))

    def _look(self) -> tuple[list[Progress | None], list[bool]]:
        with self._lock:
            heard, done = list(self._heard), list(self._done)
        now = self._clock()
        return [one and one.now(now) for one in heard], done


def _fraction(progress: Progress | None) -> float:
    if progress is None:
        return 0.0
    start, length = _SHARE[progress.stage]
    if progress.remaining is not None:
        return start + length * progress.elapsed / max(progress.elapsed + progress.remaining, _TINY)
    return start + length * (progress.fraction or 0.0)


def _words(progress: Progress | None) -> str:
    """As the command line says it, and besides how far a transfer is, or how long the provider is at it."""
    if progress is None:
        return _PREPARING
    words = progress.stage.value
    if progress.fraction is not None:
        words += f" {progress.fraction:.0%}"
    if progress.stage is Stage.RUNNING:
        words += f" {progress.elapsed:.0f} s"
    ahead = [] if progress.position is None else [f"{progress.position} ahead"]
    note = [progress.note] if progress.note else []
    return ", ".join([words, *ahead, *_to_go(progress.remaining), *note])


def _to_go(seconds: float | None) -> list[str]:
    return [f"about {seconds:.0f} s to go"] if seconds and seconds >= 1 else []


def ended(entries: Sequence[Entry], seconds: float) -> str:
    """The last words."""
    outcomes = [entry.outcome for entry in entries if entry.outcome]
    reused = sum(outcome.reused for outcome in outcomes)
    sandbox = any(outcome.sandbox for outcome in outcomes)
    parts: list[str] = []
    if len(outcomes) > reused:
        price = _dollars(spent(entries))
        parts += (
            [f"{seconds:.0f} s", f"by the sandbox (otherwise {price})"]
            if sandbox
            else [price, f"{seconds:.0f} s"]
        )
    if reused:
        parts.append("reused" if reused == len(entries) else f"{reused} of {len(entries)} reused")
    if len(outcomes) < len(entries):
        parts.append(f"{len(entries) - len(outcomes)} of {len(entries)} failed, sources kept")
    return "done: " + ", ".join(parts)


def _dollars(cost: Decimal | None) -> str:
    """For people: two digits that count, and cents from a dollar on. The report has the exact number."""
    if cost is None:
        return "price unknown"
    return f"${cost:.2f}" if cost >= 1 else f"${Decimal(f'{cost:.2g}'):f}"
