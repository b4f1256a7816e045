"""Giving up a job that the provider has."""

from __future__ import annotations

import asyncio

from ..errors import Cancelled, RemoteUpscaleError
from ..ledger import Ledger
from ..providers.base import Handle
from .channel import Channel
from .job import Stage
from .tracker import Tracker


async def give_up(channel: Channel, handle: Handle, ledger: Ledger, job: str, tracker: Tracker) -> None:
    """Cancel at the provider where that exists, record what became of it, and tell it."""
    taken, note = await _cancel(channel, handle)
    if taken:
        await asyncio.to_thread(ledger.cancelled, job, note)
    else:
        await asyncio.to_thread(ledger.interrupted, job, Cancelled(note, request_id=handle.request_id))
    tracker.tell(Stage.CANCELLED, note=note)


async def _cancel(channel: Channel, handle: Handle) -> tuple[bool, str]:
    """Whether the provider took the cancellation, and a sentence for the user."""
    title = channel.provider.title
    goes_on = (
        f"job {handle.request_id} goes on and may be charged; "
        "the same run again, or `remote-upscale resume`, fetches it."
    )
    request = channel.provider.cancel(handle)
    if request is None:
        return False, f"{title} cannot cancel: {goes_on}"
    try:
        async with asyncio.timeout(channel.settings.time.cancel):
            reply = await channel.call(request)
    except (RemoteUpscaleError, TimeoutError):
        return False, f"{title} did not answer the cancellation: {goes_on}"
    if channel.provider.read_cancel(reply):
        return True, f"Cancelled at {title}; had it begun, it may still finish and be charged."
    return False, f"{title} did not take the cancellation (HTTP {reply.status}): {goes_on}"
