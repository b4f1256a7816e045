"""Everything of ComfyUI that the nodes use besides its schema, in one place.

Imports are inside the functions: what stands here is only called in a running ComfyUI.
"""

# ComfyUI is not installed where types are checked.
# pyright: reportMissingImports=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# ruff: noqa: PLC0415
from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine, Generator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from ..api_clients.settings import Settings
from .progress import Board
from .runtime import Runtime

_Result = TypeVar("_Result")

_TICK = 0.1
"""Seconds between two looks at ComfyUI's interrupt flag, which wakes nobody, and at the progress."""
_FOLDER = "remote_upscale"
_BAR = 1000


@cache
def runtime() -> Runtime:
    """The one that all nodes of this process share."""
    return Runtime(_settings)


def _settings(account: str) -> Settings:
    import folder_paths

    # Its name begins with underscores on the disk, so that no HTTP route reaches it.
    return Settings.load(home=Path(folder_paths.get_system_user_directory(_FOLDER)), account=account)


@contextmanager
def working_folder(*, keep: bool = False) -> Generator[Path]:
    """A new folder among ComfyUI's temporary files, which it deletes when it starts.

    Args:
        keep: leave it there, for results that are files.
    """
    import folder_paths

    parent = Path(folder_paths.get_temp_directory()) / _FOLDER
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=parent))
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    if not keep:
        shutil.rmtree(folder, ignore_errors=True)


async def attended(work: Coroutine[Any, Any, _Result], board: Board, node_id: str) -> _Result:
    """Run a node's work with its progress on the node, until it is done or the user interrupts.

    Raises:
        InterruptProcessingException: ComfyUI's own, within moments after the user asked for it.
    """
    from comfy.model_management import processing_interrupted, throw_exception_if_processing_interrupted

    task = asyncio.ensure_future(work)
    shown: tuple[int, str] | None = None
    try:
        while not task.done():
            if processing_interrupted():
                show_text(node_id, "interrupted")
                throw_exception_if_processing_interrupted()
            now = round(board.fraction * _BAR), board.text
            if now != shown:
                await _show(node_id, *now)
                shown = now
            await asyncio.wait({task}, timeout=_TICK)
        return task.result()
    finally:
        task.cancel()


async def _show(node_id: str, value: int, text: str) -> None:
    from comfy_api.latest import ComfyAPI

    await ComfyAPI().execution.set_progress(value, _BAR, node_id=node_id)
    show_text(node_id, text)


def show_text(node_id: str, text: str) -> None:
    """Words on a node, for the client that queued the prompt and no other."""
    from server import PromptServer

    server = PromptServer.instance
    if server.client_id is not None:
        server.send_progress_text(text, node_id, server.client_id)
