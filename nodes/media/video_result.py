"""A clip that came back, beside the one that was sent: what differs, and the sound put back."""

# PyAV's own annotations are incomplete.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.audio.stream import AudioStream

from ...api_clients.files.open_video import OpenVideo, exact
from .timeline import Timeline, TimelineReader, damage_of, opened
from .video_remux import MP4_AUDIO, MP4_VIDEO, audio_stream, write_packets

_SAME_LENGTH = Fraction(1, 20)
"""Seconds by which sound may differ: codecs fill up their blocks."""


@dataclass(frozen=True)
class Compared:
    """What became of a result.

    Attributes:
        restored: whether a copy of it with the source's sound was written.
        notes: that, and how the result differs from its source in time and sound, as sentences.
    """

    restored: bool
    notes: tuple[str, ...]


def compare(source: Path, result: Path, restored: Path | None = None) -> Compared:
    """Compare a result with its source, and put the source's sound back if the result has none. Blocking.

    Each file is opened and read through once; nothing is decoded or encoded, so every packet stays as it is.

    Args:
        source: clip that was sent.
        result: clip as the provider gave it.
        restored: where to write the result with its source's sound, as MP4; written only if the sound is put
            back. ``None`` to compare only.

    Raises:
        InvalidInput: one of the files is no clip, or damaged.
        StorageFailed: ``restored`` cannot be written.
    """
    with opened(source) as (given_kind, given), opened(result) as (made_kind, made):
        before, after = audio_stream(given.container), audio_stream(made.container)
        lost = None if made.container.streams.audio else before
        obstacle = _obstacle(lost, made) if lost is not None else ""
        back = None if restored is None or obstacle else lost
        readers = TimelineReader(given_kind, given, source), TimelineReader(made_kind, made, result)
        given_packets = _watched(given, source, readers[0], besides=back)
        made_packets = _watched(made, result, readers[1])
        if back is not None and restored is not None:
            shift = _start(made) - _start(given)
            write_packets(restored, (made.video, made_packets, Fraction(0)), (back, given_packets, shift))
        for packets in (given_packets, made_packets):
            deque(packets, maxlen=0)  # to the end, where they are not there yet
        differences = list(_differences(*(reader.timeline() for reader in readers)))
        if back is not None:
            return Compared(True, ("The source's sound was put back.", *differences))
        if obstacle:
            return Compared(False, (obstacle, *differences))
        return Compared(False, (*differences, *_audio_differences(before, after)))


def _obstacle(audio: AudioStream, made: OpenVideo) -> str:
    """Why sound cannot be put back, as a sentence; empty if it can."""
    name = audio.codec_context.name
    if name not in MP4_AUDIO:
        return f"The source's sound ({name}) does not fit into MP4, so the result has none."
    name = made.video.codec_context.name
    if name not in MP4_VIDEO:
        return f"The result ({name}) does not fit into MP4, so the source's sound was not put back."
    return ""


def _watched(
    clip: OpenVideo, path: Path, reader: TimelineReader, *, besides: AudioStream | None = None
) -> Iterator[av.Packet[Any]]:
    """Packets of a clip as they are read; those of its frames are noted.

    Args:
        clip: open.
        path: of the clip.
        reader: notes the packets of the frames.
        besides: sound whose packets are given in place of those of the frames.
    """
    streams = (clip.video,) if besides is None else (clip.video, besides)
    with damage_of(path):
        for packet in clip.container.demux(*streams):
            is_frame = packet.stream.index == clip.video.index
            if is_frame:
                reader.add(packet)
            if packet.size and is_frame == (besides is None):
                yield packet


def _start(clip: OpenVideo) -> Fraction:
    """Time of the first frame in seconds."""
    return (clip.video.start_time or 0) * (exact(clip.video.time_base) or Fraction(1))


def _differences(given: Timeline, made: Timeline) -> Iterator[str]:
    if given.frames != made.frames:
        yield f"The result has {made.frames} frames, the source {given.frames}."
    if given.rate != made.rate:
        yield f"The result has {made.rate} frames per second, the source {given.rate}."
    before, after = (len(timeline.frame_index) / timeline.rate for timeline in (given, made))
    if abs(before - after) > 1 / given.rate:
        yield f"The result takes {float(after):.3f} seconds, the source {float(before):.3f}."


def _audio_differences(before: AudioStream | None, after: AudioStream | None) -> Iterator[str]:
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
    given, made = _length(before), _length(after)
    if given is not None and made is not None and abs(given - made) > _SAME_LENGTH:
        yield f"The result's sound takes {float(made):.3f} seconds, the source's {float(given):.3f}."


def _length(stream: AudioStream) -> Fraction | None:
    """Seconds, where the container says it."""
    unit = exact(stream.time_base)
    return stream.duration * unit if stream.duration and unit else None
