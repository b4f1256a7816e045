"""What goes into the engine and what comes out of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from pathlib import Path

from ..errors import BudgetExceeded
from ..files.probe import ImageInfo, VideoInfo
from ..models import Model
from ..parameters import Value
from ..sizes import Expected


class Allowance:
    """US dollars that jobs together may cost. Used from one event loop.

    Args:
        dollars: the most; jobs of unknown cost are refused.
    """

    def __init__(self, dollars: Decimal) -> None:
        self.dollars = dollars
        self.left = dollars

    @classmethod
    def of(cls, dollars: Decimal | None) -> Allowance | None:
        """A new one; ``None`` where any amount may be spent."""
        return None if dollars is None else cls(dollars)

    def take(self, model: Model, cost: Decimal | None) -> None:
        """A job is about to be ordered.

        Raises:
            BudgetExceeded: there is not so much left, or its cost is unknown; nothing was taken.
        """
        if cost is not None and cost <= self.left:
            self.left -= cost
            return
        costs = "has no known price" if cost is None else f"would cost ${cost.normalize():f}"
        taken = self.dollars - self.left
        besides = f", of which ${taken.normalize():f} are taken" if taken else ""
        raise BudgetExceeded(
            f"{model.title} {costs}; ${self.dollars.normalize():f} may be spent here{besides}.",
            hint="Allow more, ask for less, or set the model's price under [prices] in settings.toml.",
        )

    def give_back(self, cost: Decimal | None) -> None:
        """A job was not ordered after all."""
        self.left += cost or 0


@dataclass(frozen=True, kw_only=True)
class Job:
    """One input to one model.

    Attributes:
        model: the upscaler.
        parameters: as the user gave them; the engine checks them.
        source: a file, or the text of a public URL that is passed on as it is.
        destination: the result's file; an existing one is replaced once the new one is whole.
        reuse: take an earlier result of the same content and parameters, or join a job that is under way for
            it, instead of paying again.
        order_unanswered: where the earlier job was sent and never answered, order it anew, although both may
            be charged; a person has decided that.
        content: digest of what the source shows, where the caller knows it better than the file tells.
        time_limit: seconds after the submit in which the provider must be done; then the job is left to be
            resumed. The limits of the settings hold besides.
        allowance: what new jobs may cost, which several jobs can share; ``None`` for any.
    """

    model: Model
    parameters: Mapping[str, object]
    source: Path | str
    destination: Path
    reuse: bool = True
    order_unanswered: bool = False
    content: str | None = None
    time_limit: float | None = None
    allowance: Allowance | None = None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a job comes to, known before anything is sent.

    Attributes:
        values: the parameters as they will be sent.
        input: what the file is; ``None`` for a URL, which is not looked at.
        expected: the result's size, where the input's is known.
        cost: US dollars, ``None`` when unknown.
    """

    values: Mapping[str, Value]
    input: ImageInfo | VideoInfo | None
    expected: Expected | None
    cost: Decimal | None

    @property
    def pixels(self) -> int | None:
        """How many the result has, over all frames; ``None`` where that is not known."""
        if self.expected is None or self.input is None:
            return None
        frames = 1 if isinstance(self.input, ImageInfo) else self.input.frames
        return frames and frames * self.expected.width * self.expected.height


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
        job: what was asked.
        path: the result, whole and checked.
        request_id: the provider's id of the job that made it.
        cost: US dollars of that job, ``None`` when unknown.
        seconds: from start to finish, for us.
        reused: no new job was submitted.
        sandbox: the embedded sandbox made it, at no cost; ``cost`` is what the provider would take.
        width: of the result in pixels.
        height: of the result in pixels.
        notes: what the user should know about it, in sentences.
    """

    job: Job
    path: Path
    request_id: str | None
    cost: Decimal | None
    seconds: float
    reused: bool
    sandbox: bool
    width: int
    height: int
    notes: tuple[str, ...] = ()
