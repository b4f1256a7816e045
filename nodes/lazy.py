"""What is imported when a node first runs, and not when ComfyUI starts."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import Any


async def executing() -> Any:
    """The module ``executing``; imported in a thread, as it takes some tenths of a second the first time."""
    return await asyncio.to_thread(import_module, f"{__package__}.executing")
