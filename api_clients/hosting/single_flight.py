"""Doing a thing once for all who want it at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from ..http.progress import Progress, harmless

T = TypeVar("T")


@dataclass
class _Flight(Generic[T]):
    task: asyncio.Task[T]
    waiting: int = 0
    listeners: list[Progress] = field(default_factory=list[Progress])

    def tell(self, done: int, total: int | None) -> None:
        for listener in self.listeners:
            listener(done, total)


class SingleFlight(Generic[T]):
    """Runs one task for each key at a time, and gives its outcome to everyone who asks meanwhile.

    The task is cancelled only when the last one who waits for it is.
    """

    def __init__(self) -> None:
        self._flights: dict[Hashable, _Flight[T]] = {}

    async def run(
        self,
        key: Hashable,
        make: Callable[[Progress], Coroutine[Any, Any, T]],
        progress: Progress | None = None,
    ) -> T:
        """Join the task for ``key``, or start it.

        Args:
            key: what is being done.
            make: gives the coroutine; it is passed a function that tells everyone's progress.
            progress: told of it for as long as the task runs; what it raises is logged.
        """
        flight = self._flights.get(key)
        if flight is None or flight.task.cancelling():
            flight = self._start(key, make)
        listener = harmless(progress) if progress else None
        if listener is not None:
            flight.listeners.append(listener)
        flight.waiting += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.waiting -= 1
            if listener is not None:
                flight.listeners.remove(listener)
            if not flight.waiting and not flight.task.done():
                flight.task.cancel()
                await asyncio.wait([flight.task])

    def _start(self, key: Hashable, make: Callable[[Progress], Coroutine[Any, Any, T]]) -> _Flight[T]:
        async def work() -> T:
            try:
                return await make(flight.tell)
            finally:
                if self._flights.get(key) is flight:
                    del self._flights[key]

        flight: _Flight[T] = _Flight(asyncio.create_task(work()))
        self._flights[key] = flight
        return flight
