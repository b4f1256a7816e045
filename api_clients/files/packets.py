"""Packets of an open clip and the frames in them; one that is broken costs no others."""

# PyAV leaves the kind of its packets and streams unannotated.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

from av.audio.frame import AudioFrame
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame

from ..errors import InvalidInput
from .open_video import DAMAGED, OpenVideo

_MOST_FAILURES = 50
"""How often reading may fail on end, until nothing more is expected."""
_VP8_SHOWN = 0x10
_SUPERFRAME = 0b110


def packets_of(container: InputContainer, *streams: Stream) -> Iterator[Packet[Any]]:
    """The packets of streams in the order they are stored, the empty ones at the end included.

    Where reading fails, it goes on behind.

    Raises:
        FFmpegError, ValueError: nothing more can be read, and nothing was.
    """
    failures, read = 0, False
    while True:
        try:
            for packet in container.demux(*streams):
                failures, read = 0, read or packet.size > 0
                yield packet
        except DAMAGED:
            failures += 1
            if failures < _MOST_FAILURES:
                continue
            if not read:
                raise
        return


def frames_in(packet: Packet[Any]) -> list[VideoFrame]:
    """The frames that a decoder gives for a packet; none where it is broken."""
    return cast("list[VideoFrame]", _decoded(packet))


def sound_in(packet: Packet[Any]) -> list[AudioFrame]:
    """As ``frames_in``, of sound."""
    return cast("list[AudioFrame]", _decoded(packet))


def _decoded(packet: Packet[Any]) -> list[Any]:
    try:
        return packet.decode()
    except DAMAGED:
        return []


def decode_first(video: OpenVideo) -> tuple[VideoFrame, float]:
    """Decode the first frame of a clip that is just opened; what cannot be decoded before it is passed over.

    Returns:
        The frame, and how far the packets reach that were read for it, in seconds on the clip's own clock.

    Raises:
        InvalidInput: not one frame can be had from it.
        FFmpegError, ValueError: it is damaged.
    """
    reached = 0.0
    for packet in packets_of(video.container):
        reached = max(reached, end_of(packet))
        if packet.stream_index == video.video.index:
            for frame in frames_in(packet):
                return frame, reached
    raise InvalidInput("There is not one frame in the clip.", hint="Save it again.")


def end_of(packet: Packet[Any]) -> float:
    """When what is in a packet ends, in seconds on the clip's own clock; 0 where it does not say it."""
    if packet.pts is None:
        return 0.0
    return float((packet.pts + (packet.duration or 0)) * packet.time_base)


def codec_of(stream: Stream) -> str:
    """What the codec of a stream is called, whatever decodes it here: ``av1`` and not ``libdav1d``."""
    return stream.codec_context.codec.canonical_name


def is_shown(packet: Packet[Any], codec: str) -> bool:
    """Whether there is a frame in a packet that is shown; VP8 and VP9 have some that others only refer to."""
    if codec not in {"vp8", "vp9"} or not packet.size:
        return True
    data = memoryview(packet)
    if codec == "vp8":
        return bool(data[0] & _VP8_SHOWN)
    return any(_vp9_shown(data[start]) for start in _vp9_frames(data))


def _vp9_frames(data: memoryview) -> Sequence[int]:
    """Where the frames of a VP9 packet start, by the index at its end."""
    mark = data[-1]
    if mark >> 5 != _SUPERFRAME:
        return (0,)
    width, count = (mark >> 3 & 3) + 1, (mark & 7) + 1
    index = len(data) - 2 - width * count
    if index < 0 or data[index] != mark:
        return (0,)
    starts, start = list[int](), 0
    for number in range(count):
        if start < index:
            starts.append(start)
        at = index + 1 + number * width
        start += int.from_bytes(data[at : at + width], "little")
    return starts


def _vp9_shown(first: int) -> bool:
    """Whether a VP9 frame whose header begins with this byte is shown."""
    after_profile = 3 if first & 0x30 == 0x30 else 4
    existing = first >> (after_profile - 1) & 1
    return bool(existing or first >> (after_profile - 3) & 1)
