"""Sound between tensors and clips."""

# PyAV's and torch's own annotations are incomplete.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import torch
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer

from ...api_clients.errors import InvalidInput
from ...api_clients.files.open_video import DAMAGED, exact
from ...api_clients.files.packets import packets_of, sound_in
from .quantize import Floats
from .timeline import opened

_AAC_RATES = (7350, 8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 8: "7.1"}
_BITS_PER_CHANNEL = 128_000
_BLOCK = 1024
"""Samples of an AAC frame."""
_ROUNDING = Fraction(1, 1000)
"""Seconds that times may be off besides the rounding of their clock."""
_LONGEST_GAP = 600
"""Seconds; a longer one is hardly meant."""
_LONGEST_OVERLAP = 1
_LONGEST_BLOCK = 4096
"""Samples that a decoder may give too many, of the codecs in use."""


class AudioWriter:
    """Writes a tensor of sound to a clip as AAC, a piece at a time so that it lies next to the pictures."""

    def __init__(self, container: OutputContainer, audio: Mapping[str, Any]) -> None:
        """Add a stream to a container.

        Args:
            container: before anything is written to it.
            audio: ComfyUI's AUDIO: ``waveform`` [1, C, T] and ``sample_rate``.

        Raises:
            InvalidInput: AAC has no such number of channels, or it is no sound at all.
        """
        self._waveform, self._rate = _checked(audio)
        layout = LAYOUTS[len(self._waveform)]
        self._container = container
        rate = aac_rate(self._rate)  # PyAV's encoder resamples
        self._stream: AudioStream = container.add_stream("aac", rate=rate, layout=layout)
        self._stream.bit_rate = min(_BITS_PER_CHANNEL, 5 * rate) * len(self._waveform)
        self._layout = layout
        self._next = 0

    def write_until(self, seconds: Fraction | None) -> None:
        """Encode what sounds before a time; ``None`` is all of it, and the end."""
        total = self._waveform.shape[1]
        stop = total if seconds is None else min(total, int(seconds * self._rate))
        while self._next < stop:
            block = np.ascontiguousarray(self._waveform[:, self._next : self._next + _BLOCK])
            frame = av.AudioFrame.from_ndarray(block, format="fltp", layout=self._layout)
            frame.sample_rate = self._rate
            frame.time_base = Fraction(1, self._rate)
            frame.pts = self._next
            self._next += block.shape[1]
            self._container.mux(self._stream.encode(frame))
        if seconds is None:
            self._container.mux(self._stream.encode(None))


def aac_rate(rate: int) -> int:
    """The samples per second at which AAC holds sound of this rate: the same, or the next that it has."""
    return next((known for known in _AAC_RATES if known >= rate), _AAC_RATES[-1])


def check_audio(audio: Mapping[str, Any]) -> None:
    """Check that sound can be written as AAC.

    Raises:
        InvalidInput: AAC has no such number of channels, or it is no sound at all.
    """
    _checked(audio)


def read_audio(path: Path, start: Fraction, seconds: Fraction | None) -> dict[str, Any] | None:
    """The sound of a clip as ComfyUI's AUDIO: its first track. Blocking.

    Args:
        path: the clip.
        start: time of the first sample, as the clip counts.
        seconds: its length; ``None`` is to the end.

    Returns:
        ``waveform``, float32 [1, C, T], and ``sample_rate``; ``None`` if there is none that can be decoded.
        Where the sound starts later than ``start``, or has a gap, there is silence.
    """
    # From a second earlier: the decoder needs a few frames until its output is right.
    if start > 1:
        with opened(path) as (_, clip), suppress(*DAMAGED):
            audio = _read(clip.container, start, seconds, seek=start - 1)
            if audio is not None:
                return audio
    with opened(path) as (_, clip):
        return _read(clip.container, start, seconds)


def _read(
    container: InputContainer, start: Fraction, seconds: Fraction | None, *, seek: Fraction | None = None
) -> dict[str, Any] | None:
    """As ``read_audio``, of an open clip; ``None``, too, if seeking led behind the start."""
    streams = [stream for stream in container.streams.audio if _decodable(stream)]
    if not streams:
        return None
    stream = streams[0]
    tick = exact(stream.time_base)
    if seek is not None and tick:
        container.seek(int(seek / tick), stream=stream)
    rate = 0
    pieces: list[Floats] = []
    have = 0
    packets = packets_of(container, stream)
    for time, rate, piece in steady(frame for packet in packets for frame in sound_in(packet)):
        if not pieces:
            if seek is not None and time > start:
                return None
            piece = _from(piece, round((time - start) * rate))  # noqa: PLW2901
        if piece.shape[1]:
            pieces.append(piece)
            have += piece.shape[1]
        if seconds is not None and have >= round(seconds * rate):
            break
    if not pieces:
        return None
    waveform = np.concatenate(pieces, axis=1)
    wanted = _announced(stream, start, rate, have) if seconds is None else round(seconds * rate)
    waveform = waveform[:, :wanted]
    return {"waveform": torch.from_numpy(waveform).unsqueeze(0), "sample_rate": rate}


def other_sound(tracks: int) -> list[str]:
    """That there is more sound than the track that is taken, as sentences."""
    return [f"The clip has {tracks} sound tracks; the first one was taken."] if tracks > 1 else []


def _checked(audio: Mapping[str, Any]) -> tuple[Floats, int]:
    waveform, rate = audio.get("waveform"), audio.get("sample_rate")
    if not isinstance(waveform, torch.Tensor) or waveform.ndim != 3 or not isinstance(rate, int):
        raise InvalidInput("The sound is not a waveform [1, channels, samples] with a sample rate.")
    if waveform.shape[0] != 1:
        raise InvalidInput(
            f"The sound is {waveform.shape[0]} waveforms; a clip has one.", hint="Connect one of them."
        )
    channels = waveform.shape[1]
    if channels not in LAYOUTS:
        raise InvalidInput(
            f"The sound has {channels} channels; AAC supports {', '.join(map(str, LAYOUTS))}.",
            hint="Mix it down to stereo.",
        )
    if rate < 1:
        raise InvalidInput(f"The sound has {rate} samples per second.", hint="Give it a rate.")
    samples = waveform[0].detach().to("cpu", torch.float32)
    return torch.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0).numpy(), rate


def _decodable(stream: AudioStream) -> bool:
    # The wrapper has no context for a codec that it has no decoder for, whatever its type hints say.
    return stream.codec_context is not None  # pyright: ignore[reportUnnecessaryComparison]


def steady(frames: Iterable[av.AudioFrame]) -> Iterator[tuple[Fraction, int, Floats]]:
    """Time, sample rate and samples [C, T] of each decoded block, one right behind the other.

    Where samples are missing there is silence, and those that come twice are left out, so that sound stays
    in step. Clocks that count in more than samples are only believed beyond their rounding.
    """
    resampler = av.AudioResampler(format="fltp")
    position: Fraction | None = None
    for frame in frames:
        tick = exact(frame.time_base)
        time = None if frame.pts is None or tick is None else frame.pts * tick
        for block in resampler.resample(frame):
            samples, rate = cast("Floats", block.to_ndarray()), block.sample_rate
            if position is None:
                position = time or Fraction(0)
            off = Fraction(0) if time is None or tick is None else time - position
            if tick is not None and 2 * tick + _ROUNDING < off < _LONGEST_GAP:
                for silence in _silence(_missing(off, tick, rate, samples.shape[1]), len(samples), rate):
                    yield position, rate, silence
                    position += Fraction(silence.shape[1], rate)
            elif tick is not None and -_LONGEST_OVERLAP < off < -2 * tick - _ROUNDING:
                samples = samples[:, round(-off * rate) :]
            yield position, rate, samples
            position += Fraction(samples.shape[1], rate)
            time = None


def _missing(seconds: Fraction, tick: Fraction, rate: int, block: int) -> int:
    """How many samples are missing: whole blocks, as far as the clock's rounding allows it."""
    blocks = round(seconds * rate / block)
    near = abs(blocks * block - seconds * rate) <= tick * rate
    return blocks * block if near else round(seconds * rate)


def _silence(count: int, channels: int, rate: int) -> Iterator[Floats]:
    for begin in range(0, count, rate):
        yield np.zeros((channels, min(rate, count - begin)), np.float32)


def _announced(stream: AudioStream, start: Fraction, rate: int, have: int) -> int:
    """How many samples are meant to be heard: the last block is filled up beyond its end."""
    tick = exact(stream.time_base)
    if stream.duration is None or tick is None:
        return have
    end = (stream.start_time or 0) + stream.duration
    announced = round((end * tick - start) * rate)
    return announced if 0 < have - announced < _LONGEST_BLOCK else have


def _from(samples: Floats, offset: int) -> Floats:
    """What of a block lies behind the start, ``-offset`` samples into it; silence if before."""
    if offset <= 0:
        return samples[:, -offset:]
    return np.pad(samples, ((0, 0), (offset, 0)))
