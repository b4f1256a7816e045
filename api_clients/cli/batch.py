"""Working on many inputs at once, and printing the results in the order of the inputs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial

from ..engine import OnProgress, Progress, Stage
from ..errors import Cancelled, RemoteUpscaleError
from .display import Display
from .interrupts import beside
from .output import Printer, Result
from .progress import choose_display


@dataclass
class Batch:
    """The work on a list of inputs.

    Attributes:
        blank: the result of each input if it fails, without the error.
        work: does the work of one index and returns its result; it is given a callback for its progress.
        request_ids: returns, by index, the providers' ids of jobs that were cancelled.
        printer: prints the results, in the order of the inputs.
        results: those printed so far.
    """

    blank: Sequence[Result]
    work: Callable[[int, OnProgress], Awaitable[Result]]
    request_ids: Callable[[], Awaitable[Mapping[int, str]]]
    printer: Printer
    results: list[Result] = field(default_factory=list[Result])
    _began: dict[int, float] = field(default_factory=dict[int, float])
    _last: dict[int, Progress] = field(default_factory=dict[int, Progress])

    async def run(self) -> list[Result]:
        """Do all the work.

        Raises:
            CancelledError: after all work has stopped and every result has been printed, unfinished ones
                as cancelled.
        """
        display = choose_display([blank.input for blank in self.blank], json=self.printer.json)
        tasks = [asyncio.create_task(self._one(index, display)) for index in range(len(self.blank))]
        try:
            with beside(display.aside):
                await self._print_in_order(tasks, display)
        except asyncio.CancelledError:
            await _stop(tasks)
            await self._print_stopped(tasks, display)
            raise
        finally:
            await _stop(tasks)
            display.close()
        return self.results

    async def _print_in_order(self, tasks: Sequence[asyncio.Task[Result]], display: Display) -> None:
        for task in tasks:
            await asyncio.wait([task])
            self._print(task.result(), display)

    async def _one(self, index: int, display: Display) -> Result:
        self._began[index] = time.monotonic()
        try:
            return await self.work(index, partial(self._report, display, index))
        except RemoteUpscaleError as error:
            return self._failed(index, error)
        finally:
            display.finish(index)

    def _report(self, display: Display, index: int, progress: Progress) -> None:
        self._last[index] = progress
        if progress.stage is not Stage.CANCELLED:  # what became of it is printed as its result
            display.update(index, progress)

    def _failed(self, index: int, error: RemoteUpscaleError) -> Result:
        seconds = time.monotonic() - self._began[index] if index in self._began else 0.0
        return replace(self.blank[index], request_id=error.request_id, seconds=seconds, error=error)

    def _print(self, result: Result, display: Display) -> None:
        self.results.append(result)
        with display.aside():
            self.printer.result(result)

    async def _print_stopped(self, tasks: Sequence[asyncio.Task[Result]], display: Display) -> None:
        request_ids: Mapping[int, str] = {}
        with suppress(RemoteUpscaleError):  # the ledger is out of reach: what was done is told all the same
            request_ids = await self.request_ids()
        for index in range(len(self.results), len(tasks)):
            if not tasks[index].cancelled():
                self._print(tasks[index].result(), display)
                continue
            last = self._last.get(index)
            known = last is not None and last.stage is Stage.CANCELLED and last.note
            why = known or "It was stopped before it was done."
            self._print(self._failed(index, Cancelled(why, request_id=request_ids.get(index))), display)


async def _stop(tasks: Sequence[asyncio.Task[Result]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
