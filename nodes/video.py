"""A clip through an upscaler: from file to file, decoded only where something asks for frames."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch

from ..api_clients.engine import Job, Outcome, SpendLimit
from ..api_clients.errors import RemoteUpscaleError
from ..api_clients.files.atomic_write import cannot_write
from ..api_clients.files.sniff import SUFFIXES
from ..api_clients.models import Model
from ..api_clients.redaction import get_logger
from ..api_clients.text import clean
from .media.stopping import GivenUp
from .media.video_result import Compared, compare
from .media.video_source import SourceFile, Video, as_file
from .media.video_write import write_video
from .options import RunOptions
from .progress import NodeProgress, ended
from .report import Entry, as_json
from .runtime import Runtime, remove_temporary
from .working_folder import WorkingFolder

_log = get_logger(__name__)


@dataclass(frozen=True)
class Frames:
    """A clip as pictures.

    Attributes:
        images: [N,H,W,3] of 0..1.
        rate: frames a second.
        audio: ComfyUI's AUDIO, or ``None``.
    """

    images: torch.Tensor
    rate: Fraction
    audio: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class VideoTask:
    """What a video node was given.

    Attributes:
        model: the upscaler.
        video: ComfyUI's VIDEO, or frames.
        parameters: of the model, as the user set them.
        options: how the job is run.
        folder: an empty one; the result stays there.
        notes: what the report says besides, as sentences.
    """

    model: Model
    video: Video | Frames
    parameters: Mapping[str, object]
    options: RunOptions
    folder: WorkingFolder
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Upscaled:
    """What a video node gives.

    Attributes:
        path: the result's file.
        report: JSON.
        words: what was done, for the node.
    """

    path: Path
    report: str
    words: str


async def upscale_video(task: VideoTask, runtime: Runtime, progress: NodeProgress) -> Upscaled:
    """Send a clip to an upscaler.

    Args:
        task: the clip and what to do.
        runtime: runs the job.
        progress: is told of the job.

    Raises:
        RemoteUpscaleError: it could not be done.
    """
    began = time.monotonic()
    task.model.check(task.parameters)  # refuses what is wrong before any work is done
    try:
        source = await task.folder.in_thread(_source, task)
        job = Job(
            model=task.model,
            parameters=task.parameters,
            source=source.path,
            reuse=task.options.reuse,
            order_unanswered=task.options.order_unanswered,
            time_limit=task.options.time_limit,
            spend_limit=SpendLimit.of(task.options.max_cost),
        )
        outcome = await runtime.run(task.options.account, job, progress.listener(0), task.folder)
        try:
            path, notes = await task.folder.in_thread(_delivered, task, outcome, source)
        finally:
            await asyncio.to_thread(remove_temporary, outcome)
    finally:
        progress.done(0)
    own = (source.note,) if source.note else ()
    entries = [Entry(outcome, notes=(*task.notes, *task.options.unmet(task.model), *own, *notes))]
    seconds = time.monotonic() - began
    return Upscaled(path, as_json(task.model, entries, seconds), ended(entries, seconds))


def _source(task: VideoTask) -> SourceFile:
    if not isinstance(task.video, Frames):
        return as_file(task.video, task.folder.path, task.model.limits)
    path = task.folder.path / "frames.mp4"
    write_video(task.video.images, task.video.rate, path, audio=task.video.audio)
    return SourceFile(path, temporary=True, note="The frames were encoded as a clip (H.264, crf 16).")


def _delivered(task: VideoTask, outcome: Outcome, source: SourceFile) -> tuple[Path, tuple[str, ...]]:
    """The result as a file that stays, with the source's sound; and how it differs from the source."""
    restored = task.folder.path / "result-with-sound.mp4"
    compared = _compared(source.path, outcome.path, restored)
    if source.temporary:
        source.path.unlink(missing_ok=True)
    if compared.restored:
        return restored, compared.notes
    stays = task.folder.path / f"result{SUFFIXES[outcome.format]}"
    _put(outcome, stays)
    return stays, compared.notes


def _compared(source: Path, result: Path, restored: Path) -> Compared:
    """As ``compare``; what goes wrong with it is a note, as the result is there and paid for."""
    try:
        return compare(source, result, restored)
    except GivenUp:
        raise
    except Exception as error:  # noqa: BLE001 (whatever it is)
        _log.warning("A result could not be given its source's sound.", exc_info=True)
        lost = f"The source's sound could not be put back: {_reason(error)}"
    try:
        compared = compare(source, result)
    except Exception as error:  # noqa: BLE001 (whatever it is)
        _log.warning("A result could not be compared with its source.", exc_info=True)
        return Compared(False, (f"The result could not be compared with its source: {_reason(error)}",))
    return Compared(False, (lost, *compared.notes))


def _reason(error: Exception) -> str:
    return error.message if isinstance(error, RemoteUpscaleError) else f"{clean(error)}."


def _put(outcome: Outcome, place: Path) -> None:
    """Have a result's file in another place too, without copying where the system can do that."""
    try:
        if outcome.temporary:
            shutil.move(outcome.path, place)
            return
        try:
            place.hardlink_to(outcome.path)
        except OSError:  # on another file system, or on one that has no links
            shutil.copyfile(outcome.path, place)
    except OSError as error:
        raise cannot_write(place, error) from None
