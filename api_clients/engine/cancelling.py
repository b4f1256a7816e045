"""Cancelling a job at its provider, where that exists."""

from __future__ import annotations

import asyncio

from ..errors import RemoteUpscaleError
from ..providers.base import Handle
from ..providers.client import ProviderClient
from ..settings import Settings


async def cancel_at_provider(client: ProviderClient, handle: Handle, settings: Settings) -> tuple[bool, str]:
    """Ask a provider to cancel a job. Never raises an error of ours.

    Returns:
        Whether the provider took the cancellation, and a sentence for the user.
    """
    provider = client.provider
    goes_on = f"job {handle.request_id} goes on and may be charged; "
    goes_on += "the same run again, or `remote-upscale resume`, fetches the result."
    if settings.sandbox:
        goes_on = f"job {handle.request_id} goes on as long as this process runs."
    request = provider.cancel(handle)
    if request is None:
        return False, f"{provider.title} cannot cancel: {goes_on}"
    try:
        async with asyncio.timeout(settings.time.cancel):
            answer = await client.ask_once(request, lambda reply: reply)
    except (RemoteUpscaleError, TimeoutError):
        return False, f"{provider.title} did not answer the cancellation: {goes_on}"
    if provider.read_cancel(answer.value):
        return True, f"Cancelled at {provider.title}. Had it begun, it may still finish and be charged."
    status = answer.value.status
    return False, f"{provider.title} did not take the cancellation (HTTP {status}): {goes_on}"
