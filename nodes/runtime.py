"""The event loop and the engines that outlive a prompt: ComfyUI gives each prompt a new loop."""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from functools import partial

from ..api_clients.engine import Engine, Job, OnProgress, Outcome
from ..api_clients.errors import Cancelled, Meaning
from ..api_clients.redaction import get_logger
from ..api_clients.settings import Settings
from .working_folder import WorkingFolder

LoadSettings = Callable[[str], Settings]
"""Reads the settings with the keys of a named account."""

_log = get_logger(__name__)

_BESIDES = 3.0
"""Seconds that a run may take to settle its job, besides the time in which the provider has to be told."""


@dataclass
class _Open:
    """An engine that runs, and what it was made from."""

    settings: Settings
    engine: Engine
    stack: AsyncExitStack
    jobs: int = 0
    retired: bool = False


@dataclass
class _Engines:
    """One engine for each account. All methods run on the runtime's loop."""

    load: LoadSettings
    by_account: dict[str, _Open] = field(default_factory=dict[str, _Open])
    locks: defaultdict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    async def run(self, account: str, job: Job, on_progress: OnProgress) -> Outcome:
        opened = await self._get(account)
        try:
            return await opened.engine.run(job, on_progress)
        finally:
            opened.jobs -= 1
            await self._close_unused(opened)

    async def _get(self, account: str) -> _Open:
        async with self.locks[account]:
            settings = await asyncio.to_thread(self.load, account)
            opened = self.by_account.get(account)
            if opened is None or opened.settings != settings:
                if opened is not None:
                    # A key or a limit was changed; the jobs that are under way end with the old ones.
                    del self.by_account[account]
                    opened.retired = True
                    await self._close_unused(opened)
                async with AsyncExitStack() as stack:
                    engine = await stack.enter_async_context(Engine.open(settings))
                    opened = _Open(settings, engine, stack.pop_all())
                self.by_account[account] = opened
            opened.jobs += 1
            return opened

    async def _close_unused(self, opened: _Open) -> None:
        if opened.retired and not opened.jobs:
            await self._close(opened)

    async def _close(self, opened: _Open) -> None:
        try:
            await opened.stack.aclose()
        except Exception:  # noqa: BLE001 (it must not cost a run its outcome, or another engine its end)
            _log.exception("An engine could not be closed.")

    @property
    def patience(self) -> float:
        """Seconds in which cancelled runs can tell their providers and settle their jobs."""
        return _BESIDES + max((one.settings.time.cancel for one in self.by_account.values()), default=0.0)

    async def close(self) -> None:
        for opened in self.by_account.values():
            await self._close(opened)
        self.by_account.clear()


class _Running:
    """A loop in a thread of its own, the engines on it, and the runs that are under way.

    Args:
        load: reads the settings.
    """

    def __init__(self, load: LoadSettings) -> None:
        self._engines = _Engines(load)
        self._runs: set[asyncio.Task[Outcome]] = set()
        self._closing = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="remote-upscale", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        self._loop.run_forever()
        self._loop.close()

    def begin(
        self, account: str, job: Job, on_progress: OnProgress, folder: WorkingFolder | None
    ) -> Future[Outcome]:
        """Start a run, from any thread; cancelling what is given cancels the run."""
        outcome: Future[Outcome] = Future()
        if folder is not None:
            folder.take()
        self._loop.call_soon_threadsafe(self._begin, account, job, on_progress, folder, outcome)
        return outcome

    def _begin(
        self,
        account: str,
        job: Job,
        on_progress: OnProgress,
        folder: WorkingFolder | None,
        outcome: Future[Outcome],
    ) -> None:
        if self._closing:
            outcome.set_exception(_stopping(Meaning.NOT_SENT))
            if folder is not None:
                folder.let_go()
            return
        task = self._loop.create_task(self._run(account, job, on_progress, folder))
        self._runs.add(task)
        task.add_done_callback(partial(self._ended, outcome))
        # Not before the task exists: it has to have begun, for the folder's sake, before it is cancelled.
        outcome.add_done_callback(partial(self._cancel, task))

    async def _run(
        self, account: str, job: Job, on_progress: OnProgress, folder: WorkingFolder | None
    ) -> Outcome:
        try:
            return await self._engines.run(account, job, on_progress)
        finally:
            if folder is not None:
                await asyncio.to_thread(folder.let_go)

    def _cancel(self, task: asyncio.Task[Outcome], outcome: Future[Outcome]) -> None:
        if outcome.cancelled():
            with suppress(RuntimeError):  # the loop has been closed
                self._loop.call_soon_threadsafe(task.cancel)

    def _ended(self, outcome: Future[Outcome], task: asyncio.Task[Outcome]) -> None:
        self._runs.discard(task)
        error = None if task.cancelled() else task.exception()
        made = task.result() if not task.cancelled() and error is None else None
        if not outcome.set_running_or_notify_cancel():  # nobody waits for it any more
            if made is not None:
                remove_temporary(made)
        elif made is not None:
            outcome.set_result(made)
        else:
            outcome.set_exception(error or _stopping(Meaning.RESUMABLE))

    def close(self) -> None:
        """Cancel the runs, wait until they have settled their jobs, and end the thread. Blocking."""
        if not self._thread.is_alive():
            return
        ended = asyncio.run_coroutine_threadsafe(self._wind_up(), self._loop)
        try:
            ended.result(self._engines.patience + 2 * _BESIDES)
        except Exception:  # noqa: BLE001 (what is left undone is found and settled by the next process)
            _log.exception("Not everything could be ended.")
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_BESIDES)

    async def _wind_up(self) -> None:
        """Cancel the runs alone: what they shield, such as a submit, comes to its end and is recorded."""
        self._closing = True
        for task in self._runs:
            task.cancel()
        if self._runs:
            await asyncio.wait(self._runs, timeout=self._engines.patience)
        async with asyncio.timeout(_BESIDES):
            await self._engines.close()


class Runtime:
    """Runs jobs on a loop of its own in a background thread, which starts with the first of them.

    Args:
        load: reads the settings; called in a thread before every job, so that changes count at once.
    """

    def __init__(self, load: LoadSettings) -> None:
        self._load = load
        # A signal's handler may close it in the middle of anything that the main thread does.
        self._lock = threading.RLock()
        self._closed = False
        self._running: _Running | None = None

    async def run(
        self, account: str, job: Job, on_progress: OnProgress, folder: WorkingFolder | None = None
    ) -> Outcome:
        """Run one job, awaited from any loop.

        Whoever is cancelled while waiting is free at once: the provider is told in the background.

        Args:
            account: name of the credentials.
            job: what to do.
            on_progress: is called in the background thread.
            folder: where the job's source is; held until the run has really ended.

        Raises:
            RemoteUpscaleError: it could not be done, or the runtime is closed.
        """
        outcome = self._begun().begin(account, job, on_progress, folder)
        try:
            return await asyncio.wrap_future(outcome)
        except asyncio.CancelledError:
            if outcome.done() and not outcome.cancelled() and outcome.exception() is None:
                remove_temporary(outcome.result())  # it came at the very moment at which nobody wanted it
            raise

    def close(self) -> None:
        """Cancel what is running, tell the providers, settle the jobs, and end. Blocking, for some seconds.

        It takes as long as the settings allow for a cancellation, and a few seconds more, at most. A closed
        runtime runs nothing any more.
        """
        with self._lock:
            self._closed = True
            running = self._running
        if running is not None:
            running.close()

    def _begun(self) -> _Running:
        with self._lock:
            if self._closed:
                raise _stopping(Meaning.NOT_SENT)
            if self._running is None:
                self._running = _Running(self._load)
            return self._running


def remove_temporary(outcome: Outcome) -> None:
    """Remove a result's file where it is its receiver's to remove."""
    if outcome.temporary:
        outcome.path.unlink(missing_ok=True)


def _stopping(meaning: Meaning) -> Cancelled:
    return Cancelled(
        "ComfyUI is shutting down.",
        hint="Run the same again after restarting; a result that is paid for is then fetched.",
        meaning=meaning,
    )
