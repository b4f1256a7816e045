"""Packets of clips from file to file, without decoding."""

# PyAV's own annotations are incomplete.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import heapq
import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeAlias

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.video.stream import VideoStream

from ...api_clients.files.atomic_write import cannot_write
from ...api_clients.files.open_video import DAMAGED, OpenVideo, exact
from ...api_clients.text import clean
from .timeline import Timeline, damage_of, opened, read_timeline

MP4_VIDEO = frozenset({"h264", "hevc", "av1", "vp9", "mpeg4"})
MP4_AUDIO = frozenset({"aac", "mp3", "ac3", "eac3", "alac", "flac", "opus"})
"""What players take in MP4; libav would write more."""
_LARGEST_CLOCK = (1 << 31) - 1

Track: TypeAlias = "tuple[VideoStream | AudioStream, Iterator[av.Packet[Any]], Fraction]"
"""A stream, its packets, and the seconds that they are to be moved by."""


def copy_range(source: Path, destination: Path, timeline: Timeline, first: int, stop: int) -> bool:
    """Copy frames and the sound of their time into an MP4 file, if that is possible exactly. Blocking.

    Args:
        source: the clip.
        destination: where to write.
        timeline: of the clip.
        first: index of the first stored frame wanted.
        stop: index behind the last one.

    Returns:
        Whether it was done: not if a codec does not fit into MP4, ``first`` is no key frame, or frames at the
        end are decoded by way of later ones.

    Raises:
        InvalidInput: it is damaged.
    """
    times = timeline.times
    if times is None or int(times[first]) not in timeline.keys:
        return False
    begin = int(times[first])
    end = int(times[stop]) if stop < len(times) else None
    with opened(source) as (_, clip):
        decoding = _decoding_times(clip, source, begin, end) if _fits(clip) else None
    if decoding is None:
        return False
    with opened(source) as (_, clip), opened(source) as (_, other):
        shift = -begin * timeline.time_base
        frames = _within(_packets(clip.container, clip.video, source), begin, end, decoding)
        tracks: list[Track] = [(clip.video, frames, shift)]
        audio = audio_stream(other.container)
        if audio is not None:
            tick = exact(audio.time_base) or Fraction(1)
            last = None if end is None else math.ceil(end * timeline.time_base / tick)
            start = int(begin * timeline.time_base / tick) if first else None
            packets = _overlapping(_packets(other.container, audio, source), start, last)
            tracks.append((audio, packets, shift))
        write_packets(destination, *tracks)
    copied = read_timeline(destination)
    if copied.frames != stop - first:
        destination.unlink()
        return False
    return True


def audio_stream(container: InputContainer) -> AudioStream | None:
    """The first sound track of a codec that is known."""
    # The wrapper has no context for a codec that it has no decoder for, whatever its type hints say.
    known = [
        stream
        for stream in container.streams.audio
        if stream.codec_context is not None  # pyright: ignore[reportUnnecessaryComparison]
    ]
    return known[0] if known else None


def _packets(
    container: InputContainer, stream: VideoStream | AudioStream, path: Path
) -> Iterator[av.Packet[Any]]:
    with damage_of(path):
        yield from (packet for packet in container.demux(stream) if packet.size)


def _fits(clip: OpenVideo) -> bool:
    audio = audio_stream(clip.container)
    return clip.video.codec_context.name in MP4_VIDEO and (
        audio is None or audio.codec_context.name in MP4_AUDIO
    )


def _decoding_times(clip: OpenVideo, path: Path, begin: int, end: int | None) -> list[int] | None:
    """When each packet of a range is to be decoded, in the order they are stored; Matroska does not say it.

    ``None`` if a frame of the range is stored behind one that comes after the range: it may need that one.
    """
    stored: list[int] = []
    beyond = False
    for packet in _packets(clip.container, clip.video, path):
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
        StorageFailed: it cannot be written; whatever reading the packets raises is raised as it is.
    """
    ticks = math.lcm(*((exact(stream.time_base) or Fraction(1)).denominator for stream, _, _ in tracks))
    options = {"movflags": "+faststart"}
    if ticks <= _LARGEST_CLOCK:
        options["movie_timescale"] = str(ticks)
    try:
        with av.open(str(destination), "w", format="mp4", options=options) as container:
            moved = [
                _moved(packets, container.add_stream_from_template(stream), shift)
                for stream, packets, shift in tracks
            ]
            for _, packet in heapq.merge(*moved, key=lambda timed: timed[0]):
                container.mux_one(packet)
    except (*DAMAGED, OSError) as error:
        destination.unlink(missing_ok=True)
        number = getattr(error, "errno", None)
        reason = getattr(error, "strerror", None) or clean(error)
        raise cannot_write(destination, OSError(number, reason)) from None
    except BaseException:
        destination.unlink(missing_ok=True)
        raise


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
