"""When each frame of a clip is shown, read from the container without decoding."""

# PyAV's own annotations are incomplete.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from collections import deque
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from ...api_clients.errors import InvalidInput
from ...api_clients.files.formats.mp4 import boxes
from ...api_clients.files.formats.structure import Source
from ...api_clients.files.open_video import DAMAGED, OpenVideo, exact, open_video
from ...api_clients.files.packets import codec_of, frames_in, is_shown, packets_of
from ...api_clients.files.probe import MAX_FRAME_PIXELS
from ...api_clients.files.sniff import VIDEO_FORMATS, format_of
from ...api_clients.files.spliced_file import open_input
from ...api_clients.text import clean
from .even_rate import even, without_times

_REORDERED = frozenset({"h264", "hevc", "mpeg4", "mpeg1video", "mpeg2video", "vc1", "wmv3", "vvc"})
"""Codecs whose frames may be stored in another order than they are shown in."""
_MOST_LEADING = 400
"""Packets that are decoded to see which pictures at the beginning of a cut clip can be had."""


@dataclass(frozen=True)
class Timeline:
    """The frames of a clip in the order they are shown.

    Attributes:
        format: of the container, one of ``VIDEO_FORMATS``.
        time_base: seconds of one unit of ``times``.
        times: of each frame, ascending, in units of ``time_base``; ``None`` where the container does not
            say them.
        keys: those of ``times`` where decoding can start.
        counted: whether a decoded frame is told by how many came before it, as the container does not store
            the time at which it is shown.
        frame_index: for each tick of the even rate, the index of the frame shown then.
        rate: frames a second, even.
        sound_tracks: how many there are.
        warnings: what is odd, as sentences.
    """

    format: str
    time_base: Fraction
    times: npt.NDArray[np.int64] | None
    keys: frozenset[int]
    frame_index: npt.NDArray[np.int64]
    rate: Fraction
    sound_tracks: int
    warnings: tuple[str, ...]
    counted: bool = False

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
    for packet in packets_of(clip.container, clip.video):
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
        self._codec = codec_of(clip.video)
        self._stamps: list[int | None] = []
        self._stored_at: list[int | None] = []
        self._keys: list[int] = []
        self._stored = self._last = 0
        self._latest = -(1 << 63)

    def add(self, packet: av.Packet[Any]) -> None:
        """Take in the next packet of the frames, in the order they are stored."""
        if not packet.size:
            return
        self._stored += 1
        if packet.is_discard or not is_shown(packet, self._codec):
            return
        self._stamps.append(packet.pts)
        self._stored_at.append(packet.dts)
        if packet.pts is None:
            return
        if packet.pts >= self._latest:
            self._latest, self._last = packet.pts, packet.duration or 0
        if packet.is_keyframe:
            self._keys.append(packet.pts)

    def timeline(self) -> Timeline:
        """The timeline, once all packets were added.

        Raises:
            InvalidInput: there are no frames, some are missing, or their times make no sense.
        """
        if not self._stamps:
            raise InvalidInput(f"There is not one frame in {self._path}.", hint="Save it again.")
        announced = self._clip.video.frames
        if announced > self._stored and self._kind in {"mp4", "mov"} and _is_cut_off(self._path):
            raise InvalidInput(
                f"{self._path} is cut off: {self._stored} of {announced} frames are in it.",
                hint="Download or export it again.",
            )
        known = [stamp for stamp in self._stamps if stamp is not None]
        unique = len(known) == len(self._stamps) == len(set(known))
        if not unique or (self._kind == "avi" and self._codec in _REORDERED):
            return self._counted()
        left_out = self._undecodable(known)
        times = np.sort(np.array([stamp for stamp in known if stamp not in left_out], np.int64))
        return self._made(times, frozenset(self._keys) - left_out, len(left_out))

    def _counted(self) -> Timeline:
        """By the order of decoding: frames are shown at the times at which they are stored."""
        stamps = self._stamps
        left_out = 0
        if self._kind != "avi" or stamps[0] != min(stamp or 0 for stamp in stamps):
            left_out = max(0, len(stamps) - (self._decodable() or len(stamps)))
        known = np.array([stamp for stamp in self._stored_at if stamp is not None], np.int64)
        if len(known) == len(stamps) and bool(np.all(np.diff(known) > 0)):
            return self._made(known[left_out:], None, left_out)
        return self._made(len(stamps) - left_out, None, left_out)

    def _made(
        self, times: npt.NDArray[np.int64] | int, keys: frozenset[int] | None, left_out: int
    ) -> Timeline:
        """The timeline of frames at these times, or of so many; without ``keys`` they are counted."""
        video = self._clip.video
        time_base = exact(video.time_base) or Fraction(1, av.time_base)
        announced = [
            rate for rate in map(exact, (video.average_rate, video.guessed_rate, video.base_rate)) if rate
        ]
        if isinstance(times, int):
            rated = without_times(times, announced)
        else:
            rated = even(times, time_base, announced, self._last)
        return Timeline(
            format=self._kind,
            time_base=time_base,
            times=None if isinstance(times, int) else times,
            keys=keys or frozenset(),
            frame_index=rated.frame_index,
            rate=rated.rate,
            sound_tracks=len(self._clip.container.streams.audio),
            warnings=(*_left_out(left_out), *rated.warnings),
            counted=keys is None,
        )

    def _undecodable(self, stamps: list[int]) -> frozenset[int]:
        """Times of pictures at the beginning that depend on what was cut away.

        They are stored before the first frame where decoding can start, or right behind it, to be shown
        before it. Some of them can be decoded nevertheless, so that is tried.
        """
        first_key = self._keys[0] if self._keys else None
        if stamps[0] == min(stamps) == first_key:
            return frozenset()
        had: set[int] = set()
        with opened(self._path) as (_, clip):
            for number, packet in enumerate(packets_of(clip.container, clip.video)):
                for frame in frames_in(packet):
                    if frame.pts is None:
                        continue
                    had.add(frame.pts)
                    if first_key is None or frame.pts >= first_key:
                        return frozenset(stamp for stamp in stamps if stamp < frame.pts and stamp not in had)
                if number > _MOST_LEADING:
                    break
        return frozenset()

    def _decodable(self) -> int:
        """How many frames there are when all is decoded."""
        with opened(self._path, threads=0) as (_, clip):
            return sum(len(frames_in(packet)) for packet in packets_of(clip.container, clip.video))


def _left_out(count: int) -> tuple[str, ...]:
    if not count:
        return ()
    return (
        f"The clip begins with {count} frames that cannot be decoded, as what they depend on is not in it; "
        "they were left out.",
    )


def _is_cut_off(path: Path) -> bool:
    """Whether an MP4 or MOV ends within a box; its edit list, too, may show fewer frames."""
    with open_input(path) as file:
        source = Source(path, file, "clip")
        try:
            deque(boxes(source, 0, source.size), maxlen=0)
        except InvalidInput:
            return True
    return False
