"""Asking a provider for a job whose submit was never answered."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from ..errors import RemoteUpscaleError
from ..http.retry import retrying
from ..http_messages import Reply, Request
from ..ledger import JobRow, JobState, Ledger, link_digest
from ..models import Model
from ..providers.base import Found, Handle
from .channel import Channel

_log = logging.getLogger(__name__)
_BEFORE, _AFTER = timedelta(minutes=2), timedelta(minutes=15)
"""How far the provider's clock may be off, and how late a submit may arrive."""
_MOST_PAGES = 10
_FRESH = timedelta(minutes=1)
_PAUSES = (0, 1, 2, 4)
"""Waits before each look for a job that was sent just now, in floors: it may not be listed yet."""


class Finder:
    """Looks for jobs at their providers.

    Args:
        ledger: knows which jobs are known already.
        models: the upscalers there are.
        channel: gives the line to a provider, by name.
        floor: seconds between two requests for one job, at least.
    """

    def __init__(
        self, ledger: Ledger, models: Mapping[str, Model], channel: Callable[[str], Channel], floor: float
    ) -> None:
        self._ledger = ledger
        self._models = models
        self._channel = channel
        self._floor = floor
        self._one_at_a_time = asyncio.Lock()

    def can_ask(self, row: JobRow) -> bool:
        """Whether a job is one that its provider can be asked for."""
        model = self._models.get(row.model)
        if model is None or row.state is not JobState.UNKNOWN or row.sent is None or row.link is None:
            return False
        return self._channel(model.provider).provider.find(model, row.sent, row.sent) is not None

    async def find(self, row: JobRow) -> JobRow | None:
        """The job as it is once it was found; ``None`` where it was not, or nobody can be asked."""
        if not self.can_ask(row) or row.sent is None:
            return None
        async with self._one_at_a_time:  # two that look alike must not both take the same one
            for pause in _PAUSES:
                await asyncio.sleep(pause * self._floor)
                try:
                    handle = await self._look_through(row, row.sent)
                except RemoteUpscaleError as error:
                    _log.info("Job %s could not be looked up: %s", row.id, error)
                    return None
                if handle is not None:
                    return await asyncio.to_thread(self._ledger.look, row.id)
                if datetime.now(UTC) - row.sent > _FRESH:
                    return None
        return None

    async def _look_through(self, row: JobRow, sent: datetime) -> Handle | None:
        model = self._models[row.model]
        channel = self._channel(model.provider)
        page: str | None = None
        for _ in range(_MOST_PAGES):
            request = channel.provider.find(model, sent - _BEFORE, sent + _AFTER, page)
            assert request is not None  # it was asked before whether there is one
            found = await _ask(
                channel,
                request,
                lambda reply: channel.provider.read_found(
                    model, reply, row.parameters, lambda link: link_digest(link) == row.link
                ),
            )
            for handle in found.handles:
                if await asyncio.to_thread(self._ledger.adopt, row.id, handle):
                    return handle
            page = found.next_page
            if page is None:
                return None
        return None


async def _ask(channel: Channel, request: Request, read: Callable[[Reply], Found]) -> Found:
    async for attempt in retrying(channel.settings.time, floor=channel.settings.poll_floor):
        with attempt:
            return read(await channel.call(request, root=channel.provider.history_root))
    raise AssertionError("a retried block ends by returning or raising")
