"""The frames of a clip as pictures."""

# PyAV's and torch's own annotations are incomplete.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
import torch

from ...api_clients.errors import InvalidInput
from ...api_clients.files.open_video import OpenVideo
from .audio import read_audio
from .colour import Colour
from .converter import Converter
from .parallel import single_threaded_opencv
from .quantize import Floats
from .stopping import go_on
from .timeline import Timeline, opened, timeline_of

_CONVERTERS = 2
_WAITING = 3
"""Decoded frames that wait for their conversion."""
_TURNS = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}
_BYTES = 4


@dataclass(frozen=True)
class Frames:
    """What was read of a clip.

    Attributes:
        images: float32 [N, H, W, 3] of 0..1, turned as the clip is to be shown.
        audio: ComfyUI's AUDIO of the same time, ``waveform`` [1, C, T] and ``sample_rate``; ``None`` without.
        rate: frames a second of ``images``.
        notes: what the user should know, as sentences.
    """

    images: torch.Tensor
    audio: dict[str, Any] | None
    rate: Fraction
    notes: tuple[str, ...]


@dataclass
class Decoder:
    """Decodes chosen frames of a clip, in order.

    Attributes:
        path: the clip.
        timeline: of the clip.
        colour: how the codes are meant; known from the first frame on.
        warnings: what is odd, as sentences; complete when all frames are decoded.
    """

    path: Path
    timeline: Timeline
    colour: Colour | None = None
    warnings: list[str] = field(default_factory=list)
    _size: tuple[int, int, int] | None = None
    _damaged: int = 0

    def decode(self, clip: OpenVideo, wanted: npt.NDArray[np.int64]) -> Iterator[av.VideoFrame]:
        """Decode frames. Blocking.

        Args:
            clip: open.
            wanted: indices of stored frames, ascending, none twice.

        Yields:
            Each of them as decoded, all of the same size and rotation.

        Raises:
            InvalidInput: one of them cannot be decoded, differs from the first in size, or is HDR.
        """
        times = self.timeline.times
        marks = wanted if times is None else times[wanted]
        missing = set(marks.tolist())
        # To the first frame's key frame, wherever reading stands.
        clip.container.seek(0 if times is None else int(marks[0]), stream=clip.video)
        for number, frame in enumerate(clip.container.decode(clip.video)):
            go_on()
            mark = number if times is None else frame.pts
            if mark not in missing:
                continue
            missing.discard(mark)
            self._look_at(frame, clip)
            yield frame
            if not missing:
                break
        if missing:
            raise InvalidInput(
                f"{len(missing)} of the {len(marks)} frames asked for cannot be decoded from {self.path}.",
                hint="Get the clip again, or read a range without these frames.",
            )
        if self._damaged:
            self.warnings.append(f"{self._damaged} frames are damaged and were reconstructed by guessing.")

    def _look_at(self, frame: av.VideoFrame, clip: OpenVideo) -> None:
        self._damaged += frame.is_corrupt
        size = frame.width, frame.height, frame.rotation % 360
        if self._size is None:
            self._size = size
            self.colour = Colour.of(frame, clip.video.codec_context)
            self.warnings += [*self.timeline.warnings, *self.colour.notes, *_warnings_about(frame, clip)]
        elif size != self._size:
            raise InvalidInput(
                f"The frame size of {self.path} changes from {self._size[0]} x {self._size[1]} to "
                f"{size[0]} x {size[1]} partway through.",
                hint="Cut the clip where its size changes.",
            )


def read_frames(
    path: Path,
    *,
    start: int = 0,
    count: int | None = None,
    stride: int = 1,
    max_bytes: int | None = None,
    exact: bool = True,
) -> Frames:
    """Read a clip's frames. Blocking. Memory is the result's and that of about ten frames.

    A clip whose frame rate varies is made even by repeating and leaving out frames, which a note says.

    Args:
        path: the clip.
        start: the first frame.
        count: how many frames at most, after ``stride``; ``None`` is all.
        stride: 1 is every frame, 2 every other one, and so on; the rate is divided by it.
        max_bytes: how much memory the pictures may take.
        exact: chroma interpolated; otherwise repeated for all its pixels, which is somewhat faster.

    Raises:
        InvalidInput: it is no clip, damaged, HDR, has no such frames, or would take more than ``max_bytes``;
            nothing but the first frame is decoded before that is known.
    """
    if start < 0 or stride < 1 or (count is not None and count < 1):
        raise InvalidInput(f"These frames cannot be read: start {start}, count {count}, stride {stride}.")
    with opened(path, threads=0) as (kind, clip):
        timeline = timeline_of(kind, clip, path)
        indices = timeline.frame_index[start::stride][:count]
        if not len(indices):
            raise InvalidInput(
                f"The clip has {len(timeline.frame_index)} frames; there is none from number {start} on.",
                hint="Start earlier.",
            )
        decoder = Decoder(path, timeline)
        images = _read_images(decoder, clip, indices, max_bytes, exact=exact)
    whole = start == 0 and (count is None or start + count * stride >= len(timeline.frame_index))
    length = None if whole else len(indices) * stride / timeline.rate
    audio = None
    if timeline.has_audio:
        with opened(path) as (_, clip):
            audio = read_audio(clip.container, timeline.start + start / timeline.rate, length)
    return Frames(images, audio, timeline.rate / stride, tuple(decoder.warnings))


def images_of(decoder: Decoder, clip: OpenVideo, indices: npt.NDArray[np.int64]) -> Iterator[torch.Tensor]:
    """Frames as pictures [H, W, 3], one by one, in the memory of a few. Blocking.

    Args:
        decoder: of the clip.
        clip: open.
        indices: indices of stored frames, ascending; those that come twice are yielded twice.
    """
    repeats = _rows(indices)
    converter: Converter | None = None
    for index, frame in zip(repeats, decoder.decode(clip, np.array(list(repeats))), strict=True):
        assert decoder.colour is not None
        converter = converter or Converter(decoder.colour)
        image: Floats = np.empty(_shape(frame), np.float32)
        _convert(frame, image, converter)
        for _ in repeats[index]:
            yield torch.from_numpy(image)


def _read_images(
    decoder: Decoder, clip: OpenVideo, indices: npt.NDArray[np.int64], max_bytes: int | None, *, exact: bool
) -> torch.Tensor:
    rows = _rows(indices)
    images: Floats | None = None
    waiting: deque[Future[None]] = deque()
    own: _Own | None = None
    with single_threaded_opencv(), ThreadPoolExecutor(_CONVERTERS, "remote-upscale-colour") as pool:
        for index, frame in zip(rows, decoder.decode(clip, np.array(list(rows))), strict=True):
            if images is None:
                images = _allocate((len(indices), *_shape(frame)), max_bytes)
            if own is None:
                assert decoder.colour is not None
                own = _Own(decoder.colour, exact)
            while len(waiting) >= _WAITING:
                waiting.popleft().result()
            waiting.append(pool.submit(_fill, images, rows[index], frame, own))
        for conversion in waiting:
            conversion.result()
    assert images is not None
    return torch.from_numpy(images)


def _rows(indices: npt.NDArray[np.int64]) -> dict[int, list[int]]:
    rows: defaultdict[int, list[int]] = defaultdict(list)
    for row, index in enumerate(indices.tolist()):
        rows[index].append(row)
    return rows


def _allocate(shape: tuple[int, int, int, int], max_bytes: int | None) -> Floats:
    needed = shape[0] * shape[1] * shape[2] * shape[3] * _BYTES
    words = f"{shape[0]} frames of {shape[2]} x {shape[1]} take {_gigabytes(needed)} of memory"
    advice = "Read fewer frames (a range, or every n-th), or a smaller clip."
    if max_bytes is not None and needed > max_bytes:
        raise InvalidInput(f"{words}, more than the {_gigabytes(max_bytes)} allowed.", hint=advice)
    try:
        return np.empty(shape, np.float32)
    except MemoryError:
        raise InvalidInput(f"{words}, which is not available.", hint=advice) from None


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e9:.2g} GB"


class _Own(threading.local):
    """Each thread's own converter."""

    def __init__(self, colour: Colour, exact: bool) -> None:
        """Called in each thread."""
        self.converter = Converter(colour, exact=exact)


def _fill(images: Floats, rows: list[int], frame: av.VideoFrame, own: _Own) -> None:
    """Convert one frame in a thread and put it into its rows."""
    _convert(frame, images[rows[0]], own.converter)
    for row in rows[1:]:
        images[row] = images[rows[0]]


def _convert(frame: av.VideoFrame, image: Floats, converter: Converter) -> None:
    turn = _TURNS.get(frame.rotation % 360)
    if turn is None:
        converter.convert(frame, image)
        return
    upright: Floats = np.empty((frame.height, frame.width, 3), np.float32)
    converter.convert(frame, upright)
    cv2.rotate(upright, turn, image)


def _shape(frame: av.VideoFrame) -> tuple[int, int, int]:
    if frame.rotation % 180 == 90:
        return frame.width, frame.height, 3
    return frame.height, frame.width, 3


def _warnings_about(frame: av.VideoFrame, clip: OpenVideo) -> list[str]:
    warnings: list[str] = []
    if frame.interlaced_frame:
        warnings.append("The clip is interlaced: each frame holds two moments. Deinterlace it first.")
    if frame.rotation % 360 not in {0, *_TURNS}:
        warnings.append(f"The clip asks to be rotated by {frame.rotation} degrees, which was not done.")
    aspect = clip.video.sample_aspect_ratio
    if aspect and aspect != 1:
        warnings.append(
            f"The clip's pixels are not square (aspect ratio {aspect}); they were kept as they are."
        )
    if any(component.is_alpha for component in frame.format.components):
        warnings.append("The clip has alpha, which was left out.")
    return warnings
