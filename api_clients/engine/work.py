"""From an accepted job to its result in place, with the ledger told of every step and of however it ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from ..errors import BadResponse, InvalidParameter, Meaning, NotFound, RemoteUpscaleError, ResultLost
from ..files.atomic_write import move_into_place
from ..ledger import Ledger, LedgerMisuse
from ..models import Model
from ..providers.base import Done, Failed, Handle, Output, State
from .cancelling import give_up
from .channel import Channel
from .fetching import Fetched, Fetcher, Wanted
from .job import Stage
from .tracker import Tracker
from .vault import Vault
from .waiting import Waiter

_log = logging.getLogger(__name__)
_KEPT = "The job is kept: the same run again, or `remote-upscale resume`, takes it up."


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
        vault: keeps its result.
        time_limit: seconds after the submit in which it must be done, besides the settings' limits.
        resumed: it was left behind before.
        delivered: its result was delivered before, and is only fetched once more.
        notes: what the user should know, as sentences.
    """

    row: str
    model: Model
    channel: Channel
    wanted: Wanted
    tracker: Tracker
    ledger: Ledger
    fetcher: Fetcher
    vault: Vault
    time_limit: float | None = None
    resumed: bool = False
    delivered: bool = False
    notes: list[str] = field(default_factory=list[str])

    async def see_through(self, handle: Handle | None, state: State, hint: float | None) -> Fetched:
        """Wait for the job, fetch its result, store and deliver it.

        Args:
            handle: the job at the provider; ``None`` when it was finished in the reply to its submit.
            state: what that reply said.
            hint: the seconds that it asked to wait, if any.

        Raises:
            RemoteUpscaleError: there is no result; unless the job is over it can be resumed.
            CancelledError: the provider was told, where that is possible.
        """
        waiter = Waiter(self.channel, self.model, self.tracker, self.time_limit)
        try:
            final = state if handle is None else await waiter.wait(handle, state, hint)
        except RemoteUpscaleError as error:
            await self._end(handle, error)
            raise
        except asyncio.CancelledError:
            if handle is not None and not self.delivered:
                await give_up(self.channel, handle, self.ledger, self.row, self.tracker)
            raise
        return await self.bring(handle, final)

    async def bring(self, handle: Handle | None, final: State) -> Fetched:
        """Fetch a finished job's result, store and deliver it; raises as ``see_through`` does."""
        kept = False
        try:
            async with self._fetched(handle, final) as fetched:
                keeping = asyncio.ensure_future(self._keep(fetched, handle))
                try:
                    await asyncio.shield(keeping)
                finally:  # an interrupt has to know whether it is kept
                    await asyncio.wait([keeping])
                    kept = keeping.exception() is None and keeping.result()
                await self._place(fetched, handle)
                return fetched
        except RemoteUpscaleError as error:
            await (self._undelivered(handle, error) if kept else self._end(handle, error))
            raise
        except asyncio.CancelledError:
            await self._stopped(handle, kept=kept)
            raise

    @asynccontextmanager
    async def _fetched(self, handle: Handle | None, final: State) -> AsyncGenerator[Fetched]:
        async def fresh() -> Output:
            assert handle is not None
            return _output(await Waiter(self.channel, self.model, self.tracker).final(handle))

        link = fresh if handle is not None else None
        async with self.fetcher.fetched(_output(final), link, self.wanted, self.tracker) as fetched:
            yield fetched

    async def _keep(self, fetched: Fetched, handle: Handle | None) -> bool:
        """First into the store, then to where it is wanted: whichever fails, the other has it."""
        trouble = await self.vault.keep(fetched.file, fetched.sha256, fetched.info.bytes)
        if trouble is not None:
            self.notes.append(trouble)
            return False
        await self.record(self.ledger.kept, handle, **_facts(fetched))
        return True

    async def _place(self, fetched: Fetched, handle: Handle | None) -> None:
        destination = self.wanted.destination
        await asyncio.to_thread(move_into_place, fetched.file, destination)
        await self.record(self.ledger.completed, handle, path=destination.absolute(), **_facts(fetched))

    async def record(
        self, step: Callable[..., None], handle: Handle | None, *args: Any, **values: Any
    ) -> None:
        """Note a step of a paid job in the ledger. A ledger that fails does not cost the result.

        Args:
            step: the ledger's method.
            handle: the job at the provider.
            *args: the method's arguments after the job's id.
            **values: likewise, by name.
        """
        try:
            await asyncio.to_thread(step, self.row, *args, **values)
        except (InvalidParameter, LedgerMisuse) as error:
            name = f"job {handle.request_id}" if handle else "a job"
            told = error.message if isinstance(error, InvalidParameter) else str(error)
            note = f"That {name} of {self.model.id} is {step.__name__} could not be recorded. {told}"
            if note not in self.notes:
                self.notes.append(note)
                _log.warning("%s", note)  # at once: this process may not live to tell it in the end

    async def _end(self, handle: Handle | None, error: RemoteUpscaleError) -> None:
        """A job that ended at the provider, or whose result is lost, is over; any other is resumable.

        A dead link may come alive, as stores are not consistent at once: only a resumed job is given up
        for it.
        """
        if handle is not None:
            error.request_id = error.request_id or handle.request_id
        if self.delivered:
            return
        lost = isinstance(error, NotFound) or (isinstance(error, ResultLost) and self.resumed)
        if handle is None or error.meaning is Meaning.OVER or lost:
            await self.record(self.ledger.failed, handle, error)
            return
        if "resume" not in error.hint:
            error.hint = f"{error.hint} {_KEPT}".lstrip()
        await self.record(self.ledger.interrupted, handle, error)

    async def _undelivered(self, handle: Handle | None, error: RemoteUpscaleError) -> None:
        error.request_id = handle.request_id if handle else None
        kept = "The result is kept: the same run again, or `remote-upscale resume`, delivers it."
        error.hint = f"{error.hint} {kept}".lstrip()
        await self.record(self.ledger.undelivered, handle, error)

    async def _stopped(self, handle: Handle | None, *, kept: bool) -> None:
        """Interrupted when the provider had done its work: nothing is left to be cancelled."""
        if handle is None and not kept:
            lost = ResultLost("It was interrupted while the result was being fetched, which has no id.")
            await self.record(self.ledger.failed, handle, lost)
            return
        await self.record(self.ledger.leave, handle)
        done = f"Job {handle.request_id} is done" if handle else "The job is done"
        note = f"{done} and paid for; the same run again, or `remote-upscale resume`, brings it."
        self.tracker.tell(Stage.CANCELLED, note=note)


def _facts(fetched: Fetched) -> dict[str, Any]:
    info = fetched.info
    return {"sha256": fetched.sha256, "bytes": info.bytes, "width": info.width, "height": info.height}


def _output(final: State) -> Output:
    """Where a finished job's result is; raises the error of one that failed."""
    match final:
        case Done(Output() as output):
            return output
        case Failed(error):
            raise error.but(meaning=Meaning.OVER)
        case _:
            raise BadResponse("The job is done but the provider gives no result for it.")
