"""A clip that came back, beside the one that was sent: what differs, and the sound put back."""

# PyAV's own annotations are incomplete.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.audio.stream import AudioStream

from ...api_clients.errors import InvalidInput
from ...api_clients.files.open_video import OpenVideo, exact
from ...api_clients.files.packets import codec_of, packets_of
from .sound_track import Shared, SoundPlan, known_sound, sound_plans
from .timeline import Timeline, TimelineReader, damage_of, opened
from .video_remux import MP4_VIDEO, Track, write_packets

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

    Each file is opened and read through once; every packet stays as it is, but for those of sound that
    MP4 does not take: that is encoded anew.

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
        before, after = known_sound(given.container), known_sound(made.container)
        plans = [] if made.container.streams.audio else sound_plans(given.container)
        obstacles = [] if made.container.streams.audio else _obstacles(before, plans, made)
        if restored is None or codec_of(made.video) not in MP4_VIDEO:
            plans = []
        readers = TimelineReader(given_kind, given, source), TimelineReader(made_kind, made, result)
        given_packets = _watched(given, source, readers[0], besides=[plan.stream for plan in plans])
        made_packets = _watched(made, result, readers[1])
        if plans and restored is not None:
            shift, sound = _start(made) - _start(given), Shared(given_packets)
            tracks = [Track(plan, sound.of(plan.stream), shift) for plan in plans]
            write_packets(restored, Track(made.video, made_packets, Fraction(0)), *tracks)
        for packets in (given_packets, made_packets):
            deque(packets, maxlen=0)  # to the end, where they are not there yet
        notes = ([_put_back(plans)] if plans else []) + obstacles
        notes += _differences(*readers)
        if not plans and not obstacles:
            notes += _audio_differences(before, after)
        return Compared(bool(plans), tuple(notes))


def _put_back(plans: list[SoundPlan]) -> str:
    what = "sound was" if len(plans) == 1 else f"{len(plans)} sound tracks were"
    how = dict.fromkeys(plan.words for plan in plans if plan.words)
    return f"The source's {what} put back{''.join(f' {words}' for words in how)}."


def _obstacles(before: list[AudioStream], plans: list[SoundPlan], made: OpenVideo) -> list[str]:
    """Which sound cannot be put back and why, as sentences."""
    if before and codec_of(made.video) not in MP4_VIDEO:
        name = codec_of(made.video)
        return [f"The result ({name}) does not fit into MP4, so the source's sound was not put back."]
    there = {plan.stream.index for plan in plans}
    return [
        f"The source's sound ({codec_of(stream)}, {stream.channels} channels) does not fit into MP4; "
        "it is left out."
        for stream in before
        if stream.index not in there
    ]


def _watched(
    clip: OpenVideo, path: Path, reader: TimelineReader, *, besides: Sequence[AudioStream] = ()
) -> Iterator[av.Packet[Any]]:
    """Packets of a clip as they are read; those of its frames are noted.

    Args:
        clip: open.
        path: of the clip.
        reader: notes the packets of the frames.
        besides: sound tracks whose packets are given in place of those of the frames.
    """
    with damage_of(path):
        for packet in packets_of(clip.container, clip.video, *besides):
            is_frame = packet.stream.index == clip.video.index
            if is_frame:
                reader.add(packet)
            if packet.size and is_frame != bool(besides):
                yield packet


def _start(clip: OpenVideo) -> Fraction:
    """Time of the first frame in seconds."""
    return (clip.video.start_time or 0) * (exact(clip.video.time_base) or Fraction(1))


def _differences(given: TimelineReader, made: TimelineReader) -> list[str]:
    try:
        return list(_different(given.timeline(), made.timeline()))
    except InvalidInput as error:
        return [f"How the result differs from its source in time was not found out: {error.message}"]


def _different(given: Timeline, made: Timeline) -> Iterator[str]:
    if given.frames != made.frames:
        yield f"The result has {made.frames} frames, the source {given.frames}."
    if given.rate != made.rate:
        yield f"The result has {made.rate} frames per second, the source {given.rate}."
    before, after = (len(timeline.frame_index) / timeline.rate for timeline in (given, made))
    if abs(before - after) > 1 / given.rate:
        yield f"The result takes {float(after):.3f} seconds, the source {float(before):.3f}."


def _audio_differences(given: list[AudioStream], made: list[AudioStream]) -> Iterator[str]:
    if not given or not made:
        if given:
            yield "The source has sound, the result has none."
        if made:
            yield "The result has sound, the source has none."
        return
    if len(given) != len(made):
        yield f"The result has {len(made)} sound tracks, the source {len(given)}."
    before, after = given[0], made[0]
    if before.sample_rate != after.sample_rate:
        yield f"The result's sound has {after.sample_rate} Hz, the source's {before.sample_rate} Hz."
    if before.channels != after.channels:
        yield f"The result's sound has {after.channels} channels, the source's {before.channels}."
    lasted, lasts = _length(before), _length(after)
    if lasted is not None and lasts is not None and abs(lasted - lasts) > _SAME_LENGTH:
        yield f"The result's sound takes {float(lasts):.3f} seconds, the source's {float(lasted):.3f}."


def _length(stream: AudioStream) -> Fraction | None:
    """Seconds, where the container says it."""
    unit = exact(stream.time_base)
    return stream.duration * unit if stream.duration and unit else None
