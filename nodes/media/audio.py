"""Sound between tensors and clips."""

# PyAV's and torch's own annotations are incomplete.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any, cast

import av
import numpy as np
import torch
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer

from ...api_clients.errors import InvalidInput
from ...api_clients.files.open_video import exact
from .quantize import Floats

_AAC_RATES = (7350, 8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
_LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 8: "7.1"}
_BITS_PER_CHANNEL = 128_000
_BLOCK = 1024
"""Samples of an AAC frame."""
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
            InvalidInput: AAC has no such rate or number of channels, or it is no sound at all.
        """
        self._waveform, self._rate = _checked(audio)
        layout = _LAYOUTS[len(self._waveform)]
        self._container = container
        self._stream: AudioStream = container.add_stream("aac", rate=self._rate, layout=layout)
        self._stream.bit_rate = min(_BITS_PER_CHANNEL, 5 * self._rate) * len(self._waveform)
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


def check_audio(audio: Mapping[str, Any]) -> None:
    """Check that sound can be written as AAC.

    Raises:
        InvalidInput: AAC has no such rate or number of channels, or it is no sound at all.
    """
    _checked(audio)


def read_audio(container: InputContainer, start: Fraction, seconds: Fraction | None) -> dict[str, Any] | None:
    """The sound of an open clip as ComfyUI's AUDIO. Blocking.

    Args:
        container: just opened.
        start: time of the first sample, as the clip counts.
        seconds: its length; ``None`` is to the end.

    Returns:
        ``waveform``, float32 [1, C, T], and ``sample_rate``; ``None`` if there is none that can be decoded.
        Where the sound starts later than ``start``, silence is before it.
    """
    streams = [stream for stream in container.streams.audio if _decodable(stream)]
    if not streams:
        return None
    stream = streams[0]
    tick = exact(stream.time_base)
    if start > 1 and tick:
        # A second earlier: the decoder needs a few frames until its output is right.
        container.seek(int((start - 1) / tick), stream=stream)
    rate = 0
    pieces: list[Floats] = []
    have, wanted = 0, -1
    for time, rate, piece in _blocks(container, stream):
        if wanted < 0:
            wanted = -1 if seconds is None else round(seconds * rate)
        if not pieces:
            piece = _from(piece, round((time - start) * rate))  # noqa: PLW2901
        if piece.shape[1]:
            pieces.append(piece)
            have += piece.shape[1]
        if 0 <= wanted <= have:
            break
    if not pieces:
        return None
    waveform = np.concatenate(pieces, axis=1)
    if wanted < 0:
        wanted = _announced(stream, start, rate, have)
    waveform = waveform[:, :wanted]
    return {"waveform": torch.from_numpy(waveform).unsqueeze(0), "sample_rate": rate}


def _checked(audio: Mapping[str, Any]) -> tuple[Floats, int]:
    waveform, rate = audio.get("waveform"), audio.get("sample_rate")
    if not isinstance(waveform, torch.Tensor) or waveform.ndim != 3 or not isinstance(rate, int):
        raise InvalidInput("The sound is not a waveform [1, channels, samples] with a sample rate.")
    if waveform.shape[0] != 1:
        raise InvalidInput(
            f"The sound is {waveform.shape[0]} waveforms; a clip has one.", hint="Connect one of them."
        )
    channels = waveform.shape[1]
    if channels not in _LAYOUTS:
        raise InvalidInput(
            f"The sound has {channels} channels; AAC supports {', '.join(map(str, _LAYOUTS))}.",
            hint="Mix it down to stereo.",
        )
    if rate not in _AAC_RATES:
        raise InvalidInput(
            f"The sound has {rate} samples per second; AAC supports {', '.join(map(str, _AAC_RATES))}.",
            hint="Resample it to 48000 samples per second.",
        )
    samples = waveform[0].detach().to("cpu", torch.float32)
    return torch.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0).numpy(), rate


def _decodable(stream: AudioStream) -> bool:
    # The wrapper has no context for a codec that it has no decoder for, whatever its type hints say.
    return stream.codec_context is not None  # pyright: ignore[reportUnnecessaryComparison]


def _blocks(container: InputContainer, stream: AudioStream) -> Iterator[tuple[Fraction, int, Floats]]:
    """Time, sample rate and samples [C, T] of each decoded block."""
    resampler = av.AudioResampler(format="fltp")
    position: Fraction | None = None
    for frame in container.decode(stream):
        for block in resampler.resample(frame):
            samples = cast("Floats", block.to_ndarray())
            if position is None:
                time_base = exact(block.time_base)
                position = Fraction(0) if block.pts is None or time_base is None else block.pts * time_base
            yield position, block.sample_rate, samples
            position += Fraction(samples.shape[1], block.sample_rate)


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
