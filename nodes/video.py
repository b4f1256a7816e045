"""A clip through an upscaler: from file to file, decoded only where something asks for frames."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch

from ..api_clients.engine import Allowance, Job
from ..api_clients.models import Model
from .media.stopping import in_thread
from .media.video_remux import compare, restore_sound
from .media.video_source import SourceFile, Video, as_file
from .media.video_write import write_video
from .options import RunOptions
from .progress import Board, ended
from .report import Entry, as_json
from .runtime import Runtime


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
class Clip:
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
    folder: Path
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


async def upscale_clip(clip: Clip, runtime: Runtime, board: Board) -> Upscaled:
    """Send a clip to an upscaler.

    Args:
        clip: the clip and what to do.
        runtime: runs the job.
        board: is told of the job.

    Raises:
        RemoteUpscaleError: it could not be done.
    """
    began = time.monotonic()
    clip.model.check(clip.parameters)  # refuses what is wrong before any work is done
    source = await in_thread(_source, clip)
    try:
        job = Job(
            model=clip.model,
            parameters=clip.parameters,
            source=source.path,
            destination=clip.folder / "result.mp4",
            reuse=clip.options.reuse,
            order_unanswered=clip.options.order_unanswered,
            time_limit=clip.options.time_limit,
            allowance=Allowance.of(clip.options.max_cost),
        )
        outcome = await runtime.run(clip.options.account, job, board.listener(0))
        path, notes = await in_thread(_finish, outcome.path, source.path)
    finally:
        board.done(0)
        if source.temporary:
            source.path.unlink(missing_ok=True)
    own = (source.note,) if source.note else ()
    entries = [Entry(outcome, notes=(*clip.notes, *clip.options.unmet(clip.model), *own, *notes))]
    seconds = time.monotonic() - began
    return Upscaled(path, as_json(clip.model, entries, seconds), ended(entries, seconds))


def _source(clip: Clip) -> SourceFile:
    if not isinstance(clip.video, Frames):
        return as_file(clip.video, clip.folder, clip.model.limits)
    path = clip.folder / "frames.mp4"
    write_video(clip.video.images, clip.video.rate, path, audio=clip.video.audio)
    return SourceFile(path, temporary=True, note="The frames were encoded as a clip (H.264, crf 16).")


def _finish(result: Path, source: Path) -> tuple[Path, list[str]]:
    """The result with the source's sound, and what else differs."""
    whole = result.with_name(f"{result.stem}-with-sound.mp4")
    restored = restore_sound(result, source, whole)
    if restored.done:
        result.unlink()
        result = whole
    said = [restored.note] if restored.note else []
    return result, [*said, *compare(source, result)]
