"""The event loop and the engines that outlive a prompt: ComfyUI gives each prompt a new loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from ..api_clients.engine import Engine, Job, OnProgress, Outcome
from ..api_clients.settings import Settings

LoadSettings = Callable[[str], Settings]
"""Reads the settings with the keys of a named account."""


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
    """Engines by account. All methods run on the runtime's loop."""

    load: LoadSettings
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    by_account: dict[str, _Open] = field(default_factory=dict[str, _Open])

    async def run(self, account: str, job: Job, on_progress: OnProgress) -> Outcome:
        opened = await self._get(account)
        try:
            return await opened.engine.run(job, on_progress)
        finally:
            opened.jobs -= 1
            await self._close_unused(opened)

    async def _get(self, account: str) -> _Open:
        async with self.lock:
            settings = await asyncio.to_thread(self.load, account)
            opened = self.by_account.get(account)
            if opened is None or opened.settings != settings:
                if (
                    opened is not None
                ):  # a key or a limit was changed: who uses it still, ends with the old one
                    del self.by_account[account]
                    opened.retired = True
                    await self._close_unused(opened)
                async with AsyncExitStack() as stack:
                    engine = await stack.enter_async_context(Engine(settings))
                    opened = _Open(settings, engine, stack.pop_all())
                self.by_account[account] = opened
            opened.jobs += 1
            return opened

    async def _close_unused(self, opened: _Open) -> None:
        if opened.retired and not opened.jobs:
            await opened.stack.aclose()

    async def close(self) -> None:
        for opened in self.by_account.values():
            await opened.stack.aclose()
        self.by_account.clear()


class Runtime:
    """Runs jobs on a loop of its own in a background thread, which starts with the first of them.

    Args:
        load: reads the settings; called in a thread before every job, so that changes count at once.
    """

    def __init__(self, load: LoadSettings) -> None:
        self._load = load
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._engines: _Engines | None = None
        self._thread: threading.Thread | None = None

    async def run(self, account: str, job: Job, on_progress: OnProgress) -> Outcome:
        """Run one job, awaited from any loop.

        Whoever is cancelled while waiting is free at once: the provider is told in the background.

        Args:
            account: name of the credentials.
            job: what to do.
            on_progress: is called in the background thread.

        Raises:
            RemoteUpscaleError: it could not be done.
        """
        loop, engines = self._running()
        return await asyncio.wrap_future(
            asyncio.run_coroutine_threadsafe(engines.run(account, job, on_progress), loop)
        )

    def close(self) -> None:
        """End what is running, tell the providers, and stop. Blocking."""
        with self._lock:
            if self._loop is None or self._engines is None or self._thread is None:
                return
            asyncio.run_coroutine_threadsafe(_wind_up(self._engines), self._loop).result()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
            self._loop = self._engines = self._thread = None

    def _running(self) -> tuple[asyncio.AbstractEventLoop, _Engines]:
        with self._lock:
            if self._loop is None or self._engines is None:
                self._loop = asyncio.new_event_loop()
                self._engines = _Engines(self._load)
                self._thread = threading.Thread(
                    target=self._loop.run_forever, name="remote-upscale", daemon=True
                )
                self._thread.start()
            return self._loop, self._engines


async def _wind_up(engines: _Engines) -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await engines.close()
