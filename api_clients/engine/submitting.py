"""The one request that costs money: sent once, recorded before and after, repeated only when that is safe."""

from __future__ import annotations

import asyncio
import random

from ..errors import RemoteUpscaleError, SubmissionUnknown
from ..http.retry import retrying
from ..http_messages import Request
from ..ledger import link_digest
from ..models import Model
from ..providers.base import Submitted, submission_unknown
from .cancelling import give_up
from .channel import Channel
from .job import Stage
from .work import Work

_LOOKS_EVERY = 0.3
"""Seconds between two looks whether there is a place."""


async def submit(work: Work, request: Request, link: str) -> tuple[Submitted, float | None]:
    """Submit a prepared job and record what became of it.

    Args:
        work: the job.
        request: what to send.
        link: where the provider finds the input.

    Returns:
        What the provider said, and the seconds its ``Retry-After`` asked to wait, if any.

    Raises:
        SubmissionUnknown: it was sent and may have been accepted; never sent again by us.
        RemoteUpscaleError: the provider refused it; nothing was accepted.
        CancelledError: once what became of it is recorded; an accepted job is cancelled at the provider.
    """
    await _take_place(work, link_digest(link))
    sending = asyncio.ensure_future(_send_and_record(work, request))
    try:
        return await asyncio.shield(sending)
    except asyncio.CancelledError:
        await _cancelled_while_sending(work, sending)
        raise


async def _take_place(work: Work, link: str) -> None:
    """Wait until there are fewer jobs of this key at the provider than are allowed, over all processes."""
    most = work.channel.settings.at_once
    while True:
        asking = asyncio.ensure_future(
            asyncio.to_thread(work.ledger.submitting, work.row, link=link, most=most)
        )
        try:
            if await asyncio.shield(asking):
                return
            work.tracker.tell(Stage.QUEUED, note=f"{most} jobs are under way with this key already")
            await asyncio.sleep(_LOOKS_EVERY * random.uniform(0.5, 1.5))  # noqa: S311 (no secret)
        except asyncio.CancelledError:
            await asyncio.wait([asking])
            await asyncio.to_thread(work.ledger.retract, work.row)
            raise


async def _send_and_record(work: Work, request: Request) -> tuple[Submitted, float | None]:
    try:
        submitted, hint = await _send(work.channel, work.model, request)
    except SubmissionUnknown as error:
        await work.record(work.ledger.unknown, None, error)
        raise
    except RemoteUpscaleError as error:
        await work.record(work.ledger.failed, None, error)
        raise
    if submitted.handle is not None:
        await work.record(work.ledger.submitted, submitted.handle, submitted.handle)
    return submitted, hint


async def _send(channel: Channel, model: Model, request: Request) -> tuple[Submitted, float | None]:
    async for attempt in retrying(channel.settings.time, submit=True):
        with attempt:
            try:
                reply = await channel.call(request)
            except RemoteUpscaleError as lost:
                if lost.meaning.not_accepted:
                    raise
                raise submission_unknown(channel.provider.title, lost.message) from None
            return channel.provider.read_submit(model, reply), reply.retry_after
    raise AssertionError("a retried block ends by returning or raising")


async def _cancelled_while_sending(
    work: Work, sending: asyncio.Future[tuple[Submitted, float | None]]
) -> None:
    """The request may be on its way: its reply is worth a moment, as it holds the id of what is paid."""
    await asyncio.wait([sending], timeout=work.channel.settings.time.cancel)
    if not sending.done():
        sending.cancel()
        await asyncio.wait([sending])
    if sending.cancelled():
        gone = submission_unknown(work.channel.provider.title, "interrupted before it answered")
        await work.record(work.ledger.unknown, None, gone)
        work.tracker.tell(Stage.CANCELLED, note=str(gone))
        return
    failure = sending.exception()
    if isinstance(failure, RemoteUpscaleError):  # it is on record already
        if isinstance(failure, SubmissionUnknown):
            work.tracker.tell(Stage.CANCELLED, note=str(failure))
        return
    submitted, _hint = sending.result()
    if submitted.handle is not None:
        await give_up(work.channel, submitted.handle, work.ledger, work.row, work.tracker)
