"""Waiting for a submitted job: strategies say when to look, and only our own question tells the state."""

from __future__ import annotations

import asyncio
import math
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from ..errors import BadResponse, Meaning, NotFound, RemoteUpscaleError, TimedOut
from ..http_messages import Reply
from ..models import Model
from ..providers.base import Done, Failed, Handle, Queued, Running, State
from ..providers.client import Answer, ProviderClient
from ..settings import Settings
from .job import Stage
from .progress import ProgressReporter
from .schedule import Schedule

VISIBLE_AFTER = 15.0
"""Seconds after its submit in which a provider may not know a job yet."""

MISSING_AGAIN = 5.0
"""Floors (``poll_floor``) between two answers that there is no such job, before that is believed."""


@dataclass(frozen=True)
class WatchedJob:
    """A job that is being waited for.

    Attributes:
        handle: the job at the provider.
        model: what is being run.
        submitted: when it was submitted, by ``time.monotonic()``; ``None`` where nobody knows.
        time_limit: seconds that the whole run may take; ``None`` for the settings' limits alone.
        ends: when they are over, by ``time.monotonic()``.
    """

    handle: Handle
    model: Model
    submitted: float | None
    time_limit: float | None = None
    ends: float = math.inf

    @property
    def fresh(self) -> bool:
        """Whether its provider need not know it yet."""
        return self.submitted is not None and time.monotonic() - self.submitted < VISIBLE_AFTER


@dataclass(frozen=True)
class Look:
    """The latest look at a job, by which a strategy decides about the next.

    Attributes:
        number: how many looks there were; 0 stands for the submit's own reply.
        elapsed: seconds from when the waiting began to that look.
        retry_after: seconds that the provider asked us to wait, if it did.
    """

    number: int
    elapsed: float
    retry_after: float | None


class Watch(Protocol):
    """One strategy at one job."""

    async def wake(self, last: Look) -> None:
        """Return when it is time to look again. Cancelled when another strategy was quicker."""
        ...


class WaitStrategy(ABC):
    """A way to learn that it is time to look at a job: a schedule, or something that is told.

    A strategy never says what the state is, so whatever it is told by others, or fails to hear, costs at most
    a request or a moment.
    """

    @abstractmethod
    def watch(self, job: WatchedJob, settings: Settings) -> AbstractAsyncContextManager[Watch]:
        """Attend to one job for as long as the context lasts."""


class Polling(WaitStrategy):
    """Looks by a schedule."""

    @asynccontextmanager
    async def watch(self, job: WatchedJob, settings: Settings) -> AsyncGenerator[Watch]:
        yield _Polled(Schedule(job.model.first_poll, settings.poll_floor))


@dataclass(frozen=True)
class _Polled:
    schedule: Schedule

    async def wake(self, last: Look) -> None:
        if last.number == 0:
            await asyncio.sleep(self.schedule.before_first(last.retry_after))
        else:
            await asyncio.sleep(self.schedule.before_next(last.elapsed, last.retry_after))


class Waiter:
    """Waits for jobs of one provider.

    Args:
        client: the provider.
        settings: ``time`` and ``poll_floor`` are used.
        strategies: whichever wakes first is followed.
        reporter: is told of every state.

    Attributes:
        notes: what the provider's replies told besides, in sentences.
    """

    def __init__(
        self,
        client: ProviderClient,
        settings: Settings,
        strategies: Sequence[WaitStrategy],
        reporter: ProgressReporter,
    ) -> None:
        self._client = client
        self._settings = settings
        self._strategies = strategies
        self._reporter = reporter
        self.notes: list[str] = []

    async def wait(self, job: WatchedJob, state: State, retry_after: float | None) -> Done | Failed:
        """The job's final state, with the result's link where there is a result.

        Args:
            job: what to wait for.
            state: what the submit's reply said.
            retry_after: the seconds it asked to wait, if any.

        Raises:
            TimedOut: a time limit ran out; the job goes on and can be resumed.
            RemoteUpscaleError: its state cannot be had; only with the meaning ``OVER`` has it ended.
        """
        clock = _Clock(job, self._settings)
        questions = _Questions(self._client, job, self._settings, self._note)
        look = Look(0, 0.0, retry_after)
        async with AsyncExitStack() as stack:
            watches = [
                await stack.enter_async_context(strategy.watch(job, self._settings))
                for strategy in self._strategies
            ]
            while True:
                match state:
                    case Done(None):
                        return await self.result(job)
                    case Done() | Failed():
                        return state
                    case Queued(position):
                        self._reporter.report(Stage.QUEUED, position=position)
                    case Running(note):
                        clock.begins()
                        self._reporter.report(Stage.RUNNING, note=f"state {note}" if note else "")
                if clock.left <= 0:
                    raise questions.trouble or self._too_long(job, clock)
                await _first(watches, look, clock.left)
                await asyncio.sleep(
                    look.elapsed + self._settings.poll_floor - clock.elapsed if look.number else 0
                )
                answer = await questions.status()
                look = Look(look.number + 1, clock.elapsed, answer.retry_after)
                state = answer.value or state

    async def result(self, job: WatchedJob) -> Done | Failed:
        """A finished job's result: where that takes a request of its own, or a fresh link.

        Raises:
            RemoteUpscaleError: as ``wait`` does.
        """
        questions = _Questions(self._client, job, self._settings, self._note)
        provider = self._client.provider
        until = time.monotonic() + self._settings.time.run
        while True:
            try:
                answer = await self._client.ask(
                    provider.result(job.handle), lambda reply: self._read_result(job.handle, reply)
                )
            except NotFound as gone:
                questions.missing(gone)
                await asyncio.sleep(MISSING_AGAIN * self._settings.poll_floor)
            except RemoteUpscaleError as error:
                wait = error.retry_after if error.meaning.retryable else None
                if wait is None or time.monotonic() + wait > until:
                    raise
                await asyncio.sleep(wait)  # longer than is spent on trying again, but it asked for that
            else:
                return answer.value

    def _note(self, handle: Handle, reply: Reply) -> None:
        self.notes += [n for n in self._client.provider.notes(handle, reply) if n not in self.notes]

    def _read_result(self, handle: Handle, reply: Reply) -> Done | Failed:
        state = self._client.provider.read_result(reply)
        if isinstance(state, (Done, Failed)):
            self._note(handle, reply)
            return state
        raise BadResponse(
            f"{self._client.provider.title} takes back that the job is done.", meaning=Meaning.UNKNOWN
        )

    def _too_long(self, job: WatchedJob, clock: _Clock) -> TimedOut:
        what = "waiting in the queue" if clock.began is None else "running"
        return TimedOut(
            f"The job is still {what} at {self._client.provider.title} after {clock.told:.4g} s.",
            hint="It goes on there and may be charged.",
            request_id=job.handle.request_id,
        )


class _Questions:
    """Questions about one job, and when no answer, or "there is no such job", is to be believed.

    Attributes:
        trouble: why the last question was not answered; ``None`` where it was.
    """

    def __init__(
        self,
        client: ProviderClient,
        job: WatchedJob,
        settings: Settings,
        note: Callable[[Handle, Reply], None],
    ) -> None:
        self._client = client
        self._job = job
        self._note = note
        self._settings = settings
        self._failing: float | None = None
        self._missing: float | None = None
        self.trouble: RemoteUpscaleError | None = None

    async def status(self) -> Answer[State | None]:
        """Ask once for the state; none where the answer tells nothing, so that the next look decides."""
        provider = self._client.provider
        try:
            answer = await self._client.ask_once(provider.status(self._job.handle), self._read_status)
        except NotFound as gone:
            self.missing(gone)
            return Answer(None, gone.retry_after or MISSING_AGAIN * self._settings.poll_floor)
        except RemoteUpscaleError as error:
            self._failed(error)
            return Answer(None, error.retry_after)
        self._failing = self._missing = self.trouble = None
        return Answer(answer.value, answer.retry_after)

    def _read_status(self, reply: Reply) -> State:
        state = self._client.provider.read_status(reply)
        self._note(self._job.handle, reply)
        return state

    def missing(self, gone: NotFound) -> None:
        """The provider says that it does not know the job; raised once that is certain.

        One such answer may come from a machine that has not heard of the job yet.
        """
        now = time.monotonic()
        if self._job.fresh:
            return
        if self._missing is None:
            self._missing = now
        elif now - self._missing >= MISSING_AGAIN * self._settings.poll_floor:
            raise gone.but(request_id=self._job.handle.request_id, meaning=Meaning.OVER)

    def _failed(self, error: RemoteUpscaleError) -> None:
        """Raise an error that does not pass, or has not for too long.

        A provider that asks us to wait is heard, whatever that takes: the job's own limits end the run.
        """
        now = time.monotonic()
        if not error.meaning.retryable:
            raise error
        self.trouble = error
        if error.retry_after is not None:
            self._failing = None
        elif self._failing is None:
            self._failing = now
        elif now - self._failing >= self._settings.time.retry:
            raise error


class _Clock:
    """How long a job may still take."""

    def __init__(self, job: WatchedJob, settings: Settings) -> None:
        self._time = settings.time
        self._job = job
        self._start = time.monotonic()
        self.began: float | None = None

    @property
    def elapsed(self) -> float:
        """Seconds since the waiting began."""
        return time.monotonic() - self._start

    def begins(self) -> None:
        """The job is running now, if it was not before."""
        if self.began is None:
            self.began = self.elapsed

    @property
    def limit(self) -> float:
        """Seconds from the beginning of the waiting to its end."""
        stage = self._time.queue if self.began is None else self.began + self._time.run
        return min(stage, self._job.ends - self._start)

    @property
    def told(self) -> float:
        """The limit in the user's own words, which count from the beginning of the run."""
        ours = self._job.time_limit
        return self.limit if ours is None or self.limit < self._job.ends - self._start else ours

    @property
    def left(self) -> float:
        """Seconds to the limit."""
        return self.limit - self.elapsed


async def _first(watches: Sequence[Watch], last: Look, most: float) -> None:
    """Return when the first strategy wakes, or after so many seconds."""
    waking = [asyncio.ensure_future(watch.wake(last)) for watch in watches]
    try:
        done, _ = await asyncio.wait(waking, timeout=max(0.0, most), return_when=asyncio.FIRST_COMPLETED)
        for one in done:
            one.result()
    finally:
        for one in waking:
            one.cancel()
        await asyncio.gather(*waking, return_exceptions=True)
