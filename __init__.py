"""ComfyUI-Remote-Upscale: pictures and clips go to remote upscalers and come back exact, and paid for once.

Importing this must stay next to free: ComfyUI imports it at every start.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

WEB_DIRECTORY = "./web"
"""What ComfyUI serves to the browser: help pages, and what its frontend cannot translate by itself."""


async def comfy_entrypoint() -> Any:
    """ComfyUI calls this for the pack's nodes.

    Raises:
        ImportError: OpenCV is missing; says how to get it.
    """
    if find_spec("cv2") is None:  # no requirement can ask for it: see install.py
        raise ImportError(
            "Remote Upscale needs OpenCV, and there is none. Run install.py in the pack's folder once, with "
            "the Python that runs ComfyUI; ComfyUI-Manager does so when it installs or repairs the pack."
        )
    from .nodes.extension import RemoteUpscale  # noqa: PLC0415 (nothing of ComfyUI is there outside it)

    return RemoteUpscale()
