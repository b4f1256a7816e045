"""From an accepted job to its result in place, with the ledger told of however it ends."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from ..errors import BadResponse, NotFound, RemoteUpscaleError, ResultLost
from ..ledger import Ledger
from ..models import Model
from ..protocol import Done, Failed, Handle, Output, State
from .cancelling import give_up
from .channel import Channel
from .fetching import Fetched, Fetcher, Wanted
from .tracker import Tracker
from .waiting import Waiter


@dataclass(frozen=True, kw_only=True)
class Work:
    """A job that is in the ledger.

    Attributes:
        row: its id there.
        model: the upscaler.
        channel: the provider that runs it.
        wanted: what its result has to be.
        tracker: its line to the user.
        ledger: where every step is recorded.
        fetcher: brings its result.
        resumed: it was left behind before.
    """

    row: str
    model: Model
    channel: Channel
    wanted: Wanted
    tracker: Tracker
    ledger: Ledger
    fetcher: Fetcher
    resumed: bool = False

    async def see_through(self, handle: Handle | None, state: State, hint: float | None) -> Fetched:
        """Wait for the job and fetch its result.

        Args:
            handle: the job at the provider; ``None`` when it was finished in the reply to its submit.
            state: what that reply said.
            hint: the seconds that it asked to wait, if any.

        Raises:
            RemoteUpscaleError: there is no result; unless the job is over it can be resumed.
            CancelledError: the provider was told, where that is possible.
        """
        try:
            fetched = await self._wait_and_fetch(handle, state, hint)
        except RemoteUpscaleError as error:
            await asyncio.to_thread(self._record_end, handle, error)
            raise
        except asyncio.CancelledError:
            if handle is not None:
                await give_up(self.channel, handle, self.ledger, self.row, self.tracker)
            raise
        await asyncio.to_thread(
            self.ledger.completed,
            self.row,
            path=self.wanted.destination.absolute(),
            sha256=fetched.sha256,
            bytes=fetched.info.bytes,
            width=fetched.info.width,
            height=fetched.info.height,
        )
        return fetched

    async def _wait_and_fetch(self, handle: Handle | None, state: State, hint: float | None) -> Fetched:
        if handle is None:
            return await self.fetcher.fetch(_output(state), None, self.wanted, self.tracker)
        waiter = Waiter(self.channel, self.model, self.tracker)
        final = await waiter.wait(handle, state, hint)

        async def fresh() -> Output:
            return _output(await waiter.final(handle))

        return await self.fetcher.fetch(_output(final), fresh, self.wanted, self.tracker)

    def _record_end(self, handle: Handle | None, error: RemoteUpscaleError) -> None:
        """A job that ended at the provider, or whose result is lost, is over; any other is resumable.

        A dead link may come alive, as stores are not consistent at once: only a resumed job is given up
        for it.
        """
        if handle is not None:
            error.request_id = error.request_id or handle.request_id
        lost = isinstance(error, NotFound) or (isinstance(error, ResultLost) and self.resumed)
        if handle is None or error.job_over or lost:
            self.ledger.failed(self.row, error)
            return
        if "resume" not in error.hint:
            error.hint = f"{error.hint} The job is kept: `remote-upscale resume` takes it up again.".lstrip()
        self.ledger.interrupted(self.row, error)


def _output(final: State) -> Output:
    """Where a finished job's result is; raises the error of one that failed."""
    match final:
        case Done(Output() as output):
            return output
        case Failed(error):
            error.job_over = True
            raise error
        case _:
            raise BadResponse("The job is done but the provider gives no result for it.")
