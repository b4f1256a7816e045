"""Waiting for a submitted job: the one place that polls, and the seam for other ways to learn of its end."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator

from ..errors import BadResponse, Meaning, NotFound, TimedOut
from ..http.retry import retrying
from ..models import Model
from ..providers.base import Done, Failed, Handle, Queued, Running, State
from .channel import Channel
from .job import Stage
from .schedule import Schedule
from .tracker import Tracker

VISIBLE_AFTER = 15.0
"""Seconds in which a provider may not know a job yet that it has just accepted."""


class Waiter:
    """Waits for one job.

    Args:
        channel: the provider.
        model: what is being run; tells when to ask first.
        tracker: is told of every state.
        time_limit: seconds after the submit in which the job must be done; the settings' limits hold besides.
    """

    def __init__(
        self, channel: Channel, model: Model, tracker: Tracker, time_limit: float | None = None
    ) -> None:
        self._channel = channel
        self._time = channel.settings.time
        self._tracker = tracker
        self._time_limit = math.inf if time_limit is None else time_limit
        self._schedule = Schedule(model.first_poll, channel.settings.poll_floor)

    async def wait(self, handle: Handle, state: State, hint: float | None) -> Done | Failed:
        """The job's final state, with the result's link where there is a result.

        Args:
            handle: the job.
            state: what the submit's reply said.
            hint: the seconds its ``Retry-After`` asked to wait, if any.

        Raises:
            TimedOut: a time limit ran out; the job goes on and can be resumed.
            RemoteUpscaleError: its state cannot be had; nothing is known of how the job ended.
        """
        async for current in self._states(handle, state, hint):
            match current:
                case Done(output) if output is None:
                    return await self.final(handle)
                case Done() | Failed():
                    return current
                case Queued(position):
                    self._tracker.tell(Stage.QUEUED, position=position)
                case Running(note):
                    self._tracker.tell(Stage.RUNNING, note=f"state {note}" if note else "")
        raise AssertionError("the states of a job do not end by themselves")

    async def _states(self, handle: Handle, state: State, hint: float | None) -> AsyncIterator[State]:
        yield state
        clock = asyncio.get_running_loop().time
        submitted = clock()
        began: float | None = None
        wait = self._schedule.before_first(hint)
        while True:
            now = clock()
            stage = submitted + self._time.queue if began is None else began + self._time.run
            limit = min(stage, submitted + self._time_limit)
            if now >= limit:
                raise self._too_long(handle, limit - submitted, queued=began is None)
            await asyncio.sleep(min(wait, limit - now))
            state, hint = await self._ask(handle, fresh=clock() - submitted < VISIBLE_AFTER)
            if isinstance(state, Running) and began is None:
                began = clock()
            yield state
            wait = self._schedule.before_next(clock() - submitted, hint)

    async def _ask(self, handle: Handle, *, fresh: bool) -> tuple[State, float | None]:
        """The state, and how long the reply asked us to wait before the next request."""
        provider = self._channel.provider
        try:
            async for attempt in retrying(self._time, floor=self._channel.settings.poll_floor):
                with attempt:
                    reply = await self._channel.call(provider.status(handle))
                    return provider.read_status(reply), reply.retry_after
        except NotFound:
            if not fresh:
                raise
        return Queued(), None

    async def final(self, handle: Handle) -> Done | Failed:
        """A finished job's result: where that takes one more request, and a fresh link where one expired."""
        async for attempt in retrying(self._time, floor=self._channel.settings.poll_floor):
            with attempt:
                state = await self._read_final(handle)
                if isinstance(state, (Done, Failed)):
                    return state
                raise BadResponse(
                    f"{self._channel.provider.title} takes back that the job is done.",
                    meaning=Meaning.UNKNOWN,
                )
        raise AssertionError("a retried block ends by returning or raising")

    async def _read_final(self, handle: Handle) -> State:
        provider = self._channel.provider
        return provider.read_result(await self._channel.call(provider.result(handle)))

    def _too_long(self, handle: Handle, seconds: float, *, queued: bool) -> TimedOut:
        what = "waiting in the queue" if queued else "running"
        return TimedOut(
            f"The job is still {what} at {self._channel.provider.title} after {seconds:.4g} s.",
            hint="It goes on there and may be charged; once it is done, the same run again, or "
            "`remote-upscale resume`, fetches it.",
            request_id=handle.request_id,
        )
