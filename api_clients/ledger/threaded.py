"""The ledger for coroutines: in a thread of its own, so that waiting for a database holds up nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from ..uninterrupted import uninterrupted
from .errors import LedgerMisuse
from .store import Ledger

P = ParamSpec("P")
T = TypeVar("T")


class AsyncLedger:
    """Runs the ledger's calls one after another, in the order in which they were made.

    Args:
        ledger: the ledger, which is this one's to close.

    Attributes:
        sync: the ledger itself, for its methods and for threads.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.sync = ledger
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="remote-upscale-ledger")

    async def call(self, step: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run one call, such as ``call(ledger.sync.get, job)``, and return what it returns.

        A call that was made is carried out to its end: whoever is cancelled meanwhile, once or more often,
        waits for that, and so can rely on what the ledger says then.

        Raises:
            CancelledError: the caller was cancelled; the call has ended, and what came of it is not told.
            Exception: what the call raised.
        """
        try:
            running = asyncio.wrap_future(self._thread.submit(partial(step, *args, **kwargs)))
        except RuntimeError:
            raise LedgerMisuse("The ledger is closed.") from None
        return await uninterrupted(running)

    async def close(self) -> None:
        """Close the ledger, after all calls that were made; a cancelled caller waits for it, too."""
        try:
            await self.call(self.sync.close)
        finally:
            self._thread.shutdown(wait=False)
