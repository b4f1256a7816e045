"""Everything of ComfyUI that the nodes use besides its schema, in one place.

Imports are inside the functions: what stands here is only called in a running ComfyUI.
"""

# ComfyUI is not installed where types are checked.
# pyright: reportMissingImports=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# ruff: noqa: PLC0415
from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from functools import cache, partial, wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from ..api_clients.errors import RemoteUpscaleError
from ..api_clients.files.atomic_write import cannot_write
from ..api_clients.redaction import get_logger
from ..api_clients.settings import Settings
from .progress import NodeProgress
from .runtime import Runtime
from .shutdown import at_shutdown
from .working_folder import WorkingFolder

_Given = ParamSpec("_Given")
_Result = TypeVar("_Result")
_log = get_logger(__name__)

_runs: dict[str, object] = {}
"""The latest run of each node."""
_TICK = 0.1
"""Seconds between two looks at ComfyUI's interrupt flag, which wakes nobody, and at the progress."""
_FOLDER = "remote_upscale"
_BAR = 1000


@cache
def runtime() -> Runtime:
    """The one that all nodes of this process share; closed when the process is to end."""
    shared = Runtime(_settings)
    at_shutdown(shared.close)
    return shared


def _settings(account: str) -> Settings:
    import folder_paths

    # Its name begins with underscores on the disk, so that no HTTP route reaches it.
    return Settings.load(home=Path(folder_paths.get_system_user_directory(_FOLDER)), account=account)


@contextmanager
def working_folder(*, keep: bool = False) -> Generator[WorkingFolder]:
    """A new folder among ComfyUI's temporary files, which it deletes when it starts and when it ends.

    It goes when this node and its jobs have let go of it, which after an interrupt may be later.

    Args:
        keep: leave it there if all went well, for results that are files.
    """
    import folder_paths

    parent = Path(folder_paths.get_temp_directory()) / _FOLDER
    try:
        parent.mkdir(parents=True, exist_ok=True)
        folder = WorkingFolder(Path(tempfile.mkdtemp(dir=parent)))
    except OSError as error:
        raise cannot_write(parent / "a folder", error) from None
    with folder.hold():
        yield folder
        if keep:
            folder.keep()


def strip_traceback(
    run: Callable[_Given, Coroutine[Any, Any, _Result]],
) -> Callable[_Given, Coroutine[Any, Any, _Result]]:
    """Raise our errors as if they came from here: where they arose is noise in ComfyUI's dialog."""

    @wraps(run)
    async def plain(*args: _Given.args, **kwargs: _Given.kwargs) -> _Result:
        try:
            return await run(*args, **kwargs)
        except RemoteUpscaleError as error:
            raise error.with_traceback(None) from None

    return plain


async def run_interruptible(
    work: Coroutine[Any, Any, _Result], node_id: str, progress: NodeProgress | None = None
) -> _Result:
    """Run a node's work until it is done or the user interrupts.

    An interrupt, of this node or because another one failed, is answered at once; what then becomes of the
    jobs at the provider is told on the node, and logged, when it is known.

    Args:
        work: what the node does.
        node_id: of the node.
        progress: what is shown on it; ``None`` where there is nothing to tell.

    Raises:
        InterruptProcessingException: ComfyUI's own, within moments after the user asked for it.
    """
    from comfy.model_management import processing_interrupted, throw_exception_if_processing_interrupted

    show = node_text_sender(node_id)
    run = _runs[node_id] = object()
    task = asyncio.ensure_future(work)
    shown: tuple[int, str] | None = None
    try:
        while not task.done():
            if processing_interrupted():
                throw_exception_if_processing_interrupted()
            if progress is not None and shown != (shown := (round(progress.fraction * _BAR), progress.text)):
                await _show_bar(node_id, shown[0])
                show(shown[1])
            await asyncio.wait({task}, timeout=_TICK)
        return task.result()
    except RemoteUpscaleError as error:
        show(f"failed: {error}")
        raise
    finally:
        if not task.done() and progress is not None:
            show("interrupted")
            progress.give_up(partial(_part, node_id, run, show))
        task.cancel()


def _part(node_id: str, run: object, show: Callable[[str], None], note: str) -> None:
    if _runs.get(node_id) is run:  # else the node says something newer
        show(f"interrupted: {note}")
    _log.info("%s", note)


async def _show_bar(node_id: str, value: int) -> None:
    from comfy_api.latest import ComfyAPI

    try:
        await ComfyAPI().execution.set_progress(value, _BAR, node_id=node_id)
    except Exception:  # noqa: BLE001 (what cannot be shown must not end a job that is paid for)
        _log.exception("The progress of node %s cannot be shown.", node_id)


def show_text(node_id: str, text: str) -> None:
    """Words on a node, for the client that queued the prompt and no other."""
    node_text_sender(node_id)(text)


def node_text_sender(node_id: str) -> Callable[[str], None]:
    """Shows words on a node to the client whose prompt is being run now, also when it has ended since.

    What is given never raises: what cannot be shown must not end a job that is paid for.
    """
    from server import PromptServer

    server = PromptServer.instance
    client = server.client_id

    def show(text: str) -> None:
        if client is None:
            return
        try:
            server.send_progress_text(text, node_id, client)
        except Exception:  # noqa: BLE001 (as above)
            _log.exception("Node %s cannot show: %s", node_id, text)

    return show
