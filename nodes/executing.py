"""What the nodes do when they run.

Imported by a node's first run and not at ComfyUI's start, as it needs all that takes long to import.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ..api_clients.models import Model
from . import host
from .image import Batch, upscale_images
from .media.rates import exact_rate
from .media.video_frames import Range, frames_of
from .media.video_read import Frames as ReadFrames
from .media.video_write import write_video
from .options import RunOptions
from .progress import NodeProgress
from .video import Frames, VideoTask, upscale_video


@host.strip_traceback
async def upscaled_images(
    model: Model, image: torch.Tensor, parameters: Mapping[str, object], options: RunOptions, node_id: str
) -> tuple[torch.Tensor, str]:
    """Pictures through a model; the results and the report."""
    with host.working_folder() as folder:
        batch = Batch(model=model, images=image, parameters=parameters, options=options, folder=folder)
        progress = NodeProgress(max(1, len(image)))
        made = await host.run_interruptible(
            upscale_images(batch, host.runtime(), progress), node_id, progress
        )
    host.show_text(node_id, made.words)
    return made.images, made.report


@host.strip_traceback
async def upscaled_video(
    model: Model,
    video: Any,
    *,
    frame_rate: float,
    audio: Mapping[str, Any] | None,
    parameters: Mapping[str, object],
    options: RunOptions,
    node_id: str,
) -> tuple[Path, str]:
    """A VIDEO, or frames with their rate and sound, through a model; the result's file and the report."""
    notes: tuple[str, ...] = ()
    if isinstance(video, torch.Tensor):
        video = Frames(video, exact_rate(frame_rate), audio)
    elif audio is not None:
        notes = ("The node's audio input was not used, because a VIDEO has its own sound.",)
    with host.working_folder(keep=True) as folder:
        task = VideoTask(
            model=model, video=video, parameters=parameters, options=options, folder=folder, notes=notes
        )
        progress = NodeProgress(1)
        made = await host.run_interruptible(upscale_video(task, host.runtime(), progress), node_id, progress)
    host.show_text(node_id, made.words)
    return made.path, made.report


@host.strip_traceback
async def read_frames(video: Any, part: Mapping[str, Any], node_id: str) -> ReadFrames:
    """The frames of a VIDEO, or a part of them: ``part`` has the fields of ``Range``."""
    with host.working_folder() as folder:
        return await host.run_interruptible(
            folder.in_thread(frames_of, video, Range(**part), folder.path), node_id
        )


@host.strip_traceback
async def encoded_video(
    images: torch.Tensor, frame_rate: float, audio: Mapping[str, Any] | None, crf: int, node_id: str
) -> Path:
    """Frames as a clip; its file."""
    with host.working_folder(keep=True) as folder:
        path = folder.path / "frames.mp4"
        work = folder.in_thread(write_video, images, exact_rate(frame_rate), path, audio=audio, crf=crf)
        await host.run_interruptible(work, node_id)
    return path
