"""Asking a provider what became of a job whose submit was never answered."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from ..errors import RemoteUpscaleError
from ..ledger import JobRow, JobState, link_digest
from ..models import Model
from ..providers.base import Handle
from ..redaction import get_logger
from .services import Services

_log = get_logger(__name__)
_BEFORE, _AFTER = timedelta(minutes=2), timedelta(minutes=15)
"""How far the provider's clock may be off, and how late a submit may arrive."""
_MOST_PAGES = 10
_FRESH = timedelta(minutes=1)
_PAUSES = (0, 1, 2, 4)
"""Waits before each look for a job that was sent just now, in floors: it may not be listed yet."""


async def reconcile(row: JobRow, services: Services) -> JobRow | None:
    """Find a job in its provider's history, and put it on record as submitted and driven by this process.

    Args:
        row: a job whose submit was never answered.
        services: the provider and the ledger.

    Returns:
        The job as it is now; ``None`` where it was not found, or nobody can be asked.
    """
    model, sent, link = services.models.get(row.model), row.sent, row.link
    if model is None or row.state is not JobState.UNKNOWN or sent is None or link is None:
        return None
    if services.client(model).provider.find(model, sent, sent) is None:
        return None
    for pause in _PAUSES:
        await asyncio.sleep(pause * services.settings.poll_floor)
        try:
            handle = await _look_through(row, model, sent, services)
        except RemoteUpscaleError as error:
            _log.info("Job %s could not be looked up: %s", row.id, error)
            return None
        if handle is not None:
            return await services.ledger.call(services.ledger.sync.get, row.id)
        if datetime.now(UTC) - sent > _FRESH:
            return None
    return None


async def _look_through(row: JobRow, model: Model, sent: datetime, services: Services) -> Handle | None:
    """Go through the provider's list of requests; the first that is this job and nobody else's."""
    client = services.client(model)
    provider = client.provider
    page: str | None = None
    for _ in range(_MOST_PAGES):
        request = provider.find(model, sent - _BEFORE, sent + _AFTER, page)
        assert request is not None  # it was asked before whether there is one
        answer = await client.ask(
            request,
            lambda reply: provider.read_found(
                model, reply, row.parameters, lambda link: link_digest(link) == row.link
            ),
            root=provider.history_root,
        )
        for handle in answer.value.handles:
            if await services.ledger.call(services.ledger.sync.adopt, row.id, handle):
                return handle
        page = answer.value.next_page
        if page is None:
            return None
    return None
