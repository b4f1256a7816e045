"""ComfyUI-Remote-Upscale: pictures and clips go to remote upscalers and come back exact, and paid for once.

Importing this must stay next to free: ComfyUI imports it at every start.
"""

from __future__ import annotations

from typing import Any

WEB_DIRECTORY = "./web"
"""What ComfyUI serves to the browser: help pages, and what its frontend cannot translate by itself."""


async def comfy_entrypoint() -> Any:
    """ComfyUI calls this for the pack's nodes."""
    from .nodes.extension import RemoteUpscale  # noqa: PLC0415 (nothing of ComfyUI is there outside it)

    return RemoteUpscale()
