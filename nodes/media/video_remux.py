"""Packets of clips from file to file, without decoding: sound put back, ranges cut out."""

# PyAV's own annotations are incomplete.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import heapq
import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeAlias

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.video.stream import VideoStream

from ...api_clients.files.open_video import DAMAGED, OpenVideo, exact
from .timeline import Timeline, opened, read_timeline

_MP4_PICTURE = frozenset({"h264", "hevc", "av1", "vp9", "mpeg4"})
_MP4_SOUND = frozenset({"aac", "mp3", "ac3", "eac3", "alac", "flac", "opus"})
"""What players take in MP4; libav would write more."""
_LARGEST_CLOCK = (1 << 31) - 1
_SAME_LENGTH = Fraction(1, 20)
"""Seconds by which sound may differ: codecs fill up their blocks."""

_Track: TypeAlias = "tuple[VideoStream | AudioStream, Iterator[av.Packet[Any]], Fraction]"
"""A stream, its packets, and the seconds that they are to be moved by."""


@dataclass(frozen=True)
class Restored:
    """Whether sound was put back, and what the user should know of it (empty if nothing)."""

    done: bool
    note: str = ""


def restore_sound(result: Path, source: Path, destination: Path) -> Restored:
    """Copy a result with its source's sound into an MP4 file, if it has none of its own. Blocking.

    Neither is encoded anew: every packet stays as it is.

    Args:
        result: clip as the provider gave it.
        source: clip that was sent.
        destination: where to write; written only if the sound was put back.

    Raises:
        InvalidInput: one of the files is no clip, or damaged.
    """
    with opened(result) as (_, made), opened(source) as (_, given):
        sound = _sound(given.container)
        if sound is None or made.container.streams.audio:
            return Restored(done=False)
        if sound.codec_context.name not in _MP4_SOUND:
            return Restored(
                done=False,
                note=f"The sound ({sound.codec_context.name}) does not fit into MP4; it is left out.",
            )
        if made.video.codec_context.name not in _MP4_PICTURE:
            return Restored(
                done=False,
                note=f"The result ({made.video.codec_context.name}) does not fit into MP4; it has no sound.",
            )
        shift = _start(made.video) - _start(given.video)
        _write(
            destination,
            (made.video, _packets(made.container, made.video), Fraction(0)),
            (sound, _packets(given.container, sound), shift),
        )
    return Restored(done=True, note="The source's sound was put back.")


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
        decoding = _decoding_times(clip, begin, end) if _fits(clip) else None
    if decoding is None:
        return False
    with opened(source) as (_, clip), opened(source) as (_, other):
        shift = -begin * timeline.clock
        pictures = _within(_packets(clip.container, clip.video), begin, end, decoding)
        tracks: list[_Track] = [(clip.video, pictures, shift)]
        sound = _sound(other.container)
        if sound is not None:
            tick = exact(sound.time_base) or Fraction(1)
            last = None if end is None else math.ceil(end * timeline.clock / tick)
            start = int(begin * timeline.clock / tick) if first else None
            packets = _overlapping(_packets(other.container, sound), start, last)
            tracks.append((sound, packets, shift))
        _write(destination, *tracks)
    copied = read_timeline(destination)
    if copied.frames != stop - first:
        destination.unlink()
        return False
    return True


def compare(source: Path, result: Path) -> tuple[str, ...]:
    """How a result differs from its source in time and sound, as sentences; none if not at all. Blocking.

    Raises:
        InvalidInput: one of the files is no clip, or damaged.
    """
    given, made = read_timeline(source), read_timeline(result)
    differences: list[str] = []
    if given.frames != made.frames:
        differences.append(f"The result has {made.frames} frames, the source {given.frames}.")
    if given.rate != made.rate:
        differences.append(f"The result has {made.rate} frames a second, the source {given.rate}.")
    lengths = [len(timeline.shown) / timeline.rate for timeline in (given, made)]
    if abs(lengths[0] - lengths[1]) > 1 / given.rate:
        differences.append(
            f"The result takes {float(lengths[1]):.3f} seconds, the source {float(lengths[0]):.3f}."
        )
    return (*differences, *_compare_sound(source, result))


def _compare_sound(source: Path, result: Path) -> Iterator[str]:
    with opened(source) as (_, given), opened(result) as (_, made):
        before, after = _sound(given.container), _sound(made.container)
        if before is None or after is None:
            if before is not None:
                yield "The source has sound, the result has none."
            if after is not None:
                yield "The result has sound, the source has none."
            return
        if before.sample_rate != after.sample_rate:
            yield f"The result's sound has {after.sample_rate} Hz, the source's {before.sample_rate} Hz."
        if before.channels != after.channels:
            yield f"The result's sound has {after.channels} channels, the source's {before.channels}."
        lengths = _length(before), _length(after)
        if None not in lengths and abs((lengths[0] or 0) - (lengths[1] or 0)) > _SAME_LENGTH:
            yield (
                f"The result's sound takes {float(lengths[1] or 0):.3f} seconds, "
                f"the source's {float(lengths[0] or 0):.3f}."
            )


def _length(stream: AudioStream) -> Fraction | None:
    tick = exact(stream.time_base)
    return stream.duration * tick if stream.duration and tick else None


def _sound(container: InputContainer) -> AudioStream | None:
    # The wrapper has no context for a codec that it has no decoder for, whatever its type hints say.
    known = [
        stream
        for stream in container.streams.audio
        if stream.codec_context is not None  # pyright: ignore[reportUnnecessaryComparison]
    ]
    return known[0] if known else None


def _start(stream: VideoStream) -> Fraction:
    return (stream.start_time or 0) * (exact(stream.time_base) or Fraction(1))


def _packets(container: InputContainer, stream: VideoStream | AudioStream) -> Iterator[av.Packet[Any]]:
    return (packet for packet in container.demux(stream) if packet.size)


def _fits(clip: OpenVideo) -> bool:
    sound = _sound(clip.container)
    return clip.video.codec_context.name in _MP4_PICTURE and (
        sound is None or sound.codec_context.name in _MP4_SOUND
    )


def _decoding_times(clip: OpenVideo, begin: int, end: int | None) -> list[int] | None:
    """When each packet of a range is to be decoded, in the order they are stored; Matroska does not say it.

    ``None`` if a frame of the range is stored behind one that comes after the range: it may need that one.
    """
    shown: list[int] = []
    beyond = False
    for packet in _packets(clip.container, clip.video):
        if packet.pts is None:
            return None
        if end is not None and packet.pts >= end:
            beyond = True
        elif packet.pts >= begin:
            if beyond:
                return None
            shown.append(packet.pts)
    in_order = sorted(shown)
    delay = max((first - second for first, second in zip(in_order, shown, strict=True)), default=0)
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


def _write(destination: Path, *tracks: _Track) -> None:
    """Write packets in the order of their times, so that nothing waits in memory."""
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
    except (*DAMAGED, OSError):
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
