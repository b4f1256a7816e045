"""Packets of clips from file to file, without decoding."""

# PyAV's own annotations are incomplete.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import errno
import heapq
import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.video.stream import VideoStream

from ...api_clients.errors import InvalidInput
from ...api_clients.files.atomic_write import cannot_write
from ...api_clients.files.open_video import DAMAGED, OpenVideo, exact
from ...api_clients.files.packets import codec_of, packets_of
from ...api_clients.text import clean
from .sound_track import Shared, SoundPlan, add_encoder, encoded, known_sound, sound_plans
from .timeline import Timeline, damage_of, opened, read_timeline

MP4_VIDEO = frozenset({"h264", "hevc", "av1", "vp9", "mpeg4"})
_LARGEST_OF_SYSTEM = 4095
"""Errors with larger numbers are libav's own."""
_LARGEST_CLOCK = (1 << 31) - 1


@dataclass(frozen=True)
class Track:
    """What goes into a file as one stream.

    Attributes:
        source: frames, or sound that may have to be encoded anew.
        packets: of it, as they are stored.
        shift: seconds that they are to be moved by.
    """

    source: VideoStream | SoundPlan
    packets: Iterator[av.Packet[Any]]
    shift: Fraction

    @property
    def stream(self) -> VideoStream | AudioStream:
        """Where the packets are from."""
        return self.source.stream if isinstance(self.source, SoundPlan) else self.source


def copy_range(
    source: Path, destination: Path, timeline: Timeline, first: int, stop: int
) -> list[str] | None:
    """Copy frames and the sound of their time into an MP4 file, if that is possible exactly. Blocking.

    Args:
        source: the clip.
        destination: where to write.
        timeline: of the clip.
        first: index of the first stored frame wanted.
        stop: index behind the last one.

    Returns:
        What had to be done to the sound, as sentences; ``None`` if nothing was copied: if a codec does not
        fit into MP4, ``first`` is no key frame, or frames at the end are decoded by way of later ones.

    Raises:
        InvalidInput: it is damaged.
    """
    times = timeline.times
    if times is None or int(times[first]) not in timeline.keys:
        return None
    begin = int(times[first])
    end = int(times[stop]) if stop < len(times) else None
    with opened(source) as (_, clip):
        decoding = _decoding_times(clip, source, begin, end) if _fits(clip) else None
    if decoding is None:
        return None
    with opened(source) as (_, clip), opened(source) as (_, other):
        shift = -begin * timeline.time_base
        frames = _within(_packets(clip.container, source, clip.video), begin, end, decoding)
        tracks = [Track(clip.video, frames, shift)]
        plans = sound_plans(other.container)
        sound = Shared(_packets(other.container, source, *(plan.stream for plan in plans)))
        for plan in plans:
            tick = exact(plan.stream.time_base) or Fraction(1)
            last = None if end is None else math.ceil(end * timeline.time_base / tick)
            start = int(begin * timeline.time_base / tick) if first else None
            tracks.append(Track(plan, _overlapping(sound.of(plan.stream), start, last), shift))
        write_packets(destination, *tracks)
    copied = read_timeline(destination)
    if copied.frames != stop - first:
        destination.unlink()
        return None
    return [f"The sound was put into it {plan.words}." for plan in plans if plan.words]


def _packets(
    container: InputContainer, path: Path, *streams: VideoStream | AudioStream
) -> Iterator[av.Packet[Any]]:
    with damage_of(path):
        yield from (packet for packet in packets_of(container, *streams) if packet.size)


def _fits(clip: OpenVideo) -> bool:
    sound = known_sound(clip.container)
    return codec_of(clip.video) in MP4_VIDEO and (not sound or bool(sound_plans(clip.container)))


def _decoding_times(clip: OpenVideo, path: Path, begin: int, end: int | None) -> list[int] | None:
    """When each packet of a range is to be decoded, in the order they are stored; Matroska does not say it.

    ``None`` if a frame of the range is stored behind one that comes after the range: it may need that one.
    """
    stored: list[int] = []
    beyond = False
    for packet in _packets(clip.container, path, clip.video):
        if packet.pts is None:
            return None
        if end is not None and packet.pts >= end:
            beyond = True
        elif packet.pts >= begin:
            if beyond:
                return None
            stored.append(packet.pts)
    in_order = sorted(stored)
    delay = max((first - second for first, second in zip(in_order, stored, strict=True)), default=0)
    return [time - delay for time in in_order]


def _within(
    packets: Iterator[av.Packet[Any]], begin: int, end: int | None, decoding: list[int]
) -> Iterator[av.Packet[Any]]:
    times = iter(decoding)
    for packet in packets:
        if packet.pts is not None and begin <= packet.pts and (end is None or packet.pts < end):
            packet.dts = next(times)
            yield packet


def _overlapping(
    packets: Iterator[av.Packet[Any]], begin: int | None, end: int | None
) -> Iterator[av.Packet[Any]]:
    """Packets that sound within a range, and the one before, which the decoder needs for the first."""
    for packet in packets:
        if packet.pts is None:
            continue
        if begin is not None and packet.pts + 2 * (packet.duration or 0) <= begin:
            continue
        if end is not None and packet.pts >= end:
            return
        yield packet


def write_packets(destination: Path, *tracks: Track) -> None:
    """Write packets to an MP4 file in the order of their times, so that nothing waits in memory. Blocking.

    Args:
        destination: where to write.
        tracks: what goes into the file.

    Raises:
        InvalidInput: MP4 does not take the packets.
        StorageFailed: it cannot be written; whatever reading the packets raises is raised as it is.
    """
    streams = [track.stream for track in tracks]
    ticks = math.lcm(*((exact(stream.time_base) or Fraction(1)).denominator for stream in streams))
    options = {"movflags": "+faststart"}
    if ticks <= _LARGEST_CLOCK:
        options["movie_timescale"] = str(ticks)
    try:
        with av.open(str(destination), "w", format="mp4", options=options) as container:
            moved = [_into(container, track) for track in tracks]
            for _, packet in heapq.merge(*moved, key=lambda timed: timed[0]):
                container.mux_one(packet)
    except (*DAMAGED, OSError) as error:
        destination.unlink(missing_ok=True)
        number = getattr(error, "errno", None)
        reason = getattr(error, "strerror", None) or clean(error)
        if number is None or number == errno.EINVAL or number > _LARGEST_OF_SYSTEM:
            raise InvalidInput(f"The clip cannot be put into MP4: {reason}.", hint="Save it again.") from None
        raise cannot_write(destination, OSError(number, reason)) from None
    except BaseException:
        destination.unlink(missing_ok=True)
        raise


def _into(container: OutputContainer, track: Track) -> Iterator[tuple[Fraction, av.Packet[Any]]]:
    """Add a stream for a track: its packets, and when each is to be decoded, in seconds."""
    if isinstance(track.source, SoundPlan) and track.source.encoder:
        return encoded(track.packets, add_encoder(container, track.source), track.shift)
    return _moved(track.packets, container.add_stream_from_template(track.stream), track.shift)


def _moved(
    packets: Iterator[av.Packet[Any]], target: Any, shift: Fraction
) -> Iterator[tuple[Fraction, av.Packet[Any]]]:
    for packet in packets:
        tick = exact(packet.time_base) or Fraction(1)
        ticks = round(shift / tick)
        packet.pts = None if packet.pts is None else packet.pts + ticks
        packet.dts = None if packet.dts is None else packet.dts + ticks
        packet.stream = target
        yield (packet.dts or 0) * tick, packet
