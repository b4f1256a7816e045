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
import numpy as np
import numpy.typing as npt
import torch

from ...api_clients.errors import InvalidInput
from ...api_clients.files.open_video import DAMAGED, OpenVideo
from ...api_clients.files.packets import frames_in, packets_of
from ...api_clients.files.turn import Turn
from .audio import other_sound, read_audio
from .colour import Colour
from .converter import Converter
from .parallel import single_threaded_opencv
from .quantize import Floats
from .stopping import go_on
from .timeline import Timeline, opened, read_timeline

_CONVERTERS = 2
_WAITING = 3
"""Decoded frames that wait for their conversion."""
_TRIES = 3
"""Key frames that are tried, one before the other, until the clip is decoded from its beginning."""
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
        as_codes: whether the frames are not to be converted, so that HDR is welcome.
        colour: how the codes are meant; known from the first frame on.
        warnings: what is odd, as sentences; complete when all frames are decoded.
    """

    path: Path
    timeline: Timeline
    as_codes: bool = False
    colour: Colour | None = None
    warnings: list[str] = field(default_factory=list)
    _size: tuple[int, int, Turn] | None = None
    _damaged: int = 0

    def decode(self, wanted: npt.NDArray[np.int64]) -> Iterator[tuple[int, av.VideoFrame]]:
        """Decode frames. Blocking.

        A frame that cannot be decoded is stood in for by the one before it, or the next where there is none;
        those at the end of which that is true are left out.

        Args:
            wanted: indices of stored frames, ascending, none twice.

        Yields:
            Each index, and its frame as decoded; all are of the same size, and turned the same way.

        Raises:
            InvalidInput: none of them can be decoded, one differs from the first in size, or it is HDR.
        """
        pending = deque(wanted.tolist())
        lost = 0
        before: av.VideoFrame | None = None
        for index, frame, clip in self._from(pending[0]):
            while pending and pending[0] <= index:
                lost += pending[0] < index
                chosen = frame if before is None or pending[0] == index else before
                self._look_at(chosen, clip)
                yield pending.popleft(), chosen
            if not pending:
                break
            before = frame
        if len(pending) == len(wanted):
            raise InvalidInput(
                f"None of the {len(wanted)} frames asked for can be decoded from {self.path}.",
                hint="Get the clip again, or read a range without these frames.",
            )
        self._warn(lost, len(pending))

    def _from(self, first: int) -> Iterator[tuple[int, av.VideoFrame, OpenVideo]]:
        """Decoded frames and their indices, ascending, from ``first`` on or before, if it can be had."""
        for begin in self._beginnings(first):
            with opened(self.path, threads=0) as (_, clip):
                frames = self._frames(clip, begin)
                found = next((pair for pair in frames if pair[0] >= first or begin is None), None)
                if begin is not None and (found is None or found[0] > first):
                    continue  # that seek did not lead there
                if found is not None:
                    yield (*found, clip)
                yield from ((*pair, clip) for pair in frames)
                return

    def _beginnings(self, first: int) -> Iterator[int | None]:
        """Times to seek to for a frame, until a try does not fail; ``None`` is the clip's beginning."""
        times = self.timeline.times
        if times is not None and not self.timeline.counted:
            before = sorted(key for key in self.timeline.keys if key <= times[first])
            # Not for the first key frame: the beginning is as near.
            yield from before[:0:-1][:_TRIES]
        yield None

    def _frames(self, clip: OpenVideo, begin: int | None) -> Iterator[tuple[int, av.VideoFrame]]:
        times = self.timeline.times
        if begin is not None:
            try:
                clip.container.seek(begin, stream=clip.video)
            except DAMAGED:
                return
        latest = -1
        for packet in packets_of(clip.container, clip.video):
            for frame in frames_in(packet):
                go_on()
                index = latest + 1
                if times is not None and not self.timeline.counted:
                    index = -1 if frame.pts is None else int(np.searchsorted(times, frame.pts))
                    if not 0 <= index < len(times) or times[index] != frame.pts:
                        continue
                if index > latest:
                    latest = index
                    yield index, frame

    def _look_at(self, frame: av.VideoFrame, clip: OpenVideo) -> None:
        self._damaged += frame.is_corrupt
        size = frame.width, frame.height, Turn.of(frame)
        if self._size is None:
            self._size = size
            self.warnings += [*self.timeline.warnings, *_warnings_about(frame, clip)]
            if not self.as_codes:
                self.colour = Colour.of(frame, clip.video.codec_context)
                self.warnings += self.colour.notes
        elif size != self._size:
            raise InvalidInput(
                f"The frame size of {self.path} changes from {self._size[0]} x {self._size[1]} to "
                f"{size[0]} x {size[1]} partway through.",
                hint="Cut the clip where its size changes.",
            )

    def _warn(self, lost: int, cut: int) -> None:
        if self._damaged:
            self.warnings.append(f"{self._damaged} frames are damaged and were reconstructed by guessing.")
        if lost:
            self.warnings.append(f"{lost} frames cannot be decoded; those beside them are shown instead.")
        if cut:
            self.warnings.append(f"The last {cut} frames cannot be decoded and were left out.")


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
    timeline = read_timeline(path)
    indices = timeline.frame_index[start::stride][:count]
    if not len(indices):
        raise InvalidInput(
            f"The clip has {len(timeline.frame_index)} frames; there is none from number {start} on.",
            hint="Start earlier.",
        )
    decoder = Decoder(path, timeline)
    images = _read_images(decoder, indices, max_bytes, exact=exact)
    whole = start == 0 and (count is None or start + count * stride >= len(timeline.frame_index))
    length = None if whole else len(indices) * stride / timeline.rate
    audio = None
    if timeline.sound_tracks:
        audio = read_audio(path, timeline.start + start / timeline.rate, length)
        decoder.warnings += other_sound(timeline.sound_tracks)
    return Frames(images, audio, timeline.rate / stride, tuple(decoder.warnings))


def images_of(decoder: Decoder, indices: npt.NDArray[np.int64]) -> Iterator[torch.Tensor]:
    """Frames as pictures [H, W, 3], one by one, in the memory of a few. Blocking.

    Args:
        decoder: of the clip.
        indices: indices of stored frames, ascending; those that come twice are yielded twice.
    """
    repeats = _rows(indices)
    converter: Converter | None = None
    for index, frame in decoder.decode(np.array(list(repeats))):
        assert decoder.colour is not None
        converter = converter or Converter(decoder.colour)
        image: Floats = np.empty(_shape(frame), np.float32)
        _convert(frame, image, converter)
        for _ in repeats[index]:
            yield torch.from_numpy(image)


def codes_of(decoder: Decoder, indices: npt.NDArray[np.int64]) -> Iterator[av.VideoFrame]:
    """As ``images_of``, as decoded."""
    repeats = _rows(indices)
    for index, frame in decoder.decode(np.array(list(repeats))):
        for _ in repeats[index]:
            yield frame


def _read_images(
    decoder: Decoder, indices: npt.NDArray[np.int64], max_bytes: int | None, *, exact: bool
) -> torch.Tensor:
    rows = _rows(indices)
    images: Floats | None = None
    waiting: deque[Future[None]] = deque()
    own: _Own | None = None
    filled = 0
    with single_threaded_opencv(), ThreadPoolExecutor(_CONVERTERS, "remote-upscale-colour") as pool:
        for index, frame in decoder.decode(np.array(list(rows))):
            if images is None:
                images = _allocate((len(indices), *_shape(frame)), max_bytes)
            if own is None:
                assert decoder.colour is not None
                own = _Own(decoder.colour, exact)
            while len(waiting) >= _WAITING:
                waiting.popleft().result()
            waiting.append(pool.submit(_fill, images, rows[index], frame, own))
            filled = rows[index][-1] + 1
        for conversion in waiting:
            conversion.result()
    assert images is not None
    return torch.from_numpy(images[:filled])


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
    turn = Turn.of(frame)
    if not turn:
        converter.convert(frame, image)
        return
    upright: Floats = np.empty((frame.height, frame.width, 3), np.float32)
    converter.convert(frame, upright)
    if turn.transposed:
        upright = upright.transpose(1, 0, 2)
    image[:] = upright[:: -1 if turn.flipped else 1, :: -1 if turn.mirrored else 1]


def _shape(frame: av.VideoFrame) -> tuple[int, int, int]:
    width, height = Turn.of(frame).shown((frame.width, frame.height))
    return height, width, 3


def _has_alpha(frame: av.VideoFrame, clip: OpenVideo) -> bool:
    if frame.format.name == "pal8":
        return False  # the palette of AVI and MOV has none, whatever the format could hold
    # VP8 and VP9 have it in packets beside the frames', which libav's own decoders do not read.
    beside = clip.video.metadata.get("alpha_mode") == "1"
    return beside or any(component.is_alpha for component in frame.format.components)


def _warnings_about(frame: av.VideoFrame, clip: OpenVideo) -> list[str]:
    warnings: list[str] = []
    if frame.interlaced_frame:
        warnings.append("The clip is interlaced: each frame holds two moments. Deinterlace it first.")
    if frame.rotation % 90:
        warnings.append(f"The clip asks to be rotated by {frame.rotation} degrees, which was not done.")
    aspect = clip.video.sample_aspect_ratio
    if aspect and aspect != 1:
        warnings.append(
            f"The clip's pixels are not square (aspect ratio {aspect}); they were kept as they are."
        )
    if _has_alpha(frame, clip):
        warnings.append("The clip has alpha, which was left out.")
    return warnings
