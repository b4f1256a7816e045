"""Sound tracks in MP4: copied packet by packet where it takes their codec, encoded anew where not."""

# PyAV's own annotations are incomplete.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer

from ...api_clients.files.packets import codec_of, sound_in
from .audio import LAYOUTS, aac_rate, steady
from .quantize import Floats

MP4_AUDIO = frozenset({"aac", "mp2", "mp3", "ac3", "eac3", "alac", "flac", "opus"})
"""What players take in MP4; libav would write more."""
_AAC_BITS = 192_000
"""For each channel and second."""
_LOSSLESS_CHANNELS = 2
"""The most of which ALAC takes every arrangement."""


@dataclass(frozen=True)
class SoundPlan:
    """How one sound track gets into MP4.

    Attributes:
        stream: the track.
        encoder: ``alac`` or ``aac``; empty if its packets are copied.
    """

    stream: AudioStream
    encoder: str = ""

    @property
    def words(self) -> str:
        """What is done to it, as the end of a sentence; empty if nothing is."""
        if not self.encoder:
            return ""
        kind = "ALAC, which is lossless" if self.encoder == "alac" else "AAC of high quality"
        return f"as {kind}, since MP4 does not take {codec_of(self.stream)}"


def sound_plans(container: InputContainer) -> list[SoundPlan]:
    """How each sound track that can be had gets into MP4, in their order."""
    return [plan for plan in map(_plan, known_sound(container)) if plan is not None]


def known_sound(container: InputContainer) -> list[AudioStream]:
    """The sound tracks whose codecs are known."""
    # The wrapper has no context for a codec that it has no decoder for, whatever its type hints say.
    return [
        stream
        for stream in container.streams.audio
        if stream.codec_context is not None  # pyright: ignore[reportUnnecessaryComparison]
    ]


def _plan(stream: AudioStream) -> SoundPlan | None:
    codec = codec_of(stream)
    if codec in MP4_AUDIO:
        return SoundPlan(stream)
    if stream.channels not in LAYOUTS or not stream.sample_rate:
        return None
    lossless = codec.startswith("pcm_") and stream.channels <= _LOSSLESS_CHANNELS
    return SoundPlan(stream, "alac" if lossless else "aac")


def add_encoder(container: OutputContainer, plan: SoundPlan) -> AudioStream:
    """A stream for a track that is encoded anew, before anything is written."""
    source = plan.stream
    lossless = plan.encoder == "alac"
    rate = source.sample_rate if lossless else aac_rate(source.sample_rate)
    target: Any = container.add_stream(plan.encoder, rate=rate, layout=LAYOUTS[source.channels])
    if lossless:
        deep = source.format is not None and source.format.bits > 16  # pyright: ignore[reportUnnecessaryComparison]
        target.codec_context.format = av.AudioFormat("s32p" if deep else "s16p")
    else:
        target.bit_rate = min(_AAC_BITS, 5 * rate) * source.channels
    return target


def encoded(
    packets: Iterable[av.Packet[Any]], target: AudioStream, shift: Fraction
) -> Iterator[tuple[Fraction, av.Packet[Any]]]:
    """Packets of sound, decoded and encoded anew: when each is to be decoded, in seconds, and itself.

    Args:
        packets: of one track.
        target: where they go to.
        shift: seconds that they are moved by; what would begin before 0 is left out.
    """
    position: int | None = None
    for time, rate, samples in steady(frame for packet in packets for frame in sound_in(packet)):
        block: Floats = samples
        if position is None:
            offset = round((time + shift) * rate)
            block = block[:, max(0, -offset) :]
            if not block.shape[1]:
                continue
            position = max(0, offset)
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(block), format="fltp", layout=LAYOUTS[len(block)]
        )
        frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), position
        position += block.shape[1]
        yield from _timed(target.encode(frame))
    if position is not None:
        yield from _timed(target.encode(None))


def _timed(packets: Iterable[av.Packet[Any]]) -> Iterator[tuple[Fraction, av.Packet[Any]]]:
    for packet in packets:
        tick = Fraction(packet.time_base.numerator, packet.time_base.denominator)
        yield (packet.dts or 0) * tick, packet


class Shared:
    """Packets of several streams that are read in one pass, each stream's on its own.

    Args:
        packets: of all of them, as they are stored.
    """

    def __init__(self, packets: Iterator[av.Packet[Any]]) -> None:
        self._packets = packets
        self._waiting: dict[int, deque[av.Packet[Any]]] = {}

    def of(self, stream: AudioStream) -> Iterator[av.Packet[Any]]:
        """The packets of one stream; to be asked for all streams before the first packet is taken."""
        waiting = self._waiting[stream.index] = deque()
        return self._of(waiting)

    def _of(self, waiting: deque[av.Packet[Any]]) -> Iterator[av.Packet[Any]]:
        while True:
            if waiting:
                yield waiting.popleft()
                continue
            packet = next(self._packets, None)
            if packet is None:
                return
            if packet.stream_index in self._waiting:
                self._waiting[packet.stream_index].append(packet)
