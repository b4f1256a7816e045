"""ComfyUI's VIDEO as pictures, or a part of it."""

# PyAV's and torch's own annotations are incomplete.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ...api_clients.errors import InvalidInput
from .timeline import read_timeline
from .video_read import Frames, read_frames
from .video_source import Video, is_made_of_images, stored_file, window


@dataclass(frozen=True, kw_only=True)
class Range:
    """Which frames, and how.

    Attributes:
        start: the first one.
        count: how many at most, after ``stride``; ``None`` is all.
        stride: 1 is every frame, 2 every other one; the rate is divided by it.
        max_bytes: how much memory the pictures may take; ``None`` is any.
        exact: as in ``read_frames``.
    """

    start: int = 0
    count: int | None = None
    stride: int = 1
    max_bytes: int | None = None
    exact: bool = True


def frames_of(video: Video, part: Range, folder: Path) -> Frames:
    """Frames of a VIDEO. Blocking. Of a trimmed one, ``part`` counts from where the trimmed part begins.

    Args:
        video: ComfyUI's VIDEO.
        part: which frames.
        folder: for a file, where the VIDEO holds its bytes in memory.

    Raises:
        InvalidInput: it cannot be read, has no such frames, or they would take too much memory.
    """
    if is_made_of_images(video):
        return _of_images(video.get_components(), part)
    with stored_file(video, folder) as path:
        start, length = video.get_active_trim_window()
        first, most = part.start, part.count
        if start or length:
            timeline = read_timeline(path)
            begin, stop = window(timeline, Fraction(start), Fraction(length))
            ticks = np.flatnonzero((timeline.frame_index >= begin) & (timeline.frame_index < stop))
            left = -(-(len(ticks) - part.start) // part.stride)
            if left < 1:
                raise InvalidInput(
                    f"The trimmed clip has {len(ticks)} frames; there is none from number {part.start} on.",
                    hint="Start earlier.",
                )
            first, most = int(ticks[0]) + part.start, min(left, part.count or left)
        return read_frames(
            path,
            start=first,
            count=most,
            stride=part.stride,
            max_bytes=part.max_bytes,
            exact=part.exact,
        )


def _of_images(parts: Any, part: Range) -> Frames:
    images: torch.Tensor = parts.images[part.start :: part.stride][: part.count]
    if not len(images):
        raise InvalidInput(
            f"The clip has {len(parts.images)} frames; there is none from number {part.start} on.",
            hint="Start earlier.",
        )
    rate = Fraction(parts.frame_rate)
    audio = parts.audio or None
    if audio is not None:
        begin = round(part.start / rate * audio["sample_rate"])
        end = begin + round(len(images) * part.stride / rate * audio["sample_rate"])
        whole = part.start == 0 and part.start + len(images) * part.stride >= len(parts.images)
        audio = audio if whole else {**audio, "waveform": audio["waveform"][..., begin:end]}
    return Frames(images, audio, rate / part.stride, ())
