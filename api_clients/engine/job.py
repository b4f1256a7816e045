"""What goes into the engine and what comes out of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from pathlib import Path

from ..errors import BudgetExceeded
from ..models import Media, Model
from ..sizes import Expected


class SpendLimit:
    """US dollars that jobs together may cost. Used from one event loop.

    Args:
        dollars: the most; jobs of unknown cost are refused.
    """

    def __init__(self, dollars: Decimal) -> None:
        self.dollars = dollars
        self.left = dollars

    @classmethod
    def of(cls, dollars: Decimal | None) -> SpendLimit | None:
        """A new one; ``None`` where any amount may be spent."""
        return None if dollars is None else cls(dollars)

    def reserve(self, model: Model, cost: Decimal | None) -> None:
        """Take the cost of a job that is about to be submitted.

        Raises:
            BudgetExceeded: there is not so much left, or the cost is unknown; nothing was taken.
        """
        if cost is not None and cost <= self.left:
            self.left -= cost
            return
        costs = "has no known price" if cost is None else f"would cost ${cost.normalize():f}"
        taken = self.dollars - self.left
        reserved = f", of which ${taken.normalize():f} is spent or reserved" if taken else ""
        raise BudgetExceeded(
            f"{model.title} {costs}; the limit for these jobs is ${self.dollars.normalize():f}{reserved}.",
            hint="Raise the limit, ask for less, or set the model's price under [prices] in settings.toml.",
        )

    def release(self, cost: Decimal | None) -> None:
        """Give back the cost of a job that certainly was not charged."""
        self.left += cost or 0


@dataclass(frozen=True, kw_only=True)
class Job:
    """One input to one model.

    Attributes:
        model: the upscaler.
        parameters: as the user gave them; the engine checks them.
        source: a file, or the text of a public URL that is passed on as it is.
        destination: the result's file; an existing one is replaced once the new one is whole. ``None``: the
            result is only put into the result store, and read from there.
        reuse: take an earlier result of the same content and parameters, or join a job that is under way for
            it, instead of paying again.
        order_unanswered: where the earlier job was sent and never answered, order it again, although both may
            be charged; a person has decided that.
        content: digest of what the source shows, where the caller knows it better than the file tells.
        time_limit: seconds that the run may take from when it has its place among the jobs under way: upload,
            submit, waiting and fetching. A job that is ordered by then is left to be resumed. The limits of
            the settings hold besides.
        spend_limit: what new jobs may cost, which several jobs can share; ``None`` for any amount.
    """

    model: Model
    parameters: Mapping[str, object]
    source: Path | str
    destination: Path | None = None
    reuse: bool = True
    order_unanswered: bool = False
    content: str | None = None
    time_limit: float | None = None
    spend_limit: SpendLimit | None = None


@dataclass(frozen=True)
class ResultSpec:
    """What a result has to be.

    Attributes:
        media: a picture or a clip.
        expected: its size, where it can be told.
        destination: where it goes; ``None`` for the result store alone.
    """

    media: Media
    expected: Expected | None
    destination: Path | None


class Stage(StrEnum):
    """Where a job is on its way."""

    HOSTING = "hosting"
    QUEUED = "queued"
    RUNNING = "running"
    FETCHING = "fetching"
    CANCELLED = "cancelled"


@dataclass(frozen=True, kw_only=True)
class Progress:
    """A job's progress.

    Attributes:
        stage: where it is.
        fraction: done of this stage, 0 to 1, where that is known.
        position: jobs in front of it in the provider's queue, where that is known.
        elapsed: seconds since the job began.
        remaining: seconds until the provider is probably done, as earlier jobs of the model and size took; 0
            where it takes longer this time, ``None`` where there were none.
        note: something worth telling, such as an undocumented state word.
    """

    stage: Stage
    fraction: float | None = None
    position: int | None = None
    elapsed: float = 0.0
    remaining: float | None = None
    note: str = ""


OnProgress = Callable[[Progress], None]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A finished job.

    Attributes:
        model: the upscaler.
        path: the result, whole and checked: at its destination, or else in the result store.
        temporary: ``path`` is the caller's to remove: there was no destination, and the store is no folder of
            this machine or did not take the result.
        format: ``png``, ``jpeg``, ``webp``, ``mp4``, ``mov``, ``webm``, ``matroska`` or ``avi``.
        request_id: the provider's id of the job that made it.
        cost: US dollars of that job, ``None`` when unknown; 0 where it was reused.
        seconds: from start to finish, for us.
        reused: no new job was submitted.
        sandbox: the embedded sandbox made it, at no cost; ``cost`` is what the provider would take.
        width: of the result in pixels.
        height: of the result in pixels.
        notes: what the user should know about it, in sentences.
    """

    model: Model
    path: Path
    temporary: bool
    format: str
    request_id: str | None
    cost: Decimal | None
    seconds: float
    reused: bool
    sandbox: bool
    width: int
    height: int
    notes: tuple[str, ...] = ()
