"""When each frame of a clip is shown, read from the container without decoding."""

# PyAV's own annotations are incomplete.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import numpy.typing as npt

from ...api_clients.errors import InvalidInput
from ...api_clients.files.formats.structure import Source
from ...api_clients.files.open_video import DAMAGED, OpenVideo, exact, open_video
from ...api_clients.files.probe import MAX_FRAME_PIXELS
from ...api_clients.files.sniff import VIDEO_FORMATS, format_of
from ...api_clients.files.spliced_file import open_input
from ...api_clients.text import clean

_STANDARD_RATES = tuple(Fraction(n * 1000, 1001) for n in (24, 30, 48, 60, 120)) + tuple(
    Fraction(n) for n in (24, 25, 30, 48, 50, 60, 100, 120)
)
_JITTER = Fraction(1, 20)
"""Part of a frame's time by which it may be off the even rate, besides the container's own rounding."""
_MOST_REPEATS = 8


@dataclass(frozen=True)
class Timeline:
    """The frames of a clip in the order they are shown.

    Attributes:
        format: of the container, one of ``VIDEO_FORMATS``.
        time_base: seconds of one unit of ``times``.
        times: of each frame, ascending, in units of ``time_base``; ``None`` where the container does not
            say them.
        keys: those of ``times`` where decoding can start.
        frame_index: for each tick of the even rate, the index of the frame shown then.
        rate: frames a second, even.
        has_audio: whether there is an audio track.
        warnings: what is odd, as sentences.
    """

    format: str
    time_base: Fraction
    times: npt.NDArray[np.int64] | None
    keys: frozenset[int]
    frame_index: npt.NDArray[np.int64]
    rate: Fraction
    has_audio: bool
    warnings: tuple[str, ...]

    @property
    def frames(self) -> int:
        """How many frames are stored; ``len(frame_index)`` is how many there are at the even rate."""
        return len(self.frame_index) if self.times is None else len(self.times)

    @property
    def start(self) -> Fraction:
        """Time of the first frame in seconds, on the clip's own clock."""
        return Fraction(0) if self.times is None else int(self.times[0]) * self.time_base


def format_of_video(path: Path) -> str:
    """The format of a clip's container, one of ``VIDEO_FORMATS``, by its first bytes.

    Raises:
        InvalidInput: it is missing, or no clip.
    """
    with open_input(path) as file:
        source = Source(path, file, "clip")
        if not source.size:
            raise InvalidInput(f"{path} is empty.", hint="Give the path of a clip.")
        kind = format_of(source)
    if kind not in VIDEO_FORMATS:
        raise InvalidInput(f"{path} is a picture ({kind}), not a clip.", hint="Give the path of a clip.")
    return kind


@contextmanager
def opened(path: Path, *, threads: int = 1) -> Generator[tuple[str, OpenVideo], None, None]:
    """Open a clip: its format and the clip.

    Raises:
        InvalidInput: it is missing, no clip, or damaged, whether that is seen now or while it is in use.
    """
    kind = format_of_video(path)
    with damage_of(path), open_video(path, kind, max_pixels=MAX_FRAME_PIXELS) as clip:
        if threads != 1:
            clip.video.codec_context.thread_count = threads
            clip.video.codec_context.thread_type = "AUTO"
        yield kind, clip


@contextmanager
def damage_of(path: Path) -> Generator[None]:
    """What libav raises in the block is due to that file.

    Raises:
        InvalidInput: it is damaged.
    """
    try:
        yield
    except DAMAGED as error:
        raise InvalidInput(f"{path} is damaged: {clean(error)}.", hint="Save it again.") from None


def read_timeline(path: Path) -> Timeline:
    """Read when each frame is shown. Blocking; the file is read through once, nothing is decoded.

    Raises:
        InvalidInput: it is no clip, damaged, cut off, without frames, or of times that make no sense.
    """
    with opened(path) as (kind, clip):
        return timeline_of(kind, clip, path)


def timeline_of(kind: str, clip: OpenVideo, path: Path) -> Timeline:
    """As ``read_timeline``, of a clip that is just opened; opening takes far longer than this."""
    reader = TimelineReader(kind, clip, path)
    for packet in clip.container.demux(clip.video):
        reader.add(packet)
    return reader.timeline()


class TimelineReader:
    """Notes when each frame is shown, from packets that somebody else reads.

    Args:
        kind: the container's format.
        clip: open.
        path: of the clip.
    """

    def __init__(self, kind: str, clip: OpenVideo, path: Path) -> None:
        self._kind, self._clip, self._path = kind, clip, path
        self._stamps: list[int | None] = []
        self._keys: set[int] = set()
        self._stored = self._last = 0
        self._latest = -(1 << 63)

    def add(self, packet: av.Packet[Any]) -> None:
        """Take in the next packet of the frames, in the order they are stored."""
        if not packet.size:
            return
        self._stored += 1
        if packet.is_discard:
            return
        self._stamps.append(packet.pts)
        if packet.pts is None:
            return
        if packet.pts >= self._latest:
            self._latest, self._last = packet.pts, packet.duration or 0
        if packet.is_keyframe:
            self._keys.add(packet.pts)

    def timeline(self) -> Timeline:
        """The timeline, once all packets were added.

        Raises:
            InvalidInput: there are no frames, some are missing, or their times make no sense.
        """
        if not self._stamps:
            raise InvalidInput(f"There is not one frame in {self._path}.", hint="Save it again.")
        announced = self._clip.video.frames
        if announced > self._stored and self._kind in {"mp4", "mov"}:
            raise InvalidInput(
                f"{self._path} is cut off: {self._stored} of {announced} frames are in it.",
                hint="Download or export it again.",
            )
        return _timeline(self._kind, self._clip, self._stamps, frozenset(self._keys), self._last)


def _timeline(
    kind: str, clip: OpenVideo, stamps: list[int | None], keys: frozenset[int], last: int
) -> Timeline:
    video = clip.video
    has_audio = bool(clip.container.streams.audio)
    time_base = exact(video.time_base) or Fraction(1, av.time_base)
    announced = [
        rate for rate in map(exact, (video.average_rate, video.guessed_rate, video.base_rate)) if rate
    ]
    known = [stamp for stamp in stamps if stamp is not None]
    if len(known) < len(stamps) or len(set(known)) < len(known):
        rate = announced[0] if announced else Fraction(25)
        warnings = (
            ()
            if announced
            else ("The clip does not state its frame rate; 25 frames per second were assumed.",)
        )
        return Timeline(kind, time_base, None, frozenset(), np.arange(len(stamps)), rate, has_audio, warnings)
    times = np.sort(np.array(known, np.int64))
    rate = _even_rate(times, time_base, announced)
    if rate is not None:
        return Timeline(kind, time_base, times, keys, np.arange(len(times)), rate, has_audio, ())
    return _resampled(kind, time_base, times, keys, last, has_audio=has_audio)


def _even_rate(
    times: npt.NDArray[np.int64], time_base: Fraction, announced: list[Fraction]
) -> Fraction | None:
    """The rate at which the frames are an even distance apart; ``None`` if they are not."""
    if len(times) == 1:
        return announced[0] if announced else Fraction(25)
    measured = (len(times) - 1) / (int(times[-1] - times[0]) * time_base)
    near = sorted(_STANDARD_RATES, key=lambda rate: abs(rate - measured))[:1]
    seconds = (times - times[0]).astype(np.float64) * float(time_base)
    for rate in (*announced, *near, measured):
        even = np.arange(len(times)) / float(rate)
        if np.abs(seconds - even).max() <= float(time_base + _JITTER / rate):
            return rate
    return None


def _resampled(
    kind: str,
    time_base: Fraction,
    times: npt.NDArray[np.int64],
    keys: frozenset[int],
    last: int,
    *,
    has_audio: bool,
) -> Timeline:
    steps = np.diff(times)
    step: int = Counter(cast("list[int]", steps.tolist())).most_common(1)[0][0]
    count = round((int(times[-1] - times[0]) + max(last, step)) / step)
    if count > _MOST_REPEATS * len(times) + 100:
        raise InvalidInput(
            f"The clip's {len(times)} frames are so uneven in time that {count} frames would be needed.",
            hint="Convert it to a constant frame rate first.",
        )
    ticks = times[0] + np.arange(max(1, count), dtype=np.int64) * step
    frame_index = np.searchsorted(times, ticks + step // 2, side="right") - 1
    rate = 1 / (step * time_base)
    left_out = len(times) - len(np.unique(frame_index))
    warning = (
        f"The clip's frame rate varies; it was converted to a constant {float(rate):.6g} frames per second: "
        f"{len(frame_index) - (len(times) - left_out)} frames were repeated and {left_out} left out."
    )
    return Timeline(kind, time_base, times, keys, frame_index, rate, has_audio, (warning,))
